import type { MicroResult } from './micro.ts'
import { type Cell, least, median } from './rounds.ts'

/** A figure and the most that it should be. A missed one is printed and fails nothing: the machine may be busy. */
export interface Budget {
  readonly what: string
  /** The median, and beside it the least disturbed figure. They disagree on a busy machine. */
  readonly median: number
  readonly least: number
  readonly unit: '×' | 'µs'
  readonly limit: number
}

export const met = ({ median, limit }: Budget): boolean => median <= limit

export const SIGNED_IN = 'Postern, signed in'
export const NGINX = 'nginx proxy_pass'

interface Ratio {
  readonly work: string
  readonly target: string
  readonly over: string
  readonly limit: number
}

const GET = 'GET 1 KiB, 64 connections'

const RATIOS: readonly Ratio[] = [
  { work: GET, target: SIGNED_IN, over: NGINX, limit: 2.4 },
  { work: GET, target: SIGNED_IN, over: 'bare undici', limit: 0.75 },
  { work: GET, target: 'Postern, on Redis', over: SIGNED_IN, limit: 1.1 },
  { work: GET, target: 'Postern, anonymous 302', over: SIGNED_IN, limit: 0.5 },
  { work: GET, target: 'Postern, anonymous 401', over: SIGNED_IN, limit: 0.5 },
  { work: "GET 1 KiB, a browser's headers, 64 connections", target: SIGNED_IN, over: NGINX, limit: 2.4 },
  { work: 'GET 1 MiB, 8 connections', target: SIGNED_IN, over: NGINX, limit: 1 },
  { work: 'POST 1 MiB, 8 connections', target: SIGNED_IN, over: NGINX, limit: 0.6 },
]

/** The budgets whose programs were measured. */
export function ratios(cells: readonly Cell[]): readonly Budget[] {
  return RATIOS.flatMap(({ work, target, over, limit }) => {
    const of = (name: string): readonly number[] =>
      cells.find((cell) => cell.work === work && cell.target === name)?.rounds ?? []
    const [mine, theirs] = [of(target), of(over)]
    if (mine.length === 0 || theirs.length === 0) return []
    // Of each round by itself: its measurements were made in the same minute.
    const inRounds = mine.map((cpu, i) => cpu / (theirs[i] ?? Number.NaN))
    return [
      {
        what: `${work}: ${target} ÷ ${over}`,
        median: median(inRounds),
        least: least(mine) / least(theirs),
        unit: '×',
        limit,
      },
    ]
  })
}

export function microBudget({ name, rounds, budgetNs }: MicroResult): Budget {
  return { what: name, median: median(rounds) / 1000, least: least(rounds) / 1000, unit: 'µs', limit: budgetNs / 1000 }
}
