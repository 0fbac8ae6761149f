/** What operators and orchestrators see beside the traffic: probes, metrics, and the state of the last reload. */
import { X509Certificate } from 'node:crypto'
import type { CertificateState } from '../certificates/model.ts'
import type { Clock, Logger, Store, StoreTrouble, WallTime } from '../types.ts'
import type { Fixed, Live } from '../config/model.ts'
import type { Directory, DirectoryHealth } from '../directory/model.ts'
import type { StreamRegistry } from '../http/exchange.ts'
import type { UpstreamState } from '../http/upstream-state.ts'
import { openAll } from '../lib/closing.ts'
import { describeDirectory, type DirectoryState, exportDirectory } from './directory-metrics.ts'
import { describeUpstreams, exportUpstreams } from './upstream-metrics.ts'
import { type Component, listenHealth, listenMetrics, type SideListener } from './health.ts'
import type { Metrics } from './metrics.ts'
import { fingerprint } from '../lib/fingerprint.ts'
import type { Reload } from './reload.ts'
import { epochMillis, NEVER } from '../lib/time.ts'

export interface OperationsDeps {
  readonly fixed: Fixed
  readonly live: () => Live
  readonly metrics: Metrics
  readonly directory: Pick<Directory, 'health'>
  readonly directoryState: () => DirectoryState
  /** Of hosts that need one by ACME. */
  readonly certificates: () => readonly CertificateState[]
  readonly upstreams: () => readonly UpstreamState[]
  readonly store: Pick<Store, 'trouble'>
  readonly streams: StreamRegistry
  readonly clock: Clock
  readonly logger: Logger
}

export interface Operations {
  /** Addresses in force; absent when the configuration names none. */
  readonly health: SideListener | undefined
  readonly metrics: SideListener | undefined
  setReady(ready: boolean): void
  reloaded(outcome: Reload | { readonly problem: string }): void
  close(): Promise<void>
}

