/** Memory, CPU, garbage collection and event loop of this process. Loaded only where somebody can read them. */
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { Span } from '../types.ts'
import { type Combine, labelsOf, type Metric } from './exposition.ts'

/** How often the event loop is looked at. prom-client's own 10 ms wake an idle process 100 times a second. */
const RESOLUTION: Span = 200
/** Node gives the time between two looks: what is beyond the resolution is the lag. */
const LAG = /_eventloop_lag_(?:min|max|mean|p50|p90|p99)_seconds$/

/** Measures from now on; the returned function reads. */
export function observeProcess(prefix: string): () => Promise<readonly Metric[]> {
  const register = new Registry()
  collectDefaultMetrics({ register, prefix, eventLoopMonitoringPrecision: RESOLUTION })
  return async () => {
    const metrics = await register.getMetricsAsJSON()
    return metrics.filter(isNamedAsItIs).map(({ name, help, type, aggregator, values }) => ({
      name,
      help,
      type: KINDS[String(type)] ?? 'gauge',
      combine: COMBINE[aggregator] ?? 'sum',
      labels: labelsOfMetric(register.getSingleMetric(name)),
      samples: values.flatMap((sample) => {
        const value = LAG.test(name) ? Math.max(0, sample.value - RESOLUTION / 1000) : sample.value
        return isNonsense(name, value)
          ? []
          : [
              {
                // Of a histogram each value has the name that it is printed with.
                suffix: 'metricName' in sample ? String(sample.metricName).slice(name.length) : '',
                labels: labelsOf(Object.keys(sample.labels), Object.values(sample.labels).map(String)),
                value,
              },
            ]
      }),
    }))
  }
}

/** prom-client keeps them, and does not say so in its types. */
function labelsOfMetric(metric: object | undefined): readonly string[] {
  return metric && 'labelNames' in metric && Array.isArray(metric.labelNames) ? metric.labelNames.map(String) : []
}

/** Numbers of handles and the like are there by type; their sums are gauges that are called totals, which only counters are. */
function isNamedAsItIs({ name, type }: { readonly name: string; readonly type: unknown }): boolean {
  return !name.endsWith('_total') || String(type) === 'counter'
}

/** What Node says between a scrape and the next look: no number, or longer than any process lives. */
function isNonsense(name: string, value: number): boolean {
  return name.includes('_eventloop_lag_') && !(value < 1e9)
}

const KINDS: Readonly<Record<string, Metric['type']>> = { counter: 'counter', histogram: 'histogram' }

/** Of event loops the one that lags most counts, and of starts the first. */
const COMBINE: Readonly<Record<string, Combine>> = { min: 'min', max: 'max', average: 'max', first: 'max', omit: 'min' }
