import { createKeyRings } from '../../src/lib/key-ring.ts'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { formatIssue, parseConfig } from '../../src/config/load.ts'
import { createCookieCheck } from '../../src/session/cookie-check.ts'
import type { Config } from '../../src/config/model.ts'
import { BESIDE, freePort, node, type Program, start, UNDER_TEST } from '../programs.ts'
import { commonSettings } from '../settings.ts'
import { call, until } from './http.ts'
import { type Okta, startOkta } from './okta.ts'
import { groupName, type Org, type Person } from './org.ts'
import { expireLease, seedStore } from './store.ts'

/** A route for whoever is signed in. */
export const ANYBODY = 'anybody'

/** The built program on its own core; emulator, application and load on the other. */
export interface World {
  readonly org: Org
  readonly okta: Okta
  readonly config: Config
  readonly port: number
  readonly metricsPort: number
  readonly hookSecret: string
  readonly hookUri: string
  /** The process that runs now. */
  postern(): Program
  /** Starts the program again after `postern().kill()` or `stop()`; gives the milliseconds until it answers. */
  startPostern(): Promise<number>
  /** Fills the store, which no program may have open, with a session and a reading for each of the people. */
  seed(): Promise<void>
  /** Releases the lease of the feed, as its expiry after a kill does. Postern must not run. */
  expireLease(): Promise<void>
  /** Address of the route that asks for this group, or of `ANYBODY`. */
  address(route: string): URL
  /** Status for this person on this route: 200, 401, 403, 503; 0 when nobody answers. `cookie`: another session's. */
  status(person: Person, route: string, cookie?: string): Promise<number>
  /** Ids, as Okta has them now; `Everyone` is not among them. */
  groupsOf(person: Person): ReadonlySet<string>
  /** Does this session's person have groups that are known? `cookie`: of `ANYBODY`. */
  knowsGroups(cookie: string): Promise<boolean>
  /** Resolves when the WebSocket is open. */
  open(person: Person, route: string): Promise<WebSocket>
  close(): Promise<void>
}

/** `interval`: directory.okta.log_interval. */
export async function createWorld(org: Org, interval = '10s'): Promise<World> {
  const state = mkdtempSync(join(tmpdir(), 'postern-directory-'))
  const [port, metricsPort, upstream] = [await freePort(), await freePort(), await freePort()]
  const address = (route: string): URL => new URL(`http://${hostOf(route)}.localhost:${port}`)
  const authenticate = new URL(`http://authenticate.localhost:${port}`)
  const okta = await startOkta({
    size: org.size,
    limits: 'workforce',
    redirectUri: new URL('/oauth2/callback', authenticate).href,
  })
  const hookSecret = randomBytes(16).toString('hex')
  const to = `http://127.0.0.1:${upstream}`
  const settings = JSON.stringify({
    ...commonSettings({ port, okta: okta.url, store: join(state, 'store') }),
    metrics_address: `127.0.0.1:${metricsPort}`,
    directory: { okta: { log_interval: interval, event_hook_secret: hookSecret } },
    routes: [
      ...org.policyGroups.map((id) => ({ from: address(id).origin, to, allowed_groups: [groupName(id)] })),
      { from: address(ANYBODY).origin, to, allow_any_authenticated_user: true },
    ],
  })
  const file = join(state, 'config.yaml')
  writeFileSync(file, settings)
  const loaded = parseConfig(settings, file, {}, () => '')
  if (loaded.kind === 'invalid') throw new Error(loaded.issues.map(formatIssue).join('\n'))
  const { config } = loaded
  const cookies = createCookieCheck(
    createKeyRings(() => config.live.credentials.sharedSecrets),
    1,
  )
  const application = start(BESIDE, node('directory/upstream.js', String(upstream)))
  let postern: Program | undefined
  let sessionIds: ReadonlyMap<string, string> = new Map()

  const cookieOf = ({ id }: Person, host: string): string =>
    `postern=${cookies.sign(sessionIds.get(id) ?? '', 'postern', host)}`
  const answers = (): Promise<boolean> =>
    call({ port, path: '/ping' }).then(
      ({ status }) => status === 200,
      () => false,
    )

  return {
    org,
    okta,
    config,
    port,
    metricsPort,
    hookSecret,
    hookUri: new URL('/.postern/hooks/okta', authenticate).href,
    address,
    postern() {
      if (!postern) throw new Error('bench: Postern does not run')
      return postern
    },
    async startPostern() {
      const begin = performance.now()
      const [program = '', ...args] = node('../cmd/postern/main.js', 'run', '--config', file)
      // As in the image.
      postern = start(UNDER_TEST, [program, '--max-semi-space-size=4', ...args])
      await until(answers, 30_000, 'Postern', 10)
      return performance.now() - begin
    },
    async seed() {
      sessionIds = await seedStore(config, okta.url, org.people)
    },
    expireLease: () => expireLease(config),
    async status(person, route, cookie) {
      const { host, hostname } = address(route)
      const headers = { host, accept: 'application/json', cookie: cookie ?? cookieOf(person, hostname) }
      return call({ port, path: '/', headers }).then(
        ({ status }) => status,
        () => 0,
      )
    },
    groupsOf({ id, groups }) {
      const now = new Set(groups)
      for (const [group, member] of okta.changed.members.get(id) ?? []) {
        if (member) now.add(group)
        else now.delete(group)
      }
      return now
    },
    async knowsGroups(cookie) {
      const { host } = address(ANYBODY)
      const headers = { host, accept: 'application/json', cookie }
      const { status, body } = await call({ port, path: '/.postern/user', headers })
      return status === 200 && (JSON.parse(body) as { readonly groups: unknown }).groups !== null
    },
    open(person, route) {
      const { host, hostname } = address(route)
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { host, cookie: cookieOf(person, hostname) } })
      return new Promise((resolve, reject) => {
        socket.once('open', () => resolve(socket))
        socket.once('error', reject)
      })
    },
    async close() {
      await postern?.stop()
      await application.stop()
      await okta.program.stop()
      rmSync(state, { recursive: true, force: true })
    },
  }
}

/** A group's host is its number. */
function hostOf(route: string): string {
  return route === ANYBODY ? ANYBODY : `g${Number(route.slice('00ggen'.length))}`
}