export async function startOperations({
  fixed,
  live,
  metrics,
  directory,
  certificates,
  directoryState,
  upstreams,
  store,
  streams,
  clock,
  logger,
}: OperationsDeps): Promise<Operations> {
  let ready = false
  let lastReload: { readonly at: WallTime; readonly refused?: { readonly at: WallTime; readonly problem: string } } = {
    at: clock.now(),
  }

  metrics.gauge(
    'config_last_reload_success',
    '1 when the configuration on disk is in use, 0 when it was refused.',
    () => (lastReload.refused ? 0 : 1),
  )
  metrics.gauge(
    'config_last_reload_success_timestamp_seconds',
    'Unix time at which a configuration was last accepted.',
    () => seconds(lastReload.at),
  )
  let waiting = 0
  metrics.gauge('config_needs_restart', 'Keys that changed since the start and wait for a restart.', () => waiting)
  metrics.gauge('config_checksum', 'Number that changes with the configuration in use.', () =>
    Number.parseInt(
      Buffer.from(fingerprint({ fixed, live: live() }))
        .toString('hex')
        .slice(0, 8),
      16,
    ),
  )
  metrics.gauge('session_store_up', '1 while the store can be read, written and followed.', () =>
    store.trouble() ? 0 : 1,
  )
  exportDirectory(metrics, directoryState)
  exportUpstreams(metrics, upstreams)
  metrics.gauge('config_routes', 'Routes of the configuration in use.', () => live().routes.length)
  metrics.gauge('streams_active', 'Open requests and tunnels to applications.', () => streams.size)
  metrics.gauge('directory_last_success_timestamp_seconds', 'Unix time of the last answer of the directory.', () =>
    seconds(directory.health().lastSuccess),
  )
  metrics.gauges(
    'tls_certificate_not_after_timestamp_seconds',
    'Expiry of a certificate of the listener, as Unix time.',
    ['name'],
    () => {
      const { certificate } = live()
      const own = certificate && Date.parse(new X509Certificate(certificate.chain).validTo) / 1000
      const issued = certificates().flatMap(({ host, notAfter }) =>
        notAfter === undefined ? [] : [[[host], epochMillis(notAfter) / 1000] as const],
      )
      return own === undefined ? issued : [[['listener'], own], ...issued]
    },
  )
  metrics.gauge('directory_failing', '1 when the last call to the directory failed.', () => (failure() ? 1 : 0))

  /** Of the last call for a person's groups, or of the last look for changes; one that leads no longer has stopped looking. */
  function failure(): DirectoryHealth['lastError'] {
    const { lastError, lastSuccess } = directory.health()
    if (lastError && lastError.at >= (lastSuccess ?? NEVER)) return lastError
    const { feed } = directoryState()
    return feed?.leading ? feed.lastError : undefined
  }

  function components(): readonly Component[] {
    const { source } = directory.health()
    const failing = failure()
    const detail = `${source}: ${failing ? `${failing.code}; ` : ''}${describeDirectory(directoryState(), clock.now())}`
    return [
      lastReload.refused
        ? {
            name: 'configuration',
            status: 'degraded',
            since: lastReload.refused.at,
            detail: lastReload.refused.problem,
          }
        : { name: 'configuration', status: 'ok', since: lastReload.at },
      failing
        ? { name: 'directory', status: 'degraded', since: failing.at, detail }
        : // Claims are read at sign-ins alone.
          {
            name: 'directory',
            status: 'ok',
            ...(fixed.idps.some(({ directory: { kind } }) => kind !== 'claims') && { detail }),
          },
      ...(fixed.acme ? [describeCertificates(certificates(), clock.now())] : []),
      describeUpstreams(upstreams()),
      describeStore(store.trouble()),
    ]
  }

  const { healthCheckAddr, metricsAddress } = fixed
  if (metricsAddress) metrics.observeProcess()
  const { health, side } = await openAll(async (closing) => {
    const probes = { ready: () => ready, started: () => ready, components, logger }
    const listening = healthCheckAddr && (await listenHealth(healthCheckAddr, probes))
    if (listening) closing.add(() => listening.close())
    return {
      health: listening,
      side: metricsAddress && (await listenMetrics(metricsAddress, { text: () => metrics.text(), logger })),
    }
  })

  return {
    health,
    metrics: side,
    setReady(value) {
      ready = value
    },
    reloaded(outcome) {
      if ('problem' in outcome) {
        // Since the first of several: that is how long the file on disk has not been in use.
        const at = lastReload.refused?.at ?? clock.now()
        lastReload = { at: lastReload.at, refused: { at, problem: outcome.problem } }
        logger.error({ problem: outcome.problem }, 'configuration not accepted; the last good one stays in force')
        return
      }
      lastReload = { at: clock.now() }
      const { summary, changed, needsRestart } = outcome
      waiting = needsRestart.length
      logger.info(
        {
          summary,
          ...(changed.length > 0 && { changed }),
          ...(needsRestart.length > 0 && { needs_restart: needsRestart }),
          routes: live().routes.length,
        },
        'configuration reloaded',
      )
    },
    close: async () => void (await Promise.all([health?.close(), side?.close()])),
  }
}

function seconds(at: WallTime | undefined): number | undefined {
  return at === undefined ? undefined : epochMillis(at) / 1000
}

/** A host that waits for a certificate is no reason to take the others away, nor the listener that proves it. */
function describeCertificates(certificates: readonly CertificateState[], now: WallTime): Component {
  const missing = certificates.filter(({ notAfter }) => notAfter === undefined || notAfter <= now)
  const failing = certificates.filter(({ problem }) => problem !== undefined)
  const list = (states: readonly CertificateState[]): string =>
    states
      .slice(0, 10)
      .map(({ host }) => host)
      .join(', ')
  const parts = [
    ...(missing.length > 0 ? [`no valid certificate for ${list(missing)}`] : []),
    ...(failing.length > 0 ? [`the last order failed for ${list(failing)}: ${failing[0]?.problem}`] : []),
  ]
  return parts.length === 0
    ? { name: 'certificates', status: 'ok' }
    : { name: 'certificates', status: 'degraded', detail: parts.join('; ') }
}

function describeStore(trouble: StoreTrouble | undefined): Component {
  return trouble
    ? { name: 'store', status: 'degraded', since: trouble.since, detail: trouble.reason }
    : { name: 'store', status: 'ok' }
}
