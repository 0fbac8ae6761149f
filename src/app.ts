/** The composition root: a `Config` becomes a running Postern. The only file that imports every folder; `new` and calls, no branch on request data. */
import type { IncomingMessage } from 'node:http'
import { createAuthenticate } from './authenticate/handlers.ts'
import { createPendingSeal } from './authenticate/pending.ts'
import { createRedirects } from './authenticate/redirect.ts'
import { cookieNames, ownCookieNames } from './config/cookie-names.ts'
import { entryFromClaims } from './directory/claims.ts'
import type { LiveDirectory } from './directory/directory.ts'
import { openDirectory } from './directory/open.ts'
import { groupsFromClaims } from './identity/claims.ts'
import { createOidcProvider } from './identity/oidc.ts'
import { every, systemClock } from './lib/clock.ts'
import { readVersion } from './lib/version.ts'
import { createRequestIds } from './lib/request-id.ts'
import { createAccessLog } from './proxy/access-log.ts'
import { createControl } from './proxy/control.ts'
import { createHandle } from './proxy/handle.ts'
import { createRespond } from './proxy/respond.ts'
import { createUserViews } from './proxy/user.ts'
import { createRouteTable } from './routing/table.ts'
import { compileTrust, parseTarget, rawRequest } from './routing/target.ts'
import { type Listener, listen } from './server/listen.ts'
import { meteredStore } from './server/metered-store.ts'
import { createMetrics } from './server/metrics.ts'
import { type Operations, startOperations } from './server/operations.ts'
import { mergeConfig, type Reload } from './server/reload.ts'
import { createSessions } from './session/sessions.ts'
import { createStreamRegistry } from './session/streams.ts'
import { checkStoreKey } from './store/key-check.ts'
import { openLmdbStore } from './store/lmdb.ts'
import { createMemoryStore } from './store/memory.ts'
import type { Clock, Identity, Logger, Millis, Store, Tokens } from './types.ts'
import type { Config } from './config/model.ts'
import type { Generation } from './http/exchange.ts'
import { createAssertionSigner } from './upstream/assertion.ts'
import { createForwarder } from './upstream/forward.ts'

export interface App {
  readonly listener: Listener
  readonly operations: Operations
  /** Puts a new configuration into force, in one step, as far as it can change while running. */
  reload(next: Config): Reload
  /** A configuration that was not accepted: the last good one stays, and says so. */
  refuse(problem: string): void
  /** Not ready, then `delay` for load balancers to notice, then no more connections; busy exchanges get `timeout`, then everything ends. */
  close(drain?: { readonly delay: Millis; readonly timeout: Millis }): Promise<void>
}

export interface AppOptions {
  readonly config: Config
  readonly logger: Logger
  readonly clock?: Clock
}

const RECHECK_INTERVAL: Millis = 30_000

