import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { MAX_BODY } from '../../src/directory/scim/message.ts'
import { createScim, type Scim } from '../../src/directory/scim/server.ts'
import { Secret } from '../../src/lib/secret.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import type { Logger, Store } from '../../src/types.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { type Line, recordedLog } from '../unit/directory/recorded-log.ts'

const BASE = '/.postern/scim/v2'
export const TOKEN = 'scim-token-of-this-test'
export const PATCH_OP = 'urn:ietf:params:scim:api:messages:2.0:PatchOp'
export const ERROR = 'urn:ietf:params:scim:api:messages:2.0:Error'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** Undefined when there is none. */
  readonly body: Record<string, unknown> & Partial<Record<'id' | 'detail', string>>
}

export interface ScimServer {
  readonly scim: Scim
  readonly store: Store
  readonly clock: ManualClock
  readonly lines: readonly Line[]
  /** `body`: an object, or the text itself. `authorization` null: no header. */
  send(method: string, path: string, body?: object | string, authorization?: string | null): Promise<Answer>
  close(): Promise<void>
}

/** Our SCIM server behind a real listener, as the sign-in service will have it. */
export async function startScimServer(options: { readonly store?: Store } = {}): Promise<ScimServer> {
  const clock = manualClock()
  const store = options.store ?? createMemoryStore({ clock })
  const log: Logger & { readonly lines: Line[] } = recordedLog()
  const server = createServer((req, res) => {
    void (async () => {
      let body = ''
      for await (const chunk of req.setEncoding('utf8')) {
        body += chunk as string
        if (body.length > MAX_BODY) break
      }
      const url = new URL(req.url ?? '/', 'http://scim.localhost')
      const answer = await scim.handle({
        method: req.method ?? '',
        path: url.pathname.slice(BASE.length),
        query: url.searchParams,
        authorization: req.headers.authorization,
        body,
      })
      res.writeHead(answer.status, answer.headers).end(answer.body)
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // Listening on TCP, so the address is one.
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}${BASE}`
  const scim = createScim({
    issuer: 'https://org.okta.example',
    store,
    clock,
    token: new Secret(TOKEN),
    baseUrl: () => new URL(base),
    logger: log,
  })
  await scim.start()

  return {
    scim,
    store,
    clock,
    lines: log.lines,
    async send(method, path, body, authorization = `Bearer ${TOKEN}`) {
      const response = await fetch(base + path, {
        method,
        headers: {
          'user-agent': 'Okta SCIM Client 1.0.0',
          accept: 'application/scim+json',
          ...(body !== undefined && { 'content-type': 'application/scim+json' }),
          ...(authorization !== null && { authorization }),
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await response.text()
      return {
        status: response.status,
        headers: response.headers,
        body: text === '' ? {} : (JSON.parse(text) as Answer['body']),
      }
    },
    async close() {
      await new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      })
      await scim.close()
      if (!options.store) await store.close()
    },
  }
}

/** A person as Okta's client creates them, with the password that it makes up. */
export function oktaUser(login: string, more: object = {}): object {
  return {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
    userName: login,
    name: { givenName: 'Test', familyName: 'User' },
    emails: [{ primary: true, value: login, type: 'work' }],
    displayName: 'Test User',
    locale: 'en-US',
    externalId: `00u-${login}`,
    groups: [],
    password: '1mz050nq',
    active: true,
    ...more,
  }
}

export function oktaGroup(displayName: string, members: readonly string[] = []): object {
  return {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
    displayName,
    members: members.map((value) => ({ value, display: 'u@x' })),
  }
}

export function patchOf(...operations: readonly object[]): object {
  return { schemas: [PATCH_OP], Operations: operations }
}

export function filter(attribute: string, value: string): string {
  return `filter=${encodeURIComponent(`${attribute} eq ${JSON.stringify(value)}`)}`
}
