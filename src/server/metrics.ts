/**
 * What Prometheus may ask. Names and units follow OpenTelemetry's HTTP conventions with the prefix `postern_`;
 * labels are bounded: configured route names, known methods, closed vocabularies, never a user, group or path.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { RequestSample } from '../types.ts'

export interface Metrics {
  request(sample: RequestSample): void
  /** A value read at scrape time. */
  gauge(name: string, help: string, read: () => number | undefined): void
  /** A value with one label, read at scrape time. */
  gauges(
    name: string,
    help: string,
    label: string,
    read: () => Iterable<readonly [labelValue: string, value: number]>,
  ): void
  counter(name: string, help: string, labels: readonly string[]): (labelValues: readonly string[], by?: number) => void
  /** Prometheus text format 0.0.4. */
  text(): Promise<string>
}

const PREFIX = 'postern_'
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

export function createMetrics(build: { readonly version: string; readonly node: string }): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, prefix: PREFIX })
  new Gauge({
    name: `${PREFIX}build_info`,
    help: 'Always 1; says what runs.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ ...build }, 1)

  const duration = new Histogram({
    name: `${PREFIX}http_server_request_duration_seconds`,
    help: 'From the request header to the end of the answer.',
    labelNames: ['route', 'method', 'code'],
    buckets: BUCKETS,
    registers,
  })
  const requestBytes = new Counter({
    name: `${PREFIX}http_server_request_body_bytes_total`,
    help: 'Bytes of request bodies forwarded.',
    labelNames: ['route'],
    registers,
  })
  const responseBytes = new Counter({
    name: `${PREFIX}http_server_response_body_bytes_total`,
    help: 'Bytes of response bodies sent.',
    labelNames: ['route'],
    registers,
  })
  const upstream = new Histogram({
    name: `${PREFIX}upstream_request_duration_seconds`,
    help: 'From the forwarded request to the upstream response header.',
    labelNames: ['route'],
    buckets: BUCKETS,
    registers,
  })
  const upstreamErrors = new Counter({
    name: `${PREFIX}upstream_errors_total`,
    help: 'Requests that an upstream failed.',
    labelNames: ['route', 'reason'],
    registers,
  })
  const decisions = new Counter({
    name: `${PREFIX}authz_decisions_total`,
    help: 'Decisions by outcome and first reason.',
    labelNames: ['route', 'decision', 'reason'],
    registers,
  })

  // prom-client hashes label objects on each call; a bound child costs a Map look-up instead.
  const timers = cached((route, method, code) => duration.labels(route, method, code))
  const upstreamTimers = cached((route) => upstream.labels(route))
  const decided = cached((route, decision, reason) => decisions.labels(route, decision, reason))
  const received = cached((route) => requestBytes.labels(route))
  const sent = cached((route) => responseBytes.labels(route))

  return {
    request({ facts, route, decision, finished, error, seconds }) {
      const name = route?.name ?? '_none'
      const method = facts && METHODS.has(facts.method) ? facts.method : '_OTHER'
      timers(name, method, String(finished?.status ?? 0)).observe(seconds)
      if (decision) decided(name, decision.outcome, decision.reasons[0] ?? '').inc()
      const forwarded = finished?.forwarded
      if (forwarded) {
        upstreamTimers(name).observe(forwarded.upstreamMs / 1000)
        if (forwarded.bytesIn > 0) received(name).inc(forwarded.bytesIn)
      }
      if (finished && finished.bytesOut > 0) sent(name).inc(finished.bytesOut)
      const failure = error?.code ?? forwarded?.cut
      if (failure?.startsWith('ERR_UPSTREAM_'))
        upstreamErrors.labels(name, failure.slice('ERR_UPSTREAM_'.length).toLowerCase()).inc()
    },

    gauge(name, help, read) {
      new Gauge({
        name: PREFIX + name,
        help,
        registers,
        collect() {
          const value = read()
          if (value === undefined) this.remove()
          else this.set(value)
        },
      })
    },

    gauges(name, help, label, read) {
      new Gauge({
        name: PREFIX + name,
        help,
        labelNames: [label],
        registers,
        collect() {
          this.reset()
          for (const [labelValue, value] of read()) this.set({ [label]: labelValue }, value)
        },
      })
    },

    counter(name, help, labels) {
      const counter = new Counter({ name: PREFIX + name, help, labelNames: [...labels], registers })
      return (labelValues, by = 1) => counter.labels(...labelValues).inc(by)
    },

    text: () => registry.metrics(),
  }
}

/** Configured names only come in, so the Map is as bounded as the labels. */
function cached<T>(create: (...labels: string[]) => T): (...labels: string[]) => T {
  const children = new Map<string, T>()
  return (...labels) => {
    const key = labels.length === 1 ? (labels[0] as string) : labels.join('\n')
    let child = children.get(key)
    if (!child) children.set(key, (child = create(...labels)))
    return child
  }
}
