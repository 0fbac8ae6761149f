import { spawnSync } from 'node:child_process'
import { loadavg } from 'node:os'

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
  readonly circumstances: string
}

/** One thing measured by itself, several times. */
export interface Figure {
  readonly what: string
  readonly unit: string
  readonly values: readonly number[]
  /** The most it should be; absent: no budget. */
  readonly limit?: number
  readonly circumstances: string
}

/** When something was measured, of which commit, and how busy the machine was with other things too. */
export function circumstances(): string {
  const { status, stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', timeout: 10_000 })
  const commit = status === 0 ? ` at ${stdout.trim()}` : ''
  return `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC${commit}, load average ${(loadavg()[0] ?? 0).toFixed(1)}`
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** The least disturbed of several measurements of the same. */
export const least = (values: readonly number[]): number => Math.min(...values)
