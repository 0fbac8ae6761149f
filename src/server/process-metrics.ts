/** Memory, CPU, garbage collection and event loop of this process. Loaded only where somebody can read them. */
import { collectDefaultMetrics, Registry } from 'prom-client'
import { type Combine, labelsOf, type Metric } from './exposition.ts'

/** Measures from now on; the returned function reads. */
export function observeProcess(prefix: string): () => Promise<readonly Metric[]> {
  const register = new Registry()
  collectDefaultMetrics({ register, prefix })
  return async () => {
    const metrics = await register.getMetricsAsJSON()
    return metrics.map(({ name, help, type, aggregator, values }) => ({
      name,
      help,
      type: KINDS[String(type)] ?? 'gauge',
      combine: COMBINE[aggregator] ?? 'sum',
      samples: values.map((sample) => ({
        // Of a histogram each value has the name that it is printed with.
        suffix: 'metricName' in sample ? String(sample.metricName).slice(name.length) : '',
        labels: labelsOf(Object.keys(sample.labels), Object.values(sample.labels).map(String)),
        value: sample.value,
      })),
    }))
  }
}

const KINDS: Readonly<Record<string, Metric['type']>> = { counter: 'counter', histogram: 'histogram' }

/** Of event loops the one that lags most counts, and of starts the first. */
const COMBINE: Readonly<Record<string, Combine>> = { min: 'min', max: 'max', average: 'max', first: 'max', omit: 'min' }
