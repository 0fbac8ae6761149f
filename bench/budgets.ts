import { type Cell, type Figure, least, median } from './figures.ts'
import type { MicroResult } from './micro.ts'
import { apache } from './peers/apache.ts'
import { envoy } from './peers/envoy.ts'
import { oauth2Proxy } from './peers/oauth2-proxy.ts'

/** A figure and the most that it should be. A missed one is printed and fails nothing: the machine may be busy. */
export interface Budget {
  readonly what: string
  /** The median, and beside it the least disturbed figure. They disagree on a busy machine. */
  readonly median: number
  readonly least: number
  readonly unit: string
  readonly limit: number
}

export const met = ({ median, limit }: Budget): boolean => median <= limit

export const SIGNED_IN = 'Postern, signed in'
export const NGINX = 'nginx proxy_pass'

// Names of works that budgets are about.
export const GET = 'GET 1 KiB, 64 connections'
export const BROWSING = "GET 1 KiB, a browser's headers, 64 connections"
export const DOWN = 'GET 1 MiB, 8 connections'
export const UP = 'POST 1 MiB, 8 connections'
export const PACED = 'GET 1 KiB, 64 connections, 1000 requests/s'
export const HALF = 'GET 1 KiB, 64 connections, half of the load that Postern can bear'

export const BY_WORKERS = 'GET 1 KiB by workers, all on one core, 64 connections'
export const BY_ROUTES = 'GET 1 KiB by number of routes, 64 connections'
export const TLS = 'GET 1 KiB over TLS 1.3, 64 connections'
export const POSTERN_TLS = 'Postern with TLS, signed in'
export const NGINX_TLS = 'nginx with TLS'

interface Ratio {
  readonly work: string
  readonly target: string
  readonly over: string
  readonly limit: number
  /** Absent: CPU per request. */
  readonly of?: 'p99'
}

const RATIOS: readonly Ratio[] = [
  { work: GET, target: SIGNED_IN, over: NGINX, limit: 2.4 },
  { work: GET, target: SIGNED_IN, over: 'bare undici', limit: 0.75 },
  { work: BROWSING, target: SIGNED_IN, over: NGINX, limit: 2.4 },
  { work: DOWN, target: SIGNED_IN, over: NGINX, limit: 1 },
  { work: UP, target: SIGNED_IN, over: NGINX, limit: 0.6 },
  { work: GET, target: SIGNED_IN, over: envoy.name, limit: 0.5 },
  { work: PACED, target: SIGNED_IN, over: envoy.name, limit: 0.9 },
  { work: GET, target: SIGNED_IN, over: oauth2Proxy.name, limit: 0.13 },
  { work: GET, target: SIGNED_IN, over: apache.name, limit: 0.2 },
  { work: GET, target: 'Postern, on Redis', over: SIGNED_IN, limit: 1.1 },
  { work: GET, target: 'Postern, anonymous 302', over: SIGNED_IN, limit: 0.5 },
  { work: GET, target: 'Postern, anonymous 401', over: SIGNED_IN, limit: 0.5 },
  { work: TLS, target: POSTERN_TLS, over: NGINX_TLS, limit: 3 },
  ...[
    '10000 hosts',
    '10000 prefixes',
    '1000 regexes',
    '10000 prefixes, each in turn',
    '1000 regexes, each in turn',
  ].map((target) => ({
    work: BY_ROUTES,
    target,
    over: '1 route',
    limit: 1.2,
  })),
  // Two workers on two free cores then answer 1.8 times as much.
  { work: BY_WORKERS, target: '2 workers', over: '1 worker', limit: 1.11 },
  { work: HALF, target: SIGNED_IN, over: NGINX, limit: 3, of: 'p99' },
]

/** The budgets whose programs were measured. */
export function ratios(cells: readonly Cell[]): readonly Budget[] {
  return RATIOS.flatMap(({ work, target, over, limit, of }) => {
    const roundsOf = (name: string): readonly number[] => {
      const cell = cells.find((each) => each.work === work && each.target === name)
      return (of === 'p99' ? cell?.p99 : cell?.rounds) ?? []
    }
    const [mine, theirs] = [roundsOf(target), roundsOf(over)]
    if (mine.length === 0 || theirs.length === 0) return []
    // Of each round by itself: its measurements were made in the same minute.
    const inRounds = mine.map((value, i) => value / (theirs[i] ?? Number.NaN))
    const what = `${work}: ${of ? `${of} of ` : ''}${target} ÷ ${over}`
    return [{ what, median: median(inRounds), least: least(mine) / least(theirs), unit: '×', limit }]
  })
}

export function microBudget({ name, rounds, budgetNs }: MicroResult): Budget {
  return { what: name, median: median(rounds) / 1000, least: least(rounds) / 1000, unit: 'µs', limit: budgetNs / 1000 }
}

export function figureBudget({ what, unit, values, limit }: Figure): readonly Budget[] {
  return limit === undefined ? [] : [{ what, median: median(values), least: least(values), unit, limit }]
}
