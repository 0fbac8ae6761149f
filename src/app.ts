/** The composition root: a `Config` becomes what serves requests. The only file that imports every folder; `new` and calls, no branch on request data. */
import { createGeneration } from './generation.ts'
import { openProcess, type ServingOptions } from './process.ts'
import { createSignIn } from './sign-in.ts'
import { openAutocert } from './certificates/autocert.ts'
import { createProviderSignals } from './identity/signals/reader.ts'
import { onTheMark } from './lib/clock.ts'
import { type Closing, openAll } from './lib/closing.ts'
import { createAccessLog } from './proxy/access-log.ts'
import { createControl } from './proxy/control.ts'
import { createHandle } from './proxy/handle.ts'
import { createSignalReplies } from './proxy/provider-signals.ts'
import { pageOf } from './pages/render.ts'
import { badRequest } from './proxy/respond.ts'
import { type Listener, listen } from './server/listen.ts'
import type { Lifetime } from './server/lifetime.ts'
import type { Metric } from './server/exposition.ts'
import type { Component } from './server/health.ts'
import type { SideListener } from './server/side-listener.ts'
import { createStatus } from './server/status.ts'
import { createClientConnections } from './server/client-connections.ts'
import { listenRedirect } from './server/redirect.ts'
import { endUnheard } from './session/unheard.ts'
import { isShared } from './store/open.ts'
import type { Span } from './types.ts'
import type { Config, Live } from './config/model.ts'
import type { Generation } from './http/exchange.ts'
import { createViews } from './views.ts'

