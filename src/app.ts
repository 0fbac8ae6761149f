/** The composition root: a `Config` becomes what serves requests. The only file that imports every folder; `new` and calls, no branch on request data. */
import { claimsAge, createClaims } from './claims.ts'
import { createGeneration, type Process } from './generation.ts'
import { createAuthenticate } from './authenticate/handlers.ts'
import { createDeviceLogin } from './authenticate/device-login.ts'
import { createFailure } from './authenticate/failure.ts'
import { createOwnSessions } from './authenticate/own-sessions.ts'
import { createPendingSeal } from './authenticate/pending.ts'
import { createProgramLogin } from './authenticate/program-login.ts'
import { createRedirects } from './authenticate/redirect.ts'
import { createStates } from './authenticate/state.ts'
import { openAutocert } from './certificates/autocert.ts'
import type { DirectoryScope } from './directory/open.ts'
import { openDirectories } from './directory/directories.ts'
import { faultFields } from './errors.ts'
import { createIntrospection } from './identity/bearer/introspection.ts'
import { createTokenIssuers } from './identity/bearer/issuers.ts'
import { createTokenReader } from './identity/bearer/reader.ts'
import { createOidcProvider } from './identity/oidc.ts'
import { createIdentityProviders } from './identity/providers.ts'
import { createProviderSignals } from './identity/signals/reader.ts'
import { createAudit } from './lib/audit.ts'
import { onTheMark, systemClock } from './lib/clock.ts'
import { type Closing, openAll } from './lib/closing.ts'
import { createFreshness, OF_THIS_MACHINE, ofShared } from './lib/freshness.ts'
import type { ProcessLogger } from './lib/log.ts'
import { readVersion } from './lib/version.ts'
import { currentSecret } from './lib/secret.ts'
import { RateLimiter } from './lib/rate-limiter.ts'
import { createRequestIds } from './lib/request-id.ts'
import { createSharedRates } from './lib/shared-rates.ts'
import { createAccessLog } from './proxy/access-log.ts'
import { createControl } from './proxy/control.ts'
import { createHandle } from './proxy/handle.ts'
import { createSignalReplies } from './proxy/provider-signals.ts'
import { pageOf } from './pages/render.ts'
import { badRequest } from './proxy/respond.ts'
import { type Listener, listen } from './server/listen.ts'
import { createLifetimes, type Lifetime } from './server/lifetime.ts'
import { meteredStore } from './server/metered-store.ts'
import { createMetrics } from './server/metrics.ts'
import type { Metric } from './server/exposition.ts'
import type { Component, SideListener } from './server/health.ts'
import { createStatus } from './server/status.ts'
import { createClientConnections } from './server/client-connections.ts'
import { listenRedirect } from './server/redirect.ts'
import { createExpiry } from './session/ends.ts'
import { createRefresher } from './session/refresher.ts'
import { createSessions } from './session/sessions.ts'
import { hasOlderSessions } from './session/tables.ts'
import { createStreamRegistry } from './session/streams.ts'
import { endUnheard } from './session/unheard.ts'
import { checkStoreKey } from './store/key-check.ts'
import { isShared, openStore } from './store/open.ts'
import type { Clock, Logger, Owe, Span } from './types.ts'
import { credentialsOf, rotated } from './config/credentials.ts'
import type { Config, DirectorySecrets, Fixed, IdpConfig, Live } from './config/model.ts'
import type { Route } from './config/route-model.ts'
import type { Generation } from './http/exchange.ts'
import { createServiceTokens } from './tokens/service-tokens.ts'
import { createAssertionSigner } from './upstream/assertion.ts'
import { createUpstreams } from './upstream/forward.ts'
import { createViews } from './views.ts'

