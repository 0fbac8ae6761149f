import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger, Span } from '../../src/types.ts'
import type { Clock } from './clock.ts'
import { createHookDeliverer, type HookDeliverer } from './hooks/delivery.ts'
import { createHookRegistry, type HookRegistry } from './hooks/registry.ts'
import type { Call } from './http/call.ts'
import { type CallLog, createCallLog } from './http/call-log.ts'
import { createFaultPlan, type FaultPlan } from './http/faults.ts'
import { createPipeline } from './http/pipeline.ts'
import { createRateLimiter, type RateLimiter, type RateLimitOptions } from './http/rate-limit.ts'
import type { Outbound } from './http/outbound.ts'
import { createRouter, type Endpoint } from './http/router.ts'
import { createSystemLog, type SystemLog } from './log/system-log.ts'
import { appEndpoints } from './management/apps.ts'
import { authenticate, authorize, type Caller } from './management/caller.ts'
import type { Management } from './management/context.ts'
import { eventHookEndpoints } from './management/event-hooks.ts'
import { groupEndpoints } from './management/groups.ts'
import { logEndpoints } from './management/logs.ts'
import { userEndpoints } from './management/users.ts'
import { createIds } from './model/ids.ts'
import { createOrg, type Org } from './model/org.ts'
import type { Keys } from './oidc/keys.ts'
import { oidcEndpoints } from './oidc/routes.ts'
import { createServiceTokens } from './oidc/service-token.ts'
import { createOidcStorage, type OidcStorage } from './oidc/storage.ts'
import { createTokens } from './oidc/tokens.ts'
import { createProvisioner, type Provisioner } from './scim/provisioner.ts'
import { plant, type Seed } from './seed.ts'
import type { BrowserIdentities } from './browser-identities.ts'
import { createSignalSender, type SignalSender } from './signals/sender.ts'

/** One org with its endpoints, log, hooks and SCIM. A reset makes a new one; the listener and the keys stay. */
export interface World {
  readonly org: Org
  readonly calls: CallLog
  readonly faults: FaultPlan
  readonly limiter: RateLimiter
  readonly storage: OidcStorage
  readonly log: SystemLog
  readonly hooks: HookRegistry
  readonly deliverer: HookDeliverer
  readonly provisioner: Provisioner
  readonly signals: SignalSender
  /** Okta's clock ahead of (or, negative, behind) ours: `Date` and `X-Rate-Limit-Reset`, as at Okta both by the same. */
  skew: Span
  readonly keysOf: (serverId: string) => Keys
  readonly serve: (req: IncomingMessage, res: ServerResponse) => Promise<void>
  /** Stops its timers. The listener and the outbound client end running calls. */
  close(): void
}

export interface WorldDeps {
  readonly url: string
  /** Origin of the links in answers of the management API. */
  readonly apiUrl: string
  readonly clock: Clock
  readonly log: Logger
  readonly seed: Seed
  readonly rates: RateLimitOptions
  readonly cursorKey: string
  readonly outbound: Outbound
  readonly keysOf: (serverId: string) => Keys
  /** Endpoints that are not Okta's: the page and the control API. */
  readonly ownEndpoints: readonly Endpoint[]
  readonly identities?: BrowserIdentities
}

export function createWorld(deps: WorldDeps): World {
  const { clock, url, seed } = deps
  const ids = createIds(seed.orgId ?? 'emulator')
  const org = createOrg({
    clock,
    ids,
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
  // The seed is the state at the start: no events for it.
  org.quietly(() => plant(org, seed))

  const log = createSystemLog(clock)
  const hooks = createHookRegistry({ clock, ids })
  const deliverer = createHookDeliverer({ clock, org, url, hooks, outbound: deps.outbound })
  const provisioner = createProvisioner({ clock, log: deps.log, org, outbound: deps.outbound })
  const signals = createSignalSender({ url, clock, outbound: deps.outbound, keysOf: deps.keysOf })
  org.onOccurrence((occurrence) => {
    log.accept(occurrence)
    deliverer.accept(occurrence)
    provisioner.accept(occurrence)
    signals.accept(occurrence)
  })

  const callers = new WeakMap<Call, Caller>()
  const management: Management = {
    org,
    url: deps.apiUrl,
    paging: { clock, url: deps.apiUrl, cursorKey: deps.cursorKey },
    callerOf(call) {
      const caller = callers.get(call)
      if (!caller) throw new TypeError('call without a caller')
      return caller
    },
    endSessions: (personId, tokens) => storage.endPerson(personId, tokens),
  }
  const calls = createCallLog()
  const faults = createFaultPlan()
  const limiter = createRateLimiter(clock, deps.rates)
  const serviceTokens = createServiceTokens({ url, clock, org })
  const oidc = {
    url,
    clock,
    org,
    storage,
    tokens: createTokens({ clock }),
    serviceTokens,
    log: deps.log,
    keysOf: deps.keysOf,
    ...(deps.identities && { identities: deps.identities }),
  }
  const serve = createPipeline({
    clock,
    log: deps.log,
    calls,
    faults,
    limiter,
    skew: () => world.skew,
    find: createRouter([
      ...oidcEndpoints(oidc),
      ...userEndpoints(management),
      ...groupEndpoints(management),
      ...appEndpoints(management),
      ...logEndpoints(management, log),
      ...eventHookEndpoints(management, hooks, deliverer),
      ...deps.ownEndpoints,
    ]),
    authenticate(call) {
      const caller = authenticate(call, { org, clock, serviceCaller: (value) => serviceTokens.caller(value) })
      authorize(caller, call)
      callers.set(call, caller)
      return caller.id
    },
  })
  const world: World = {
    org,
    calls,
    faults,
    limiter,
    storage,
    skew: 0,
    log,
    hooks,
    deliverer,
    provisioner,
    signals,
    keysOf: deps.keysOf,
    serve,
    close() {
      log.close()
      deliverer.close()
      provisioner.close()
    },
  }
  return world
}
