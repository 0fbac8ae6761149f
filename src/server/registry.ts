/** Metrics of one process: counted as things happen, or read when somebody asks. */
import { type Combine, labelsOf, type Metric, type Sample } from './exposition.ts'
import { createHistogram, type Histogram } from './histogram.ts'

/** Label values in the order of the names, and the value. */
export type Value = readonly [labelValues: readonly string[], value: number]

/** Names are without the prefix `postern_`. */
export interface Registry {
  /** A value read at scrape time; undefined: there is none now. `combine`: of several processes; `sum` unless said. */
  gauge(name: string, help: string, read: () => number | undefined, combine?: Combine): void
  /** Values by label, read at scrape time. */
  gauges(name: string, help: string, labels: readonly string[], read: () => Iterable<Value>, combine?: Combine): void
  /** Totals that somebody else counts, read at scrape time; what has the same labels adds up. */
  totals(name: string, help: string, labels: readonly string[], read: () => Iterable<Value>): void
  /** Counts one event of these label values; make it once for values that are known beforehand. */
  counter(name: string, help: string, labels: readonly string[]): (labelValues: readonly string[]) => () => void
  histogram(name: string, help: string, labels: readonly string[]): Histogram
  /** Memory, CPU, garbage collection and event loop of this process, from now on. Costs it five wake-ups a second. */
  observeProcess(): Promise<void>
  read(): Promise<readonly Metric[]>
}

const PREFIX = 'postern_'

export function createRegistry(): Registry {
  const reads: (() => Metric | Promise<readonly Metric[]>)[] = []

  function totals(name: string, help: string, labels: readonly string[], read: () => Iterable<Value>): void {
    reads.push(() => {
      const sums = new Map<string, number>()
      for (const [labelValues, value] of read()) {
        const key = labelsOf(labels, labelValues)
        sums.set(key, (sums.get(key) ?? 0) + value)
      }
      const samples = [...sums].map(([key, value]): Sample => ({ suffix: '', labels: key, value }))
      return { name: PREFIX + name, help, type: 'counter', combine: 'sum', labels, samples }
    })
  }

  function gauges(
    name: string,
    help: string,
    labels: readonly string[],
    read: () => Iterable<Value>,
    combine: Combine = 'sum',
  ): void {
    reads.push(() => {
      const samples = [...read()].map(
        ([labelValues, value]): Sample => ({ suffix: '', labels: labelsOf(labels, labelValues), value }),
      )
      return { name: PREFIX + name, help, type: 'gauge', combine, labels, samples }
    })
  }

  return {
    gauges,
    totals,

    gauge(name, help, read, combine) {
      const values = (): readonly Value[] => {
        const value = read()
        return value === undefined ? [] : [[[], value]]
      }
      gauges(name, help, [], values, combine)
    },

    counter(name, help, labels) {
      const counts = new Map<string, { readonly labelValues: readonly string[]; count: number }>()
      totals(name, help, labels, () => [...counts.values()].map(({ labelValues, count }) => [labelValues, count]))
      return (labelValues) => {
        const key = labelValues.join('\n')
        const counted = counts.get(key) ?? { labelValues, count: 0 }
        counts.set(key, counted)
        return () => void counted.count++
      }
    },

    histogram(name, help, labels) {
      const histogram = createHistogram(PREFIX + name, help, labels)
      reads.push(() => histogram.metric())
      return histogram
    },

    async observeProcess() {
      const { observeProcess } = await import('./process-metrics.ts')
      reads.push(observeProcess(PREFIX))
    },

    read: async () => (await Promise.all(reads.map(async (read) => read()))).flat(),
  }
}
