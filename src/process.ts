/** What is opened once: the store, sessions, identity providers, directories, the way to upstreams. */
import { claimsAge, createClaims } from './claims.ts'
import type { DirectoryScope } from './directory/open.ts'
import { openDirectories } from './directory/directories.ts'
import { faultFields } from './errors.ts'
import { createIntrospection } from './identity/bearer/introspection.ts'
import { createTokenIssuers } from './identity/bearer/issuers.ts'
import { createTokenReader } from './identity/bearer/reader.ts'
import { createOidcProvider } from './identity/oidc.ts'
import { createIdentityProviders } from './identity/providers.ts'
import { createAudit } from './lib/audit.ts'
import { systemClock } from './lib/clock.ts'
import type { Closing } from './lib/closing.ts'
import type { ProcessLogger } from './lib/log.ts'
import { observedStore } from './lib/observed.ts'
import type { Clock, Logger, Owe } from './types.ts'
import { createFreshness, OF_THIS_MACHINE, ofShared } from './lib/freshness.ts'
import { readVersion } from './lib/version.ts'
import { RateLimiter } from './lib/rate-limiter.ts'
import { createRequestIds } from './lib/request-id.ts'
import { createSharedRates } from './lib/shared-rates.ts'
import { createLifetimes } from './server/lifetime.ts'
import { meteredStore } from './server/metered-store.ts'
import { createMetrics } from './server/metrics.ts'
import { createExpiry } from './session/ends.ts'
import { createRefresher } from './session/refresher.ts'
import { createSessions } from './session/sessions.ts'
import { hasOlderSessions } from './session/tables.ts'
import { createStreamRegistry } from './session/streams.ts'
import { checkStoreKey } from './store/key-check.ts'
import { isShared, openStore } from './store/open.ts'
import { createRotation } from './rotation.ts'
import { holdCredentials, SETTLING } from './credentials.ts'
import type { Config, DirectorySecrets, Fixed, IdpConfig, Live } from './config/model.ts'
import type { Route } from './config/route-model.ts'
import { createServiceTokens } from './tokens/service-tokens.ts'
import { createAssertionSigner } from './upstream/assertion.ts'
import { createUpstreams } from './upstream/forward.ts'

export interface ServingOptions {
  readonly config: Config
  /** `prepare`, `dropped` and `auditLog` are absent for a logger that cannot change or lose lines. */
  readonly logger: Logger & Partial<Pick<ProcessLogger, 'prepare' | 'dropped' | 'auditLog'>>
  readonly clock?: Clock
  /** Shares what rate limits count among the processes of this machine, unless the store does. Absent: there is one process. */
  readonly owe?: Owe
}

export type Process = Awaited<ReturnType<typeof openProcess>>