/** What serves requests, in this process. */
export interface Serving {
  readonly listener: Listener
  /** Plain HTTP that leads to https; absent when the configuration names no address for it. */
  readonly redirect: SideListener | undefined
  components(): readonly Component[]
  metrics(): Promise<readonly Metric[]>
  /** Builds all of a new configuration that can change while running. Throws when it cannot be had; nothing has changed then. */
  prepare(next: Pick<Config, 'live' | 'warnings'>): Prepared
  /** A configuration was not taken over: the status page says so. */
  refuse(problem: string): void
  /**
   * `drained`: `drain_delay` for load balancers to notice, then no more connections; busy exchanges get `drain_timeout`,
   * then everything ends. `now`: everything ends at once.
   */
  close(how?: 'now' | 'drained'): Promise<void>
}

/** One of the two is called, once. */
export interface Prepared {
  /** Puts it into force, in one step. */
  commit(): void
  abandon(): void
}

export interface ServingOptions {
  readonly config: Config
  /** `prepare`, `dropped`, `auditLog`: absent for a logger that writes everything. */
  readonly logger: Logger & Partial<Pick<ProcessLogger, 'prepare' | 'dropped' | 'auditLog'>>
  readonly clock?: Clock
  /** Where the processes of this machine have their debts in common, unless the store has them. Absent: there is one process. */
  readonly owe?: Owe
}

const RECHECK_INTERVAL: Span = 30_000
const AT_ONCE = { drainDelay: 0, drainTimeout: 0 }

/** Rejects when something cannot be opened; what was opened before it is closed then. */
export function startServing(options: ServingOptions): Promise<Serving> {
  return openAll((closing) => openServing(options, closing))
}

