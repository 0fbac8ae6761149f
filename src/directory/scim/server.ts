import { toAppError } from '../../errors.ts'
import { constantTimeEqual } from '../../lib/crypto.ts'
import { createFaultLog, createFaultTally } from '../../lib/fault-tally.ts'
import type { CurrentSecret } from '../../lib/secret.ts'
import type { Clock, Logger, Store, Subject, Unsubscribe } from '../../types.ts'
import type { DirectorySource, ScimServer } from '../model.ts'
import { createDiscovery } from './discovery.ts'
import { createEndpoint, type Endpoint, notAllowed } from './endpoint.ts'
import { createKinds } from './kinds.ts'
import { type Refusal, refuse, reply, type ScimRequest, type ScimResponse } from './message.ts'
import { createRegistry } from './registry.ts'
import { createScimSource } from './source.ts'

export interface Scim extends ScimServer {
  /** Never rejects: a fault is a 503 with a SCIM body, which clients try again. */
  handle(request: ScimRequest): Promise<ScimResponse>
  readonly source: DirectorySource
  /** A push changed somebody's status or groups, here or in another process: time to look them up again. */
  onChange(listener: (subject: Subject) => void): Unsubscribe
  /** Reads the store. Rejects with ERR_STORE_…; `handle` and `source` then try again by themselves. */
  start(): Promise<void>
  close(): Promise<void>
}

const NOT_FOUND: Refusal = { refused: 404, detail: 'there is no such resource' }
/** Ids are ours; anything else is nobody, and nothing is looked up for it. */
const ID = /^[\w-]{22}$/

/**
 * A SCIM 2.0 server (RFC 7643, RFC 7644) for Okta's client in both dialects: people and groups are pushed, nobody is asked.
 * `issuer`: who issues the subjects that are pushed as `externalId`;
 * `baseUrl`: where it is reached now, e.g. `https://authenticate.corp.example/.postern/scim/v2`; `token`: what clients show.
 */
export function createScim(deps: {
  readonly store: Store
  readonly clock: Clock
  readonly issuer: string
  readonly token: CurrentSecret
  readonly baseUrl: () => URL
  readonly logger: Logger
  /** See `createRegistry`. */
  readonly adoptsOlder?: boolean
}): Scim {
  const { store, clock, token, logger } = deps
  const tell = createFaultLog(deps)
  const tally = createFaultTally(clock)
  const registry = createRegistry(deps)
  let served: ReturnType<typeof resourcesAt> | undefined

  /** What is served where; a reload may change the address (`compatibility`). */
  function resourcesAt(href: string) {
    const baseUrl = href.replace(/\/$/, '')
    const { user, group } = createKinds(registry, baseUrl)
    const endpoints = new Map<string, Endpoint>([
      ['Users', createEndpoint({ kind: user, baseUrl, registry, clock, logger })],
      ['Groups', createEndpoint({ kind: group, baseUrl, registry, clock, logger })],
    ])
    return { href, discovery: createDiscovery(baseUrl), endpoints }
  }

  function isAuthorized(authorization: string | undefined): boolean {
    const [, shown] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? []
    return shown !== undefined && constantTimeEqual(shown, token.reveal())
  }

  function tellRefusal(): void {
    const repeated = tally('token', 'refused')
    if (repeated === undefined) return
    logger.warn({ ...(repeated && { repeated }) }, 'scim: a request without the right token was refused')
  }

  async function route(request: ScimRequest): Promise<ScimResponse> {
    const { href } = deps.baseUrl()
    if (href !== served?.href) served = resourcesAt(href)
    const { discovery, endpoints } = served
    const described = discovery.get(request.path)
    if (described) return request.method === 'GET' ? reply(200, described) : notAllowed('GET')
    const [, name = '', id, ...rest] = request.path.split('/')
    const endpoint = endpoints.get(name)
    if (!endpoint || rest.length > 0) return refuse(NOT_FOUND)
    await registry.ready()
    if (id === undefined) return endpoint.collection(request)
    return ID.test(id) ? endpoint.resource(request, id) : refuse(NOT_FOUND)
  }

  return {
    isAuthorized,
    async handle(request) {
      if (!isAuthorized(request.authorization)) {
        tellRefusal()
        return refuse(
          { refused: 401, detail: 'the Authorization header must carry the bearer token of this SCIM server' },
          { 'www-authenticate': 'Bearer realm="scim"' },
        )
      }
      try {
        return await route(request)
      } catch (error) {
        const { info } = toAppError(error)
        tell(error, 'scim: a request failed', { method: request.method })
        const retry = 'retryAfter' in info ? { 'retry-after': String(info.retryAfter) } : undefined
        return refuse({ refused: info.status, detail: info.sentence }, retry)
      }
    },
    source: createScimSource({ registry, store, clock }),
    onChange: (listener) => registry.onChange(listener),
    start: () => registry.ready(),
    close: () => registry.close(),
  }
}
