/** The composition root: a `Config` becomes a running Postern. The only file that imports every folder; `new` and calls, no branch on request data. */
import { createAuthenticate } from './authenticate/handlers.ts'
import { createDeviceLogin } from './authenticate/device-login.ts'
import { createFailure } from './authenticate/failure.ts'
import { createOwnSessions } from './authenticate/own-sessions.ts'
import { createPendingSeal } from './authenticate/pending.ts'
import { createProgramLogin } from './authenticate/program-login.ts'
import { createRedirects } from './authenticate/redirect.ts'
import { createStates } from './authenticate/state.ts'
import { openAutocert } from './certificates/autocert.ts'
import { cookieNames, ownCookieNames } from './config/cookie-names.ts'
import { entryFromClaims } from './directory/claims.ts'
import type { DirectoryScope } from './directory/open.ts'
import { type Directories, openDirectories } from './directory/directories.ts'
import { messageOf } from './errors.ts'
import { groupsFromClaims, isClaimAbsent } from './identity/claims.ts'
import { createBearerAuthenticator } from './identity/bearer/authenticator.ts'
import { createIntrospection } from './identity/bearer/introspection.ts'
import { createTokenIssuers } from './identity/bearer/issuers.ts'
import { createTokenReader, type TokenReader } from './identity/bearer/reader.ts'
import { createOidcProvider } from './identity/oidc.ts'
import { createIdentityProviders } from './identity/providers.ts'
import { createProviderSignals } from './identity/signals/reader.ts'
import { createAudit } from './lib/audit.ts'
import { onTheMark, systemClock } from './lib/clock.ts'
import { type Closing, openAll } from './lib/closing.ts'
import { createFreshness, OF_THIS_MACHINE, ofShared } from './lib/freshness.ts'
import type { ProcessLogger } from './lib/log.ts'
import { personKey } from './lib/person.ts'
import { readVersion } from './lib/version.ts'
import { createRequestIds } from './lib/request-id.ts'
import { isAddressUnverified } from './policy/address.ts'
import { asksForGroups, policiesOf } from './policy/explain.ts'
import { createAccessLog } from './proxy/access-log.ts'
import { createControl } from './proxy/control.ts'
import { createHandle } from './proxy/handle.ts'
import { createSignalReplies } from './proxy/provider-signals.ts'
import { badRequest } from './proxy/respond.ts'
import { createUserViews } from './proxy/user.ts'
import { createCertificateTable, misdirected } from './routing/certificates.ts'
import { createRouteTable } from './routing/table.ts'
import { compileTrust, parseTarget } from './routing/target.ts'
import { type Listener, listen } from './server/listen.ts'
import { createLifetimes, type Lifetime, type Lifetimes } from './server/lifetime.ts'
import { meteredStore } from './server/metered-store.ts'
import { createMetrics } from './server/metrics.ts'
import type { SideListener } from './server/health.ts'
import { type Operations, startOperations } from './server/operations.ts'
import { listenRedirect } from './server/redirect.ts'
import { compareConfig, type Reload } from './server/reload.ts'
import { createSessionAuthenticator } from './session/authenticator.ts'
import { createExpiry } from './session/ends.ts'
import { createProgramAuthenticator } from './session/program-authenticator.ts'
import { createRefresher, type Refresher } from './session/refresher.ts'
import { createSessions } from './session/sessions.ts'
import { hasOlderSessions } from './session/tables.ts'
import { createStreamRegistry } from './session/streams.ts'
import { endUnheard } from './session/unheard.ts'
import { checkStoreKey } from './store/key-check.ts'
import { isShared, openStore } from './store/open.ts'
import type { Clock, Identity, IdentityProviders, Logger, Span, Sessions, Tokens, WallTime } from './types.ts'
import type { Config, Fixed, IdpConfig, Live } from './config/model.ts'
import type { Directory } from './directory/model.ts'
import type { Generation, RequestHead } from './http/exchange.ts'
import { later } from './lib/time.ts'
import { createServiceTokenAuthenticator } from './tokens/authenticator.ts'
import type { ServiceTokens } from './tokens/model.ts'
import { createServiceTokens } from './tokens/service-tokens.ts'
import { createAssertionSigner } from './upstream/assertion.ts'
import { createUpstreams, type Upstreams } from './upstream/forward.ts'

export interface App {
  readonly listener: Listener
  readonly operations: Operations
  /** Plain HTTP that leads to https; absent when the configuration names no address for it. */
  readonly redirect: SideListener | undefined
  /** Puts a new configuration into force, in one step, as far as it can change while running. */
  reload(next: Config): Reload
  /** A configuration that was not accepted: the last good one stays, and says so. */
  refuse(problem: string): void
  /**
   * `drained`: not ready, then `drain_delay` for load balancers to notice, then no more connections; busy exchanges get
   * `drain_timeout`, then everything ends. `now`: everything ends at once.
   */
  close(how?: 'now' | 'drained'): Promise<void>
}

