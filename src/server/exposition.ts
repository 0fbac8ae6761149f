/** Metrics as numbers: what one process counts, what several count together, and the text that Prometheus reads (format 0.0.4). */

/** What the values of several processes are together: requests add up, of ages the oldest counts. */
export type Combine = 'sum' | 'min' | 'max'

export interface Sample {
  /** Behind the name of the metric: `_bucket`, `_sum` and `_count` of a histogram. */
  readonly suffix: string
  /** `name="value",…`, as it is printed. */
  readonly labels: string
  readonly value: number
}

export interface Metric {
  /** Whole: `postern_streams_active`. */
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly combine: Combine
  /** Names, without `le`. */
  readonly labels: readonly string[]
  readonly samples: readonly Sample[]
}

export function labelsOf(names: readonly string[], values: readonly string[]): string {
  return names.map((name, i) => `${name}="${escaped(values[i] ?? '').replaceAll('"', '\\"')}"`).join(',')
}

/** What `labelsOf` has made, or prom-client. */
export function parseLabels(text: string): readonly (readonly [name: string, value: string])[] {
  return [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/gs)].map(([, name = '', value = '']) => [
    name,
    value.replaceAll(/\\(.)/gs, (_, char: string) => (char === 'n' ? '\n' : char)),
  ])
}

export function textOf(metrics: readonly Metric[]): string {
  const lines = metrics.flatMap(({ name, help, type, samples }) => [
    `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n`,
    ...samples.map(({ suffix, labels, value }) => `${name}${suffix}${labels && `{${labels}}`} ${numberText(value)}\n`),
  ])
  return lines.join('')
}

/** Metrics of several processes as those of one: what has the same name and labels is one number. */
export function together(processes: readonly (readonly Metric[])[]): readonly Metric[] {
  const byName = new Map<string, { readonly metric: Metric; readonly samples: Map<string, Sample> }>()
  for (const metric of processes.flat()) {
    const { name } = metric
    const known = byName.get(name) ?? { metric, samples: new Map<string, Sample>() }
    byName.set(name, known)
    for (const sample of metric.samples) {
      const key = `${sample.suffix} ${sample.labels}`
      const before = known.samples.get(key)
      const value = before ? COMBINE[metric.combine](before.value, sample.value) : sample.value
      known.samples.set(key, { ...sample, value })
    }
  }
  return [...byName.values()].map(({ metric, samples }) => ({ ...metric, samples: [...samples.values()] }))
}

/** What stays of a process that has ended: its counts. A total that went back would be read as a restart. */
export function countsOf(metrics: readonly Metric[]): readonly Metric[] {
  return metrics.filter(({ type }) => type !== 'gauge')
}

const COMBINE: Readonly<Record<Combine, (left: number, right: number) => number>> = {
  sum: (left, right) => left + right,
  min: Math.min,
  max: Math.max,
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function numberText(value: number): string {
  return Number.isFinite(value) || Number.isNaN(value) ? String(value) : value > 0 ? '+Inf' : '-Inf'
}
