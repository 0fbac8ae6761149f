import { createScim, type Scim } from '../../../src/directory/scim/server.ts'
import { Secret } from '../../../src/lib/secret.ts'
import type { Clock, Logger, Store } from '../../../src/types.ts'
import { recordedLog } from './recorded-log.ts'

export const TOKEN = 'scim-token'

export interface Instance {
  readonly scim: Scim
  send(method: string, path: string, body?: object): Promise<{ readonly status: number; readonly body: ScimBody }>
  /** `active A B`, `inactive`, `unknown`. */
  look(subject: string): Promise<string>
}

export interface ScimBody {
  readonly id: string
  readonly detail?: string
  readonly members?: readonly { readonly value: string }[]
  readonly totalResults?: number
}

/** One process with a SCIM server on a store that it may share. */
export function scimInstance(deps: {
  readonly store: Store
  readonly clock: Clock
  readonly logger?: Logger
  readonly issuer?: string
}): Instance {
  const scim = createScim({
    ...deps,
    issuer: deps.issuer ?? 'https://org.okta.example',
    logger: deps.logger ?? recordedLog(),
    token: new Secret(TOKEN),
    baseUrl: () => new URL('https://authenticate.localhost/.postern/scim/v2/'),
  })
  return {
    scim,
    async send(method, path, body) {
      const [pathname = '', query] = path.split('?')
      const answer = await scim.handle({
        method,
        path: pathname,
        query: new URLSearchParams(query),
        authorization: `Bearer ${TOKEN}`,
        body: body === undefined ? '' : JSON.stringify(body),
      })
      return { status: answer.status, body: JSON.parse(answer.body || '{}') as ScimBody }
    },
    async look(subject) {
      const entry = await scim.source.lookup(subject, new AbortController().signal)
      return entry ? [entry.status, ...entry.groups.map(({ name }) => name).sort()].join(' ') : 'unknown'
    },
  }
}
