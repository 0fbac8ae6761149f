/** What one target took for one work. */
export interface Cell {
  readonly work: string
  readonly target: string
  readonly connections: number
  /** CPU time of the program per request in microseconds, of each round. */
  readonly rounds: readonly number[]
  readonly requestsPerSecond: number
  /** At a fixed rate: the time that 99 % of the answers do not exceed, in milliseconds, of each round. */
  readonly p99?: readonly number[]
  readonly rssMiB: number
  readonly series?: string
  readonly at?: number
}

/** One thing measured by itself, several times. */
export interface Figure {
  readonly what: string
  readonly unit: string
  readonly values: readonly number[]
  /** The most it should be; absent: no budget. */
  readonly limit?: number
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** The least disturbed of several measurements of the same. */
export const least = (values: readonly number[]): number => Math.min(...values)