export interface AppOptions {
  readonly config: Config
  /** `setLevel`, `dropped`: absent for a logger that writes everything. */
  readonly logger: Logger & Partial<Pick<ProcessLogger, 'setLevel' | 'dropped'>>
  readonly clock?: Clock
}

const RECHECK_INTERVAL: Span = 30_000
const AT_ONCE = { drainDelay: 0, drainTimeout: 0 }

/** Rejects when something cannot be opened; what was opened before it is closed then. */
export function startApp(options: AppOptions): Promise<App> {
  return openAll((closing) => openApp(options, closing))
}

async function openApp({ config, logger, clock = systemClock }: AppOptions, closing: Closing): Promise<App> {
  const { fixed } = config
  const { sharedSecrets } = fixed
  const [defaultIdp, ...otherIdps] = fixed.idps
  const metrics = createMetrics({ version: readVersion(), node: process.version })
  const store = meteredStore(await openStore(fixed, { clock, logger }), metrics, clock)
  closing.add(() => store.close())
  await checkStoreKey(store, sharedSecrets)
  // A server that came back empty no longer knows whose it is, and would let in whoever comes next.
  const rememberKey = (): void =>
    void checkStoreKey(store, sharedSecrets).catch((error: unknown) =>
      logger.error({ error: messageOf(error) }, 'store: cannot tell whose it is'),
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
    createOidcProvider({ idp, redirectUri: new URL(idp.callbackPath, fixed.authenticateServiceUrl), clock, logger })
  const idps = createIdentityProviders([providerOf(defaultIdp), ...otherIdps.map(providerOf)])
  const requestId = createRequestIds()
  const lifetimes = createLifetimes()
  const upstreams = createUpstreams({ authorities: fixed.authorities, signer, sharedSecrets, clock, logger })
  closing.add(() => upstreams.close())
  let generation: Generation & Lifetime
  const { directory, ...feeds } = openDirectories({
    scopes: directoryScopes(fixed.idps),
    store,
    clock,
    logger,
    routes: () => generation.live.routes,
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
  const user = createUserViews({ ownSessions, sessions, directory, authenticate, clock })
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
  const operations = await startOperations({
    fixed,
    certificates: () => autocert?.state() ?? [],
    live: () => generation.live,
    metrics,
    directory,
    directoryState: () => feeds.metrics(),
    upstreams: () => upstreams.states(),
    store,
    streams,
    clock,
    logger,
  })
  closing.add(() => operations.close())
  const accessLog = createAccessLog(logger, clock, (sample) => metrics.request(sample))
  const handle = createHandle({
    generation: () => generation,
    directory,
    streams,
    control: createControl({
      clock,
      authenticate,
      user,
      programs,
      tokens,
      signals: createSignalReplies({
        signals: createProviderSignals({ configs: fixed.idps, idps, sharedSignals: fixed.sharedSignals, clock }),
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
    clock,
  })

  metrics.gauge('config_generations', 'The configuration in force, and earlier ones with open requests.', () =>
    lifetimes.alive(),
  )
  metrics.gauge('http_server_active_requests', 'Open requests and tunnels.', () => listener.active())
  metrics.gauge('log_lines_dropped', 'Log lines that standard output did not take.', () => logger.dropped?.() ?? 0)
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

  const redirect =
    fixed.httpRedirectAddr &&
    (await listenRedirect(fixed.httpRedirectAddr, {
      httpsOriginOf: (host) => generation.routes.httpsOriginOf(host),
      challenge: async (token) => autocert?.challenge(token),
      logger,
    }))
  closing.add(() => redirect?.close())

  const listener = await listen({
    listen: fixed.listen,
    tls: fixed.listen.tls
      ? {
          certificate: config.live.certificate,
          certificates: config.live.certificates,
          ordered: autocert && ((host) => autocert.certificateOf(host)),
        }
      : undefined,
    proxyProtocol: fixed.useProxyProtocol,
    trustedProxies: config.live.trustedProxies,
    timeouts: config.live,
    codecType: config.live.codecType,
    clock,
    logger,
    handle,
    refused(refusal) {
      const facts = { kind: 'bad-request', id: requestId(), ...refusal } as const
      accessLog({ startedAt: clock.monotonic(), facts }, { status: refusal.status, bytesOut: 0 })
      const { controlPrefix } = generation.live.naming
      return badRequest(facts, { requestId: facts.id, controlPrefix, now: clock.now() })
    },
  })
  autocert?.start()
  operations.setReady(true)
  return {
    listener,
    operations,
    redirect,
    reload(next) {
      const outcome = compareConfig(fixed, generation.live, next)
      const { live } = next
      // First, because it may refuse a certificate: then nothing has changed.
      listener.reload(live)
      const before = generation
      generation = createGeneration(shared, live, before.version + 1)
      before.retire()
      logger.setLevel?.(live.logLevel)
      streams.recheck()
      operations.reloaded(outcome)
      void autocert?.renew()
      return outcome
    },
    refuse: (problem) => operations.reloaded({ problem }),
    async close(how = 'now') {
      const { drainDelay: delay, drainTimeout: timeout } = how === 'now' ? AT_ONCE : generation.live
      operations.setReady(false)
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

/** What is built once, and every generation uses. */
interface Process {
  readonly fixed: Fixed
  readonly idps: IdentityProviders
  readonly sessions: Sessions
  readonly tokens: ServiceTokens
  readonly bearers: TokenReader
  readonly directory: Directory
  readonly refresher: Refresher
  readonly upstreams: Upstreams
  readonly requestId: () => string
  readonly lifetimes: Lifetimes
}

/** Everything live, whole. What it opened closes when it is retired and its last exchange has left. */
function createGeneration(
  { fixed, idps, sessions, tokens, bearers, directory, refresher, upstreams, requestId, lifetimes }: Process,
  live: Live,
  version: number,
): Generation & Lifetime {
  const names = { https: cookieNames(live, 'https'), http: cookieNames(live, 'http') }
  const trust = compileTrust({ proxies: live.trustedProxies, hops: live.xffNumTrustedHops })
  const certificates = createCertificateTable(live, live.acmeHosts)
  const routes = fixed.services === 'authenticate' ? [] : live.routes
  const forwarder = upstreams.open({ config: { ...live, routes }, cookieNames: ownCookieNames(live) })
  return Object.freeze({
    ...lifetimes.begin(() => forwarder.end()),
    version,
    fixed,
    live,
    cookieNames: names,
    parse(head: RequestHead) {
      const asked = parseTarget(head, trust, requestId(), live.identityHeaders)
      return 'kind' in asked ? asked : (misdirected(asked, head.connection, certificates) ?? asked)
    },
    routes: createRouteTable(fixed, live),
    authenticators: [
      createSessionAuthenticator({ sessions, directory, idps, refresher, cookieNames: names }),
      createProgramAuthenticator({ sessions, directory, idps, refresher }),
      createServiceTokenAuthenticator(tokens),
      createBearerAuthenticator({ reader: bearers, directory, fixed, live }),
    ],
    forwarder,
  })
}

/** One for each issuer: providers that share one are clients of the same people. */
function directoryScopes([first, ...others]: Fixed['idps']): readonly [DirectoryScope, ...DirectoryScope[]] {
  const clientsOf = (issuer: string) => [first, ...others].filter((idp) => idp.issuer === issuer)
  const scopeOf = ({ issuer, directory: config }: IdpConfig): DirectoryScope => ({
    issuer,
    config,
    apps: clientsOf(issuer).map(({ clientId }) => clientId),
  })
  return [scopeOf(first), ...others.filter((idp) => clientsOf(idp.issuer)[0] === idp).map(scopeOf)]
}

/** Where no directory is read, what the provider says at a sign-in and at each refresh tells groups. */
function createClaims({ idps }: Fixed, directory: Directories['directory'], logger: Logger) {
  async function tell(provider: string, identity: Identity, live: Live, now: WallTime): Promise<void> {
    if (claimsAge({ idps }, provider) === undefined) return
    const { groupsClaim, groupsClaimAbsent, routes } = live
    const person = personKey(identity)
    const { claims } = identity
    const isAbsent = isClaimAbsent(claims, groupsClaim)
    const groups = isAbsent && groupsClaimAbsent === 'none' ? [] : groupsFromClaims(claims, groupsClaim)
    if (groups) return directory.observe(person, entryFromClaims(identity.subject, groups, now))
    await directory.forget(person)
    if (!routes.flatMap(policiesOf).some(asksForGroups)) return
    const what = isAbsent ? 'is neither in the ID token nor in userinfo' : 'is no list of names, or too long'
    logger.warn(
      { user_id: identity.subject, groups_claim: groupsClaim, claims: Object.keys(claims) },
      `the claim with groups ${what}: rules about groups do not let this person in`,
    )
  }

  return {
    tell,

    /** How long a session may live. Without a refresh token its groups stay those of the sign-in: it ends when they are too old, and the provider's own session makes the next sign-in a redirect. */
    async admit(
      provider: string,
      { identity, tokens }: { readonly identity: Identity; readonly tokens: Tokens },
      live: Live,
      now: WallTime,
    ): Promise<{ readonly expiresAt: WallTime }> {
      if (isAddressUnverified(identity)) {
        logger.warn(
          { user_id: identity.subject },
          'the identity provider says that the e-mail address is not verified: rules and applications do not see it (idp_allow_unverified_email)',
        )
      }
      await tell(provider, identity, live, now)
      const age = tokens.refreshToken === undefined ? claimsAge({ idps }, provider) : undefined
      return { expiresAt: later(now, Math.min(live.cookieExpire, age ?? live.cookieExpire)) }
    },
  }
}

/** Of a provider without a directory: how old groups may be that its claims told. */
function claimsAge({ idps: [first, ...others] }: Pick<Fixed, 'idps'>, provider: string | undefined): Span | undefined {
  const { directory } = others.find(({ name }) => name === provider) ?? first
  return directory.kind === 'claims' ? directory.maxStaleness : undefined
}
