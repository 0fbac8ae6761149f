/** The metrics of `/metrics`, sent to an OTLP receiver as well: the same names, labels and numbers. */
import type { TelemetryConfig } from '../../config/model.ts'
import { every } from '../../lib/clock.ts'
import { createFaultLog } from '../../lib/fault-tally.ts'
import { epochMillis } from '../../lib/time.ts'
import { settledWithin } from '../../lib/wait.ts'
import type { Clock, Logger } from '../../types.ts'
import { type Metric, parseLabels, type Sample } from '../exposition.ts'
import {
  CUMULATIVE,
  type HistogramPoint,
  type KeyValue,
  METRICS,
  metricsMessage,
  type NumberPoint,
  type OtlpMetric,
  textAttribute,
} from './otlp.ts'
import { senderOf } from './resource.ts'
import { createOtlpSender, LAST_PATIENCE } from './sender.ts'
import { nanoseconds } from './tracing.ts'

export function openMetrics({
  config,
  metrics: { receiver, interval },
  version,
  read,
  clock,
  logger,
}: {
  readonly config: TelemetryConfig
  readonly metrics: NonNullable<TelemetryConfig['metrics']>
  readonly version: string
  readonly read: () => Promise<readonly Metric[]>
  readonly clock: Clock
  readonly logger: Logger
}): { close(): Promise<void> } {
  const from = senderOf(config, version)
  const sender = createOtlpSender({ what: 'metrics', receiver, shape: METRICS, clock, logger })
  const startTimeUnixNano = nanoseconds(epochMillis(clock.now()))
  const closing = new AbortController()
  const tellFault = createFaultLog({ clock, logger })
  let sending: Promise<void> | undefined

  async function send(): Promise<void> {
    const times = { startTimeUnixNano, timeUnixNano: nanoseconds(epochMillis(clock.now())) }
    const all = (await read()).flatMap((metric) => otlpMetric(metric, times) ?? [])
    // Totals: what was not taken now is in the next ones.
    await sender.send(metricsMessage(from, all), closing.signal)
  }
  function begin(): void {
    sending ??= send()
      .catch((error: unknown) => tellFault(error, 'metrics cannot be read to be sent'))
      .finally(() => (sending = undefined))
  }

  const stop = every(clock, interval, begin)
  return {
    async close() {
      stop()
      closing.abort()
      const last = async (): Promise<void> => {
        await sending
        begin()
        await sending
      }
      await settledWithin(last(), { clock, timeout: LAST_PATIENCE, signal: new AbortController().signal })
    },
  }
}

type Times = Pick<NumberPoint, 'startTimeUnixNano' | 'timeUnixNano'>

/** undefined: there is nothing to tell of it now. */
function otlpMetric({ name, help: description, type, samples }: Metric, times: Times): OtlpMetric | undefined {
  if (type === 'histogram') {
    const dataPoints = histogramPoints(samples, times)
    return dataPoints.length === 0
      ? undefined
      : { name, description, histogram: { dataPoints, aggregationTemporality: CUMULATIVE } }
  }
  const dataPoints = samples
    // JSON has no word for the others, and no receiver a use.
    .filter(({ value }) => Number.isFinite(value))
    .map(
      ({ labels, value }): NumberPoint => ({
        ...times,
        asDouble: value,
        attributes: attributesOf(parseLabels(labels)),
      }),
    )
  if (dataPoints.length === 0) return undefined
  return type === 'counter'
    ? { name, description, sum: { dataPoints, aggregationTemporality: CUMULATIVE, isMonotonic: true } }
    : { name, description, gauge: { dataPoints } }
}

/** Of buckets that count all below their bound, buckets that count what is between two. */
function histogramPoints(samples: readonly Sample[], times: Times): readonly HistogramPoint[] {
  const series = new Map<
    string,
    { attributes: readonly KeyValue[]; below: [number, number][]; sum: number; count: number }
  >()
  for (const { suffix, labels, value } of samples) {
    const all = parseLabels(labels)
    const others = all.filter(([name]) => name !== 'le')
    const key = JSON.stringify(others)
    const found = series.get(key) ?? { attributes: attributesOf(others), below: [], sum: 0, count: 0 }
    series.set(key, found)
    const bound = all.find(([name]) => name === 'le')?.[1]
    if (suffix === '_bucket' && bound !== undefined && bound !== '+Inf') found.below.push([Number(bound), value])
    else if (suffix === '_sum') found.sum = value
    else if (suffix === '_count') found.count = value
  }
  return [...series.values()].map(({ attributes, below, sum, count }) => {
    const ascending = below.toSorted(([left], [right]) => left - right)
    const totals = [...ascending.map(([, total]) => total), count]
    return {
      ...times,
      count: String(count),
      sum,
      bucketCounts: totals.map((total, i) => String(total - (totals[i - 1] ?? 0))),
      explicitBounds: ascending.map(([bound]) => bound),
      attributes,
    }
  })
}

function attributesOf(labels: readonly (readonly [string, string])[]): readonly KeyValue[] {
  return labels.map(([name, value]) => textAttribute(name, value))
}