async function openServing(
  { config, logger, clock = systemClock, owe: oweHere }: ServingOptions,
  closing: Closing,
): Promise<Serving> {
  const { fixed } = config
  const { sharedSecrets, sharedSignals } = fixed
  const [defaultIdp, ...otherIdps] = fixed.idps
  // A worker that follows another has the first configuration's `fixed`, and the newest `live`.
  let credentials = rotated(credentialsOf(fixed), config.live.credentials)
  const shownTo = (name: string) => credentials.idps.find((idp) => idp.name === name)
  const metrics = createMetrics({ version: readVersion(), node: process.version })
  const store = meteredStore(await openStore(fixed, { clock, logger }), metrics, clock)
  closing.add(() => store.close())
  await checkStoreKey(store, sharedSecrets)
  // A server that came back empty no longer knows whose it is, and would let in whoever comes next.
  const rememberKey = (): void =>
    void checkStoreKey(store, sharedSecrets).catch((error: unknown) =>
      logger.error(faultFields(error), 'store: cannot tell whose it is'),
    )
  closing.add(store.watch(() => {}, rememberKey))
  if (await hasOlderSessions(store))
    logger.warn({}, 'the store holds sessions of an older version: their cookies open nothing, people sign in again')
  const signer = createAssertionSigner(fixed)
  const audit = createAudit(logger)
  const { storeGrace } = fixed
  const trust = isShared(fixed.storage) ? ofShared(storeGrace) : OF_THIS_MACHINE
  const sessions = createSessions({
    store,
    clock,
    sharedSecrets,
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
      clientAuth: () => shownTo(idp.name)?.clientAuth ?? idp.clientAuth,
      redirectUri: new URL(idp.callbackPath, fixed.authenticateServiceUrl),
      clock,
      logger,
    })
  const idps = createIdentityProviders([providerOf(defaultIdp), ...otherIdps.map(providerOf)])
  const requestId = createRequestIds()
  const lifetimes = createLifetimes()
  const upstreams = createUpstreams({ authorities: fixed.authorities, signer, sharedSecrets, clock, logger })
  closing.add(() => upstreams.close())
  let generation: Generation & Lifetime
  const { directory, ...feeds } = openDirectories({
    scopes: directoryScopes(fixed.idps, (name) => shownTo(name) ?? {}),
    store,
    clock,
    logger,
    routes: () => routesAndAdmin(generation.live),
    scimUrl: () => new URL(`${generation.live.naming.controlPrefix}/scim/v2`, fixed.authenticateServiceUrl),
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
    refreshed: (outcome) => refreshes([outcome])(),
    renewed: ({ provider = defaultIdp.name, identity }) =>
      claims.tell(provider, identity, generation.live, clock.now()),
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
  const shared: Process = {
    fixed,
    idps,
    sessions,
    tokens,
    bearers,
    directory,
    refresher,
    upstreams,
    requestId,
    lifetimes,
    rateCounts: { client: countRates(), person: countRates() },
  }
  generation = createGeneration(shared, config.live, 1)
  directory.onChange((person) => streams.recheck(person))
  directory.onSessionsEnd(async (person, before) => void (await sessions.revokePerson(person, 'directory', before)))
  await feeds.start()
  const ownSessions = createOwnSessions({ sessions, idps, clock })
  const redirects = createRedirects(sharedSecrets)
  const authenticate = createAuthenticate({
    idps,
    ownSessions,
    sessions,
    directory,
    store,
    redirects,
    pendingSeal: createPendingSeal(sharedSecrets),
    states: createStates(sharedSecrets),
    sharedSecrets,
    clock,
    logger,
    admit: (...said) => claims.admit(...said),
  })
  const deviceLogin = createDeviceLogin({
    idps,
    sessions,
    directory,
    admit: (...asked) => claims.admit(...asked),
    sharedSecrets,
    clock,
  })
  const programs = createProgramLogin({
    sessions,
    ownSessions,
    idps,
    directory,
    store,
    redirects,
    csrf: authenticate.csrf,
    sharedSecrets,
    deviceLogin,
    failure: createFailure({ clock, logger }),
    clock,
    audit,
  })
  const signalMessages = metrics.counter('provider_signals_total', 'Messages that identity providers pushed.', [
    'signal',
    'outcome',
  ])
  const certificateOrders = metrics.counter('certificate_orders_total', 'Orders of certificates by ACME.', ['outcome'])
  const autocert =
    fixed.acme &&
    (await openAutocert({
      config: fixed.acme,
      sharedSecrets,
      hosts: () => generation.live.acmeHosts,
      store,
      clock,
      logger,
      ordered: (outcome) => certificateOrders([outcome])(),
    }))
  closing.add(() => autocert?.close())
  const components = createStatus({
    fixed,
    live: () => generation.live,
    metrics,
    directory,
    directoryState: () => feeds.metrics(),
    certificates: () => autocert?.state() ?? [],
    upstreams: () => upstreams.states(),
    store,
    streams,
    idps: idps.all,
    clock,
    auditTrouble: () => logger.auditLog?.trouble(),
  })
  if (fixed.metricsAddress || fixed.telemetry?.metrics) await metrics.observeProcess()
  const views = createViews({
    ownSessions,
    sessions,
    idps,
    directory,
    refresher,
    authenticate,
    fixed,
    live: () => generation.live,
    warnings: config.warnings,
    components,
    upstreams: () => upstreams.states(),
    directoryState: () => feeds.metrics(),
    streams,
    clock,
  })
  const accessLog = createAccessLog(logger, clock, (sample) => {
    metrics.request(sample)
    views.record(sample)
    sample.trace?.end(sample)
  })
  const { telemetry } = fixed
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
  const handle = createHandle({
    generation: () => generation,
    directory,
    streams,
    control: createControl({
      clock,
      authenticate,
      ...views.pages,
      programs,
      tokens,
      signals: createSignalReplies({
        signals: createProviderSignals({
          configs: fixed.idps,
          idps,
          sharedSignals: sharedSignals && {
            ...sharedSignals,
            authorization: currentSecret(() => credentials.sharedSignals ?? sharedSignals.authorization),
          },
          clock,
        }),
        sessions,
        directory,
        store,
        clock,
        logger,
        record: (...labels) => signalMessages(labels)(),
      }),
      hook: feeds.hook,
      scim: feeds.scim,
      jwks: () => signer.jwks(),
      recordFlow: (...step) => metrics.flow(...step),
    }),
    startSignIn: (...asked) => authenticate.startSignIn(...asked),
    accessLog,
    tracing: traces?.tracing,
    clock,
  })

  metrics.gauge(
    'config_generations',
    'The configuration in force, and earlier ones with open requests.',
    () => lifetimes.alive(),
    'max',
  )
  metrics.gauge('http_server_active_requests', 'Open requests and tunnels.', () => listener.active())
  metrics.gauge('log_lines_dropped', 'Log lines that standard output did not take.', () => logger.dropped?.() ?? 0)
  metrics.gauge(
    'audit_lines_dropped',
    'Audit lines that the place of audit_log did not take.',
    () => logger.auditLog?.dropped() ?? 0,
  )
  // Ages, expiries and rules about time change decisions without any event; times of day are mostly written in minutes.
  const recheck = (): void => {
    streams.recheck()
    // Sessions of open streams are kept fresh as well, and what a refresh says of their people counts.
    void streams.confirm().then(() => streams.recheck())
  }
  closing.add(onTheMark(clock, RECHECK_INTERVAL, recheck))
  sessions.onEnd((id) => streams.end(id, 'signed-out'))
  tokens.onEnd((id) => streams.end(id, 'revoked'))
  closing.add(endUnheard({ store, streams, clock, ...(isShared(fixed.storage) && { storeGrace }) }))

  const connections = createClientConnections(config.live)
  const redirect =
    fixed.httpRedirectAddr &&
    (await listenRedirect(fixed.httpRedirectAddr, {
      httpsOriginOf: (host) => generation.routes.httpsOriginOf(host),
      challenge: async (token) => autocert?.challenge(token),
      connections,
      logger,
    }))
  closing.add(() => redirect?.close())

  const listener = await listen({
    listen: fixed.listen,
    tls: fixed.listen.tls
      ? {
          certificate: config.live.certificate,
          certificates: config.live.certificates,
          downstreamMtls: config.live.downstreamMtls,
          ordered: autocert && ((host) => autocert.certificateOf(host)),
        }
      : undefined,
    proxyProtocol: fixed.useProxyProtocol,
    trustedProxies: config.live.trustedProxies,
    connections,
    timeouts: config.live,
    codecType: config.live.codecType,
    clock,
    logger,
    handle,
    refused(refusal) {
      const facts = { kind: 'bad-request', id: requestId(), ...refusal } as const
      accessLog(
        { startedAt: clock.monotonic(), logChoice: generation.live, facts },
        { status: refusal.status, bytesOut: 0 },
      )
      return badRequest(facts, pageOf(generation, facts.id, clock.now()))
    },
  })
  autocert?.start()
  return {
    listener,
    redirect,
    components,
    metrics: () => metrics.read(),
    refuse: (problem) => views.refuse(problem),
    prepare({ live: next, warnings }) {
      const commitListener = listener.prepare(next)
      // Last, because it opens a file.
      const prepared = createGeneration(shared, next, generation.version + 1)
      const log = prepareLog(logger, next, prepared)
      return {
        commit() {
          const before = generation
          generation = prepared
          credentials = rotated(credentials, next.credentials)
          feeds.rotate()
          views.replaced(warnings)
          commitListener()
          before.retire()
          log?.commit()
          streams.recheck()
          void autocert?.renew()
        },
        abandon() {
          log?.abandon()
          prepared.retire()
        },
      }
    },
    async close(how = 'now') {
      const { drainDelay: delay, drainTimeout: timeout } = how === 'now' ? AT_ONCE : generation.live
      listener.drain()
      if (delay > 0) await new Promise<void>((resolve) => clock.after(delay, resolve))
      const stopTimeout = timeout > 0 ? clock.after(timeout, () => listener.destroy()) : () => {}
      const stopped = listener.stop()
      logger.info({}, 'accepting no more')
      if (timeout <= 0) listener.destroy()
      await stopped
      stopTimeout()
      await closing.close()
    },
  }
}

/** The groups of all of them are named, and looked after. */
function routesAndAdmin({ routes, admin }: Live): readonly Route[] {
  return admin ? [...routes, admin] : routes
}

/** With what was prepared before it, or not at all. */
function prepareLog(logger: ServingOptions['logger'], next: Live, prepared: Lifetime) {
  try {
    return logger.prepare?.(next)
  } catch (error) {
    prepared.retire()
    throw error
  }
}

/** One for each issuer: providers that share one are clients of the same people. */
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
