/** One line of the table. */
export interface Row {
  readonly what: string
  readonly measured: string
  /** Absent: the figure has no bound. */
  readonly bound?: string
  readonly met?: boolean
}

export interface Scenario {
  readonly name: string
  readonly rows: readonly Row[]
}

/** `value` against the most it may be. */
export function atMost(what: string, value: number, most: number, unit: string): Row {
  const shown = value < 10 ? value.toFixed(2) : value.toFixed(value < 100 ? 1 : 0)
  return { what, measured: `${shown} ${unit}`, bound: `≤ ${most} ${unit}`, met: value <= most }
}

export function isTrue(what: string, measured: string, met: boolean, bound: string): Row {
  return { what, measured, bound, met }
}

export function fact(what: string, measured: string): Row {
  return { what, measured }
}

/** The value that `share` of all do not exceed; NaN when there is none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`
}

export function print({ name, rows }: Scenario): void {
  console.log(`\n${name}`)
  for (const row of rows) printRow(row)
}

export function printRow({ what, measured, bound = '', met }: Row): void {
  const verdict = met === undefined ? '' : met ? 'met' : 'MISSED'
  console.log(`  ${what.padEnd(58)}${measured.padStart(22)}${bound.padStart(16)}  ${verdict}`.trimEnd())
}
