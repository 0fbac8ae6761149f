import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { LoggedCall } from '../../emulator/okta/http/call-log.ts'
import type { BucketState } from '../../emulator/okta/http/rate-limit.ts'
import { BESIDE, freePort, node, type Program, start } from '../programs.ts'
import { call, until } from './http.ts'
import type { SizeName } from './org.ts'

/** The emulator as a process of its own, and what an administrator does there. */
export interface Okta {
  readonly url: string
  readonly program: Program
  setMember(group: string, user: string, member: boolean): Promise<void>
  setStatus(user: string, status: string): Promise<void>
  endSessions(user: string): Promise<void>
  /** Creates and verifies an event hook. */
  hook(uri: string, secret: string, events: readonly string[]): Promise<void>
  /** Calls of Okta's own surface; at most the last 5,000. */
  calls(): Promise<readonly LoggedCall[]>
  buckets(): Promise<readonly BucketState[]>
  /** What was changed here since the start: the generated org and this are how Okta is now. */
  readonly changed: {
    /** By person, then by group id: a member or not. */
    readonly members: ReadonlyMap<string, ReadonlyMap<string, boolean>>
    readonly statuses: ReadonlyMap<string, string>
  }
}

/** `limits`: a plan of rate limits, or `off`. */
export async function startOkta(options: {
  readonly size: SizeName
  readonly limits: 'workforce' | 'off'
  readonly redirectUri?: string
}): Promise<Okta> {
  const port = await freePort()
  const program = start(
    BESIDE,
    node(
      '../emulator/okta/main.js',
      '--port',
      String(port),
      '--size',
      options.size,
      '--rate-limits',
      options.limits,
      '--token',
      DEMO.apiToken,
      ...(options.redirectUri === undefined ? [] : ['--redirect-uri', options.redirectUri]),
    ),
  )
  const url = `http://localhost:${port}`
  const get = async (path: string): Promise<unknown> => JSON.parse((await call({ port, path })).body)
  await until(
    () =>
      call({ port, path: '/control/buckets' }).then(
        () => true,
        () => false,
      ),
    120_000,
    'the emulator',
  )

  async function post(path: string, body: object): Promise<unknown> {
    const headers = { 'content-type': 'application/json', authorization: `SSWS ${DEMO.apiToken}` }
    const answer = await call({ port, path, method: 'POST', headers, body: JSON.stringify(body) })
    if (answer.status !== 200) throw new Error(`emulator: POST ${path}: ${answer.status} ${answer.body}`)
    return JSON.parse(answer.body)
  }
  const change = (what: string, body: object): Promise<void> => post(`/control/${what}`, body).then(() => undefined)

  const members = new Map<string, Map<string, boolean>>()
  const statuses = new Map<string, string>()
  return {
    url,
    program,
    changed: { members, statuses },
    async setMember(group, user, member) {
      await change('memberships', { group, user, member })
      members.set(user, (members.get(user) ?? new Map<string, boolean>()).set(group, member))
    },
    async setStatus(user, status) {
      await change('status', { user, status })
      statuses.set(user, status)
    },
    endSessions: (user) => change('sessions', { user }),
    async hook(uri, secret, events) {
      const { id } = (await post('/api/v1/eventHooks', {
        name: 'Postern',
        events: { type: 'EVENT_TYPE', items: events },
        channel: {
          type: 'HTTP',
          version: '1.0.0',
          config: { uri, headers: [], authScheme: { type: 'HEADER', key: 'Authorization', value: secret } },
        },
      })) as { readonly id: string }
      await post(`/api/v1/eventHooks/${id}/lifecycle/verify`, {})
    },
    calls: async () => (await get('/control/calls')) as readonly LoggedCall[],
    buckets: async () => (await get('/control/buckets')) as readonly BucketState[],
  }
}
