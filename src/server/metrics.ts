/**
 * What Prometheus may ask. Names and units follow OpenTelemetry's HTTP conventions with the prefix `postern_`;
 * labels are bounded: configured route names, known methods, closed vocabularies, never a user, group or path.
 */
import type { RequestSample } from '../http/exchange.ts'
import type { DurationSeries } from './histogram.ts'
import { createRegistry, type Registry, type Value } from './registry.ts'

export interface Metrics extends Registry {
  request(sample: RequestSample): void
  /** One step of a sign-in or sign-out. */
  flow(step: string, result: 'ok' | 'failed', reason: string): void
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Clients may write any. */
export function knownMethod(method: string): string {
  return METHODS.has(method) ? method : '_OTHER'
}

/** What requests of one kind add up to: numbers here, and counters when somebody asks. */
interface Series {
  readonly route: string
  readonly method: string
  readonly status: number
  readonly decision: string
  readonly reason: string
  readonly duration: DurationSeries
  readonly upstream: DurationSeries
  requests: number
  received: number
  sent: number
}

export function createMetrics(build: { readonly version: string; readonly node: string }): Metrics {
  const registry = createRegistry()
  registry.gauges(
    'build_info',
    'Always 1. Labels: version of Postern and of Node.',
    ['version', 'node'],
    () => [[[build.version, build.node], 1]],
    'max',
  )
  const durations = registry.histogram(
    'http_server_request_duration_seconds',
    'Seconds from the request header to the end of the response.',
    ['route', 'method', 'code'],
  )
  const upstreamDurations = registry.histogram(
    'upstream_request_duration_seconds',
    'Seconds from the forwarded request to the response header of the upstream.',
    ['route'],
  )
  const upstreamErrors = registry.counter('upstream_errors_total', 'Requests that failed at an upstream, by reason.', [
    'route',
    'reason',
  ])
  const shadows = registry.counter(
    'authz_shadow_decisions_total',
    'Requests of routes with a shadow_policy, by decision and by what that policy would have decided.',
    ['route', 'decision', 'shadow_decision'],
  )
  const flows = registry.counter(
    'authn_flows_total',
    'Steps of sign-ins and sign-outs, by result. Reason: HTTP status or error code.',
    ['step', 'result', 'reason'],
  )

  // Made of configured names and closed vocabularies, so as bounded as the labels.
  const known = new Map<string, Series>()
  function seriesOf(route: string, method: string, status: number, decision: string, reason: string): Series {
    const key = `${method} ${status} ${decision} ${reason} ${route}`
    let series = known.get(key)
    if (!series) {
      const duration = durations.series(route, method, String(status))
      const upstream = upstreamDurations.series(route)
      series = { route, method, status, decision, reason, duration, upstream, requests: 0, received: 0, sent: 0 }
      known.set(key, series)
    }
    return series
  }
  /** By route: most requests are like the one before. */
  const latest = new Map<string, Series>()

  const kinds = (): readonly Series[] => [...known.values()]
  registry.totals(
    'authz_decisions_total',
    'Authorization decisions, by decision and first reason.',
    ['route', 'decision', 'reason'],
    () =>
      kinds()
        .filter(({ decision }) => decision !== '')
        .map(({ route, decision, reason, requests }): Value => [[route, decision, reason], requests]),
  )
  registry.totals('http_server_request_body_bytes_total', 'Bytes of request bodies sent to upstreams.', ['route'], () =>
    kinds().map(({ route, received }): Value => [[route], received]),
  )
  registry.totals('http_server_response_body_bytes_total', 'Bytes of response bodies sent to clients.', ['route'], () =>
    kinds().map(({ route, sent }): Value => [[route], sent]),
  )

  return {
    ...registry,

    request({ facts, route, decision, shadow, finished, error, seconds }) {
      const name = route?.name ?? '_none'
      const method = facts ? knownMethod(facts.method) : '_OTHER'
      const status = finished?.status ?? 0
      const outcome = decision?.outcome ?? ''
      const reason = decision?.reasons[0] ?? ''
      let series = latest.get(name)
      if (
        series?.status !== status ||
        series.method !== method ||
        series.decision !== outcome ||
        series.reason !== reason
      ) {
        latest.set(name, (series = seriesOf(name, method, status, outcome, reason)))
      }
      series.requests++
      series.duration.observe(seconds)
      const forwarded = finished?.forwarded
      if (forwarded) {
        series.upstream.observe(forwarded.upstreamMs / 1000)
        series.received += forwarded.bytesIn
      }
      if (finished) series.sent += finished.bytesOut
      if (shadow) shadows([name, outcome, shadow.outcome])()
      const failure = error?.code ?? forwarded?.cut
      if (failure?.startsWith('ERR_UPSTREAM_'))
        upstreamErrors([name, failure.slice('ERR_UPSTREAM_'.length).toLowerCase()])()
    },

    flow: (...labelValues) => flows(labelValues)(),
  }
}