export async function startApp({ config, logger, clock = systemClock }: AppOptions): Promise<App> {
  const { sharedSecrets } = config
  const metrics = createMetrics({ version: readVersion(), node: process.version })
  const store = meteredStore(openStore(config, clock, logger), metrics, clock)
  await checkStoreKey(store, sharedSecrets)
  const sessions = createSessions({ store, clock, sharedSecrets, cookieNames: sessionCookieNames(config) })
  const streams = createStreamRegistry({ clock })
  const requestId = createRequestIds()
  let generation = createGeneration(config, 1, requestId)
  const { directory, ...feeds } = openDirectory({
    config: config.directory,
    store,
    clock,
    logger,
    app: config.idp.clientId,
    routes: () => generation.config.routes,
    scimUrl: new URL(`${config.naming.controlPrefix}/scim/v2`, config.authenticate.url),
  })
  directory.onChange((subject) => streams.recheck(subject))
  directory.onSessionsEnd(async (subject, before) => {
    const count = await sessions.revokeSubject(subject, before)
    if (count > 0) logger.info({ user_id: subject, sessions: count }, 'sessions ended: the directory says so')
  })
  await feeds.start()

  const idp = createOidcProvider({
    idp: config.idp,
    redirectUri: new URL(config.authenticate.callbackPath, config.authenticate.url),
    clock,
    logger,
  })
  const signer = createAssertionSigner(config)
  const forwarder = createForwarder({ config, cookieNames: ownCookieNames(config), signer, clock, logger })
  const authenticate = createAuthenticate({
    idp,
    sessions,
    directory,
    store,
    redirects: createRedirects({
      sharedSecrets,
      signInUrl: new URL(`${config.naming.controlPrefix}/sign_in`, config.authenticate.url),
    }),
    pendingSeal: createPendingSeal(sharedSecrets),
    sharedSecrets,
    clock,
    logger,
    admit: createAdmission(config, directory),
  })
  const respond = createRespond({ authenticate, directory, controlPrefix: config.naming.controlPrefix, clock })
  const user = createUserViews({ sessions, directory, authenticate, respond, clock })
  const operations = await startOperations({
    config,
    metrics,
    directory,
    directoryState: () => feeds.metrics(),
    streams,
    clock,
    logger,
  })
  const accessLog = createAccessLog(logger, clock, (sample) => metrics.request(sample))
  const handle = createHandle({
    generation: () => generation,
    sessions,
    directory,
    streams,
    control: createControl({
      authenticate,
      user,
      hook: feeds.hook,
      scim: feeds.scim,
      jwks: () => signer.jwks(),
      recordFlow: (...step) => metrics.flow(...step),
    }),
    respond,
    accessLog,
    clock,
  })

  metrics.gauge('http_server_active_requests', 'Requests and tunnels that have begun and not ended.', () =>
    listener.active(),
  )
  // Ages and expiries change decisions without any event.
  const stopRechecking = every(clock, RECHECK_INTERVAL, () => streams.recheck())
  sessions.onEnd((id) => streams.endSession(id, 'signed-out'))

  const listener = await listen({
    listen: config.listen,
    timeouts: config.timeouts,
    clock,
    forwarder,
    handle,
    refused(refusal) {
      const facts = { kind: 'bad-request', id: requestId(), ...refusal } as const
      accessLog({ startedAt: clock.now(), facts }, { status: refusal.status, bytesOut: 0 })
    },
  })
  operations.setReady(true)
  return {
    listener,
    operations,
    reload(next) {
      const outcome = mergeConfig(generation.config, next)
      const { config: merged, certificateChanged } = outcome
      generation = createGeneration(merged, generation.version + 1, requestId)
      forwarder.reload({ config: merged, cookieNames: ownCookieNames(merged), signer })
      if (certificateChanged && merged.listen.tls) listener.setCertificate(merged.listen.tls)
      streams.recheck()
      operations.reloaded(outcome)
      return outcome
    },
    refuse: (problem) => operations.reloaded({ problem }),
    async close({ delay, timeout } = { delay: 0, timeout: 0 }) {
      operations.setReady(false)
      listener.drain()
      if (delay > 0) await new Promise<void>((resolve) => clock.after(delay, resolve))
      const stopTimeout = timeout > 0 ? clock.after(timeout, () => listener.destroy()) : () => {}
      const stopped = listener.stop()
      logger.info({}, 'accepting no more')
      if (timeout <= 0) listener.destroy()
      await stopped
      stopTimeout()
      stopRechecking()
      streams.close()
      sessions.close()
      await forwarder.close()
      await feeds.close()
      await operations.close()
      await store.close()
    },
  }
}

function createGeneration(config: Config, version: number, requestId: () => string): Generation {
  const trust = compileTrust(config.trust)
  return Object.freeze({
    version,
    config,
    parse: (req: IncomingMessage, upgrade: boolean) => parseTarget(rawRequest(req, upgrade), trust, requestId()),
    routes: createRouteTable(config),
  })
}

function openStore({ storage }: Config, clock: Clock, logger: Logger): Store {
  return storage.kind === 'embedded'
    ? openLmdbStore({ path: storage.path, clock, logger })
    : createMemoryStore({ clock })
}

/** Without a directory, groups are as old as the sign-in: the session ends when they are too old, and the provider's own session makes the next sign-in a redirect. */
function createAdmission({ cookie, directory: config, idp }: Config, directory: LiveDirectory) {
  return async (
    { subject, claims }: Identity,
    _tokens: Tokens,
    now: Millis,
  ): Promise<{ readonly expiresAt: Millis }> => {
    if (config.kind !== 'claims') return { expiresAt: now + cookie.expire }
    const groups = groupsFromClaims(claims, idp.groupsClaim)
    if (groups) directory.observe(entryFromClaims(subject, groups, now))
    else await directory.forget(subject)
    return { expiresAt: now + Math.min(cookie.expire, config.maxStaleness) }
  }
}

function sessionCookieNames(config: Config): readonly string[] {
  return [...new Set([cookieNames(config, 'https').session, cookieNames(config, 'http').session])]
}
