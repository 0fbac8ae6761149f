/** What operators and orchestrators see beside the traffic: probes, metrics, and the state of the last reload. */
import type { Clock, Logger, WallTime } from '../types.ts'
import type { Fixed } from '../config/model.ts'
import { openAll } from '../lib/closing.ts'
import { epochMillis } from '../lib/time.ts'
import { readVersion } from '../lib/version.ts'
import { type Metric, textOf } from './exposition.ts'
import { type Component, listenHealth, listenMetrics } from './health.ts'
import type { SideListener } from './side-listener.ts'
import { createRegistry } from './registry.ts'
import type { Reload, Trigger } from './reload.ts'

export interface OperationsDeps {
  readonly fixed: Pick<Fixed, 'healthCheckAddr' | 'metricsAddress' | 'telemetry'>
  /** Of what serves requests, in this process or in others. */
  readonly components: () => Promise<readonly Component[]>
  readonly metrics: () => Promise<readonly Metric[]>
  /** Somebody takes requests now. */
  readonly serves: () => boolean
  readonly clock: Clock
  readonly logger: Logger
}

export interface Operations {
  /** Addresses in force; absent when the configuration names none. */
  readonly health: SideListener | undefined
  readonly metrics: SideListener | undefined
  /** All that `/metrics` prints. */
  read(): Promise<readonly Metric[]>
  setReady(ready: boolean): void
  reloaded(outcome: Reload | { readonly problem: string }, trigger: Trigger): void
  close(): Promise<void>
}

export async function startOperations(deps: OperationsDeps): Promise<Operations> {
  const { fixed, clock, logger } = deps
  let ready = false
  let lastReload: { readonly at: WallTime; readonly refused?: { readonly at: WallTime; readonly problem: string } } = {
    at: clock.now(),
  }
  let waiting: readonly string[] = []

  const own = createRegistry()
  own.gauge('config_last_reload_success', '1 when the configuration on disk is in use, 0 when it was refused.', () =>
    lastReload.refused ? 0 : 1,
  )
  own.gauge(
    'config_last_reload_success_timestamp_seconds',
    'Unix time at which a configuration was last accepted.',
    () => epochMillis(lastReload.at) / 1000,
  )
  own.gauge('config_needs_restart', 'Keys that changed since the start and wait for a restart.', () => waiting.length)

  async function components(): Promise<readonly Component[]> {
    const { at, refused } = lastReload
    const configuration: Component = refused
      ? { name: 'configuration', status: 'degraded', since: refused.at, detail: refused.problem }
      : {
          name: 'configuration',
          status: 'ok',
          since: at,
          ...(waiting.length > 0 && { detail: `waits for a restart: ${waiting.join(', ')}` }),
        }
    return [configuration, ...(await deps.components())]
  }

  const { healthCheckAddr, metricsAddress, telemetry } = fixed
  const read = async (): Promise<readonly Metric[]> => [...(await own.read()), ...(await deps.metrics())]
  const { health, side } = await openAll(async (closing) => {
    const probes = { ready: () => ready && deps.serves(), started: () => ready, components, logger }
    const listening = healthCheckAddr && (await listenHealth(healthCheckAddr, probes))
    if (listening) closing.add(() => listening.close())
    const text = async (): Promise<string> => textOf(await read())
    return { health: listening, side: metricsAddress && (await listenMetrics(metricsAddress, { text, logger })) }
  })

  // Of all processes together, as Prometheus reads them.
  const sent =
    telemetry?.metrics &&
    (await import('./telemetry/metrics.ts')).openMetrics({
      config: telemetry,
      metrics: telemetry.metrics,
      version: readVersion(),
      read,
      clock,
      logger,
    })

  return {
    health,
    metrics: side,
    read,
    setReady(value) {
      ready = value
    },
    reloaded(outcome, trigger) {
      if ('problem' in outcome) {
        // Since the first of several: that is how long the file on disk has not been in use.
        const at = lastReload.refused?.at ?? clock.now()
        lastReload = { at: lastReload.at, refused: { at, problem: outcome.problem } }
        logger.audit(
          {
            event: 'configuration',
            outcome: 'refused',
            trigger,
            error: 'ERR_CONFIG_INVALID',
            problem: outcome.problem,
          },
          'configuration not accepted; the last good one stays in force',
          'error',
        )
        return
      }
      lastReload = { at: clock.now() }
      const { summary, changed, routesChanged, needsRestart, routes, checksum } = outcome
      waiting = needsRestart
      logger.audit(
        {
          event: 'configuration',
          outcome: 'accepted',
          trigger,
          summary,
          ...(changed.length > 0 && { changed }),
          ...(routesChanged.length > 0 && { routes_changed: routesChanged }),
          ...(needsRestart.length > 0 && { needs_restart: needsRestart }),
          routes,
          checksum,
        },
        'configuration reloaded',
      )
    },
    close: async () => void (await Promise.all([health?.close(), side?.close(), sent?.close()])),
  }
}