/** What serves requests, in this process. */
export interface Serving {
  readonly listener: Listener
  /** Plain HTTP that leads to https; absent when the configuration names no address for it. */
  readonly redirect: SideListener | undefined
  components(): readonly Component[]
  metrics(): Promise<readonly Metric[]>
  /** Builds all of a new configuration that can change while running. Throws when it cannot be had; nothing has changed then. */
  prepare(next: Config): Prepared
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

const RECHECK_INTERVAL: Span = 30_000
/** Requests that waited for the start are answered before Okta is asked anything. */
const FIRST_ANSWERS: Span = 100
const AT_ONCE = { drainDelay: 0, drainTimeout: 0 }

/** Rejects when something cannot be opened; what was opened before it is closed then. */
export function startServing(options: ServingOptions): Promise<Serving> {
  return openAll((closing) => openServing(options, closing))
}

async function openServing(options: ServingOptions, closing: Closing): Promise<Serving> {
  const { config } = options
  let generation: Generation & Lifetime
  const shared = await openProcess(options, () => generation.live, closing)
  const { fixed, live, clock, logger, metrics, store, sessions, tokens, streams, directory, feeds } = shared
  generation = createGeneration(shared, config.live, 1)
  directory.onChange((person) => streams.recheck(person))
  directory.onSessionsEnd(async (person, before) => void (await sessions.revokePerson(person, 'directory', before)))
  await feeds.start()
  const { ownSessions, authenticate, programs } = createSignIn(shared)
  const signalMessages = metrics.counter('provider_signals_total', 'Messages that identity providers pushed.', [
    'signal',
    'outcome',
  ])
  const certificateOrders = metrics.counter('certificate_orders_total', 'Orders of certificates by ACME.', ['outcome'])
  const autocert =
    fixed.acme &&
    (await openAutocert({
      ...shared,
      config: fixed.acme,
      keyRings: shared.credentials.keptRings,
      hosts: () => live().acmeHosts,
      ordered: (outcome) => certificateOrders([outcome])(),
    }))
  closing.add(() => autocert?.close())
  const states = {
    directoryState: () => feeds.metrics(),
    directories: () => feeds.conditions(),
    upstreams: () => shared.upstreams.states(),
  }
  const components = createStatus({
    ...shared,
    ...states,
    certificates: () => autocert?.state() ?? [],
    idps: shared.idps.all,
    auditTrouble: () => logger.auditLog?.trouble(),
  })
  if (fixed.metricsAddress || fixed.telemetry?.metrics) await metrics.observeProcess()
  const views = createViews({
    ...shared,
    ...states,
    ownSessions,
    authenticate,
    warnings: config.warnings,
    components,
  })
  const accessLog = createAccessLog(logger, clock, (sample) => {
    metrics.request(sample)
    views.record(sample)
    sample.trace?.end(sample)
  })
  const handle = createHandle({
    ...shared,
    generation: () => generation,
    control: createControl({
      clock,
      authenticate,
      ...views.pages,
      programs,
      tokens,
      signals: createSignalReplies({
        ...shared,
        signals: createProviderSignals({
          ...shared,
          configs: fixed.idps,
          sharedSignals: shared.credentials.sharedSignals,
        }),
        record: (...labels) => signalMessages(labels)(),
      }),
      hook: feeds.hook,
      scim: feeds.scim,
      jwks: () => shared.signer.jwks(),
      recordFlow: (...step) => metrics.flow(...step),
    }),
    startSignIn: (...asked) => authenticate.startSignIn(...asked),
    accessLog,
  })

  metrics.gauge(
    'config_generations',
    'The configuration in force, and earlier ones with open requests.',
    () => shared.lifetimes.alive(),
    'max',
  )
  metrics.gauge('http_server_active_requests', 'Open requests and tunnels.', () => listener.active())
  const lost = (name: string, help: string, read: () => number | undefined): void =>
    metrics.totals(name, help, [], () => [[[], read() ?? 0]])
  lost('log_lines_dropped_total', 'Log lines that standard output did not take.', () => logger.dropped?.())
  lost('audit_lines_dropped_total', 'Audit lines that the place of audit_log did not take.', () =>
    logger.auditLog?.dropped(),
  )
  // Ages, expiries and rules about time change decisions without any event. Twice a minute, because times of day are mostly
  // written in minutes.
  const recheck = (): void => {
    streams.recheck()
    // This also refreshes sessions of open streams, and a refresh may bring other groups.
    void streams.confirm().then(() => streams.recheck())
  }
  closing.add(onTheMark(clock, RECHECK_INTERVAL, recheck))
  sessions.onEnd((id) => streams.end(id, 'signed-out'))
  tokens.onEnd((id) => streams.end(id, 'revoked'))
  closing.add(endUnheard({ store, streams, clock, ...(isShared(fixed.storage) && { storeGrace: fixed.storeGrace }) }))

  const connections = createClientConnections(config.live)
  const redirect =
    fixed.httpRedirectAddr &&
    (await listenRedirect(fixed.httpRedirectAddr, {
      httpsOriginOf: (host) => generation.routes.httpsOriginOf(host),
      challenge: async (token) => autocert?.challenge(token),
      connections,
      clock,
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
      const facts = { kind: 'bad-request', id: shared.requestId(), ...refusal } as const
      accessLog(
        { startedAt: clock.monotonic(), logChoice: generation.live, facts },
        { status: refusal.status, bytesOut: 0 },
      )
      return badRequest(facts, pageOf(generation, facts.id, clock.now()))
    },
  })
  autocert?.start()
  closing.add(clock.after(FIRST_ANSWERS, () => feeds.follow()))
  return {
    listener,
    redirect,
    components,
    metrics: () => metrics.read(),
    refuse: (problem) => views.refuse(problem),
    prepare(config) {
      const { live: next } = config
      const commitListener = listener.prepare(next)
      const commitKeys = [shared.credentials, shared.signer].map((keys) => keys.prepare(next.credentials))
      // Last, because it opens a file.
      const prepared = createGeneration(shared, next, generation.version + 1)
      const log = prepareLog(logger, next, prepared)
      return {
        commit() {
          const before = generation
          generation = prepared
          for (const commit of commitKeys) commit()
          feeds.rotate()
          views.replaced(config)
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
      logger.info({}, 'accepting no more connections')
      if (timeout <= 0) listener.destroy()
      await stopped
      stopTimeout()
      await closing.close()
    },
  }
}

/** If the log cannot be prepared, neither is the generation. */
function prepareLog(logger: ServingOptions['logger'], next: Live, prepared: Lifetime) {
  try {
    return logger.prepare?.(next)
  } catch (error) {
    prepared.retire()
    throw error
  }
}