/** `live`: of the generation in force. */
export async function openProcess(
  { config, logger, clock = systemClock, owe: oweHere }: ServingOptions,
  live: () => Live,
  closing: Closing,
) {
  const { fixed } = config
  const { storeGrace } = fixed
  const [defaultIdp, ...otherIdps] = fixed.idps
  const credentials = holdCredentials(config, { clock, changed: () => rotation.follow() })
  const { keyRings, keptRings } = credentials
  closing.add(() => credentials.close())
  const metrics = createMetrics({ version: readVersion(), node: process.version })
  const { telemetry, storage } = fixed
  const traces =
    telemetry?.traces &&
    (await import('./server/telemetry/traces.ts')).openTraces({
      config: telemetry,
      traces: telemetry.traces,
      version: readVersion(),
      metrics,
      clock,
      logger,
    })
  closing.add(() => traces?.close())
  const waitingFor = traces?.waitingFor
  const opened = await openStore(fixed, { keyRings: keptRings, clock, logger })
  const store = meteredStore(observedStore(opened, waitingFor, storage.kind), metrics, clock)
  closing.add(() => store.close())
  const beginWith = await checkStoreKey(store, keyRings)
  credentials.beginWith(beginWith)
  const rotation = createRotation({ fixed, store, credentials, clock, logger })
  closing.add(() => rotation.close())
  // A store server that came back empty has lost the mark of our shared secret: write it again before another deployment does.
  const rememberKey = (): void =>
    void checkStoreKey(store, keyRings).catch((error: unknown) =>
      logger.error(faultFields(error), 'store: cannot tell which shared_secret it belongs to'),
    )
  closing.add(store.watch(() => {}, rememberKey))
  if (await hasOlderSessions(store))
    logger.warn(
      {},
      'the store holds sessions of an older version: their cookies are not valid any more, people sign in again',
    )
  const signer = createAssertionSigner({ keys: config.live.credentials, beginWith, settling: SETTLING, clock })
  closing.add(() => signer.close())
  const audit = createAudit(logger)
  const trust = isShared(fixed.storage) ? ofShared(storeGrace) : OF_THIS_MACHINE
  const sessions = createSessions({
    store,
    clock,
    keyRings,
    audit,
    trust,
    maxClaimsAge: (provider) => claimsAge(fixed, provider),
  })
  const tokens = createServiceTokens({ store, clock, audit, freshness: createFreshness({ store, clock, trust }) })
  const streams = createStreamRegistry({ clock })
  closing.add(() => {
    streams.close()
    tokens.close()
    sessions.close()
  })
  const providerOf = (idp: IdpConfig) =>
    createOidcProvider({
      idp,
      clientAuth: () => credentials.clientAuth(idp),
      redirectUri: new URL(idp.callbackPath, fixed.authenticateServiceUrl),
      clock,
      logger,
      waitingFor,
    })
  const idps = createIdentityProviders([providerOf(defaultIdp), ...otherIdps.map(providerOf)])
  closing.add(() => idps.all.forEach((idp) => idp.close()))
  const upstreams = createUpstreams({ authorities: fixed.authorities, signer, keyRings, clock, logger })
  closing.add(() => upstreams.close())
  const { directory, ...feeds } = openDirectories({
    scopes: directoryScopes(fixed.idps, credentials.ofDirectory),
    store,
    clock,
    logger,
    waitingFor,
    routes: () => routesAndAdmin(live()),
    scimUrl: () => new URL(`${live().naming.controlPrefix}/scim/v2`, fixed.authenticateServiceUrl),
  })
  closing.add(() => feeds.close())
  const claims = createClaims(fixed, directory, logger)
  const refreshes = metrics.counter('session_refreshes_total', 'Refreshes of the tokens of sessions.', ['outcome'])
  const refresher = createRefresher({
    sessions,
    store,
    idps,
    clock,
    logger,
    mayCall: fixed.services !== 'proxy',
    credentialsSince: (provider) => credentials.since(provider),
    refreshed: (outcome) => refreshes([outcome])(),
    renewed: ({ provider = defaultIdp.name, identity }) => claims.tell(provider, identity, live(), clock.now()),
  })
  closing.add(() => refresher.close())
  const expiry = createExpiry({ store, sessions, clock, logger })
  closing.add(() => expiry.close())
  const bearers = createTokenReader({
    configs: fixed.idps,
    idps,
    issuers: createTokenIssuers(fixed.tokenIssuers, clock),
    introspection: createIntrospection({ clock }),
    clock,
  })
  const owe = store.owe ?? oweHere
  const sharedRates = owe && createSharedRates({ owe, clock, logger })
  closing.add(() => sharedRates?.close())
  const countRates = (): RateLimiter => new RateLimiter({ spent: sharedRates?.spent })
  return {
    fixed,
    live,
    clock,
    logger,
    metrics,
    tracing: traces?.tracing,
    credentials,
    keyRings,
    store,
    signer,
    audit,
    sessions,
    tokens,
    streams,
    idps,
    requestId: createRequestIds(),
    lifetimes: createLifetimes(),
    upstreams,
    directory,
    feeds,
    claims,
    refresher,
    bearers,
    rateCounts: { client: countRates(), person: countRates() },
  }
}

/** The routes whose groups the directories follow. */
function routesAndAdmin({ routes, admin }: Live): readonly Route[] {
  return admin ? [...routes, admin] : routes
}
/** One for each issuer: providers of one issuer share its people. */
function directoryScopes(
  [first, ...others]: Fixed['idps'],
  secretsOf: (provider: string) => DirectorySecrets,
): readonly [DirectoryScope, ...DirectoryScope[]] {
  const clientsOf = (issuer: string) => [first, ...others].filter((idp) => idp.issuer === issuer)
  const scopeOf = ({ name, issuer, directory: config }: IdpConfig): DirectoryScope => ({
    issuer,
    config,
    secrets: () => secretsOf(name),
    apps: clientsOf(issuer).map(({ clientId }) => clientId),
  })
  return [scopeOf(first), ...others.filter((idp) => clientsOf(idp.issuer)[0] === idp).map(scopeOf)]
}
