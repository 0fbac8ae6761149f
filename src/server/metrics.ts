/**
 * What Prometheus may ask. Names and units follow OpenTelemetry's HTTP conventions with the prefix `postern_`;
 * labels are bounded: configured route names, known methods, closed vocabularies, never a user, group or path.
 */
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import type { RequestSample } from '../http/exchange.ts'
import { createHistogram, type DurationSeries, type Histogram } from './histogram.ts'

/** Label values in the order of the names, and the value. */
export type Sample = readonly [labelValues: readonly string[], value: number]

export interface Metrics {
  /** Memory, CPU, garbage collection and event loop of this process. Costs it 100 wake-ups a second. */
  observeProcess(): void
  request(sample: RequestSample): void
  /** One step of a sign-in or sign-out. */
  flow(step: string, result: 'ok' | 'failed', reason: string): void
  /** A value read at scrape time. */
  gauge(name: string, help: string, read: () => number | undefined): void
  /** Values by label, read at scrape time. */
  gauges(name: string, help: string, labels: readonly string[], read: () => Iterable<Sample>): void
  /** Totals that somebody else counts, read at scrape time. */
  totals(name: string, help: string, labels: readonly string[], read: () => Iterable<Sample>): void
  /** Counts one event of these label values; make it once for values that are known beforehand. */
  counter(name: string, help: string, labels: readonly string[]): (labelValues: readonly string[]) => () => void
  histogram(name: string, help: string, labels: readonly string[]): Histogram
  /** Prometheus text format 0.0.4. */
  text(): Promise<string>
}

const PREFIX = 'postern_'
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

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
  const registry = new Registry()
  const registers = [registry]
  new Gauge({
    name: `${PREFIX}build_info`,
    help: 'Always 1. Labels: version of Postern and of Node.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ ...build }, 1)

  const durations = createHistogram(
    `${PREFIX}http_server_request_duration_seconds`,
    'Seconds from the request header to the end of the response.',
    ['route', 'method', 'code'],
  )
  const upstreamDurations = createHistogram(
    `${PREFIX}upstream_request_duration_seconds`,
    'Seconds from the forwarded request to the response header of the upstream.',
    ['route'],
  )
  const histograms: Histogram[] = [durations, upstreamDurations]
  const upstreamErrors = new Counter({
    name: `${PREFIX}upstream_errors_total`,
    help: 'Requests that failed at an upstream, by reason.',
    labelNames: ['route', 'reason'],
    registers,
  })
  const shadows = new Counter({
    name: `${PREFIX}authz_shadow_decisions_total`,
    help: 'Requests of routes with a shadow_policy, by decision and by what that policy would have decided.',
    labelNames: ['route', 'decision', 'shadow_decision'],
    registers,
  })
  const flows = new Counter({
    name: `${PREFIX}authn_flows_total`,
    help: 'Steps of sign-ins and sign-outs, by result. Reason: HTTP status or error code.',
    labelNames: ['step', 'result', 'reason'],
    registers,
  })

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

  function totals(name: string, help: string, labels: readonly string[], read: () => Iterable<Sample>): void {
    const collect = collecting(read, (counter: Counter, labelValues, value) =>
      counter.labels(...labelValues).inc(value),
    )
    registry.registerMetric(new Counter({ name: PREFIX + name, help, labelNames: [...labels], registers: [], collect }))
  }
  const kinds = (): readonly Series[] => [...known.values()]
  totals(
    'authz_decisions_total',
    'Authorization decisions, by decision and first reason.',
    ['route', 'decision', 'reason'],
    () =>
      kinds()
        .filter(({ decision }) => decision !== '')
        .map(({ route, decision, reason, requests }) => [[route, decision, reason], requests]),
  )
  totals('http_server_request_body_bytes_total', 'Bytes of request bodies sent to upstreams.', ['route'], () =>
    kinds().map(({ route, received }) => [[route], received]),
  )
  totals('http_server_response_body_bytes_total', 'Bytes of response bodies sent to clients.', ['route'], () =>
    kinds().map(({ route, sent }) => [[route], sent]),
  )

  return {
    observeProcess: () => collectDefaultMetrics({ register: registry, prefix: PREFIX }),

    request({ facts, route, decision, shadow, finished, error, seconds }) {
      const name = route?.name ?? '_none'
      const method = facts && METHODS.has(facts.method) ? facts.method : '_OTHER'
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
      if (shadow) shadows.labels(name, outcome, shadow.outcome).inc()
      const failure = error?.code ?? forwarded?.cut
      if (failure?.startsWith('ERR_UPSTREAM_'))
        upstreamErrors.labels(name, failure.slice('ERR_UPSTREAM_'.length).toLowerCase()).inc()
    },

    flow: (step, result, reason) => flows.labels(step, result, reason).inc(),

    gauge(name, help, read) {
      registry.registerMetric(
        new Gauge({
          name: PREFIX + name,
          help,
          registers: [],
          collect() {
            const value = read()
            if (value === undefined) this.remove()
            else this.set(value)
          },
        }),
      )
    },

    gauges(name, help, labels, read) {
      const collect = collecting(read, (gauge: Gauge, labelValues, value) => gauge.labels(...labelValues).set(value))
      registry.registerMetric(new Gauge({ name: PREFIX + name, help, labelNames: [...labels], registers: [], collect }))
    },

    totals,

    counter(name, help, labels) {
      const counter = new Counter({ name: PREFIX + name, help, labelNames: [...labels], registers })
      return (labelValues) => {
        const child = counter.labels(...labelValues)
        return () => child.inc()
      }
    },

    histogram(name, help, labels) {
      const histogram = createHistogram(PREFIX + name, help, labels)
      histograms.push(histogram)
      return histogram
    },

    text: async () => `${await registry.metrics()}${histograms.map((histogram) => histogram.text()).join('')}`,
  }
}

/** A metric that is read when it is scraped: gone labels are gone. */
function collecting<M extends { reset(): void }>(
  read: () => Iterable<Sample>,
  set: (metric: M, labelValues: readonly string[], value: number) => void,
): (this: M) => void {
  return function () {
    this.reset()
    for (const [labelValues, value] of read()) set(this, labelValues, value)
  }
}
