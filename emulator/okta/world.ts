import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock, Logger } from '../../src/types.ts'
import type { Control } from './control.ts'
import { consoleEndpoints } from './console.ts'
import type { Call } from './http/call.ts'
import { type CallLog, createCallLog } from './http/call-log.ts'
import { createFaultPlan, type FaultPlan } from './http/faults.ts'
import { createPipeline } from './http/pipeline.ts'
import { createRateLimiter, type RateLimiter, type RateLimitOptions } from './http/rate-limit.ts'
import { createRouter } from './http/router.ts'
import { authenticate, authorize } from './management/api-token.ts'
import { appEndpoints } from './management/apps.ts'
import type { Management } from './management/context.ts'
import { groupEndpoints } from './management/groups.ts'
import { userEndpoints } from './management/users.ts'
import { createIds } from './model/ids.ts'
import { createOrg, type Org } from './model/org.ts'
import type { ApiToken } from './model/types.ts'
import type { Keys } from './oidc/keys.ts'
import { oidcEndpoints } from './oidc/routes.ts'
import { createOidcStorage, type OidcStorage } from './oidc/storage.ts'
import { createTokens } from './oidc/tokens.ts'
import { plant, type Seed } from './seed.ts'

/** One org and everything that answers for it. A reset makes a new one; the listener and the keys stay. */
export interface World {
  readonly org: Org
  readonly calls: CallLog
  readonly faults: FaultPlan
  readonly limiter: RateLimiter
  readonly storage: OidcStorage
  readonly keysOf: (serverId: string) => Keys
  readonly serve: (req: IncomingMessage, res: ServerResponse) => Promise<void>
}

export interface WorldDeps {
  readonly url: string
  readonly clock: Clock
  readonly log: Logger
  readonly seed: Seed
  readonly rates: RateLimitOptions
  readonly cursorKey: string
  readonly keysOf: (serverId: string) => Keys
  /** For the page and the control API. */
  readonly control: () => Control
}

export function createWorld(deps: WorldDeps): World {
  const { clock, url, seed } = deps
  const org = createOrg({
    clock,
    ids: createIds(seed.orgId ?? 'emulator'),
    ...(seed.orgId !== undefined && { id: seed.orgId }),
    ...(seed.everyoneId !== undefined && { everyoneId: seed.everyoneId }),
  })
  const storage = createOidcStorage({ clock, org })
  // Okta ends the sessions of somebody who may no longer sign in; a deactivation ends their tokens too.
  org.onOccurrence(({ eventType, personId }) => {
    if (!personId) return
    const status = org.people.get(personId)?.status
    if (eventType === 'user.lifecycle.deactivate') storage.endPerson(personId, true)
    else if (status !== undefined && status !== 'ACTIVE') storage.endPerson(personId, false)
  })
  plant(org, seed)

  const tokenOf = new WeakMap<Call, ApiToken>()
  const management: Management = {
    org,
    url,
    paging: { clock, url, cursorKey: deps.cursorKey },
    tokenOf(call) {
      const token = tokenOf.get(call)
      if (!token) throw new TypeError('call without a token')
      return token
    },
    endSessions: (personId, tokens) => storage.endPerson(personId, tokens),
  }
  const calls = createCallLog()
  const faults = createFaultPlan()
  const limiter = createRateLimiter(clock, deps.rates)
  const oidc = { url, clock, org, storage, tokens: createTokens({ clock }), log: deps.log, keysOf: deps.keysOf }
  const serve = createPipeline({
    clock,
    log: deps.log,
    calls,
    faults,
    limiter,
    find: createRouter([
      ...oidcEndpoints(oidc),
      ...userEndpoints(management),
      ...groupEndpoints(management),
      ...appEndpoints(management),
      ...consoleEndpoints({ url, control: deps.control }),
    ]),
    authenticate(call) {
      const token = authenticate(call, org, clock)
      authorize(token, call.method === 'GET' ? 'read' : 'write')
      tokenOf.set(call, token)
      return token
    },
  })
  return { org, calls, faults, limiter, storage, keysOf: deps.keysOf, serve }
}
