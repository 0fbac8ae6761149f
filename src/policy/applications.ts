import type { Route } from '../config/route-model.ts'
import type { RequestFacts } from '../http/request.ts'
import { firstPath } from '../routing/first-path.ts'
import { isOfHost, originFor } from '../routing/table.ts'
import type { RouteMatch, RouteTable } from '../routing/model.ts'
import type { WallTime } from '../types.ts'
import { judge } from './judge.ts'
import type { Principal } from './model.ts'
import type { Decision } from './verdict.ts'

/** Something that a person may open. */
export interface Application {
  readonly route: Route
  /** Where it begins: a canonical address of the web. */
  readonly url: string
  /** It opens after one more sign-in: a stronger or a more recent one. */
  readonly asksAgain: boolean
}

export interface Applications {
  readonly list: readonly Application[]
  /**
   * Routes that ask for groups, while those of the person are unknown: what is missing may be theirs. `told-at-sign-in`: no
   * waiting helps, because the sign-in did not say them. undefined: nothing is missing.
   */
  readonly incomplete?: 'unknown' | 'told-at-sign-in'
}

/** @param who as whom they may come: with several identity providers, one of each. */
export type FindApplications = (who: readonly Principal[], asked: RequestFacts, now: WallTime) => Applications

/**
 * What a person may open, in the order of names: the judge is asked about each route, for a plain GET of the address at
 * which the route begins, from where the person is now. A route that no such address leads to (a wildcard host other than
 * the one that was asked, an expression that fits neither `/` nor its own beginning, one that needs another method, header
 * or query, one behind an earlier route) is nothing that a link could open.
 */
export function createApplications(routes: readonly Route[], table: RouteTable): FindApplications {
  const shown = routes
    .filter(({ portal }) => portal)
    .flatMap((route) => {
      const path = firstPath(route.match)
      return path === undefined ? [] : [{ route, path, key: route.name.toLowerCase() }]
    })
    .toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))

  return (who, asked, now) => {
    const list: Application[] = []
    let incomplete: Applications['incomplete']
    for (const { route, path } of shown) {
      const { from } = route
      if (from.wildcard && !isOfHost(from, asked.host)) continue
      const host = from.wildcard ? asked.host : from.host
      const facts = plainGet(asked, host, from.port, path)
      const match = matchOf(table, facts)
      if (match?.kind !== 'route' || match.route !== route) continue
      const chances = who.map((each) => chanceOf(judge({ routes: table }, facts, each, now, match)))
      if (chances.includes('open') || chances.includes('asks-again')) {
        list.push({ route, url: originFor(from, host) + path, asksAgain: !chances.includes('open') })
      } else if (chances.includes('unknown')) incomplete = 'unknown'
      else if (chances.includes('told-at-sign-in')) incomplete ??= 'told-at-sign-in'
    }
    return { list, ...(incomplete && { incomplete }) }
  }
}

/** undefined: a condition of a route cannot be judged with these headers, and no request with them would be served. */
function matchOf(table: RouteTable, facts: RequestFacts): RouteMatch | undefined {
  try {
    return table.match(facts)
  } catch {
    return undefined
  }
}

function chanceOf(verdict: { readonly outcome: string } & Partial<Pick<Decision, 'reasons'>>): Chance {
  switch (verdict.outcome) {
    case 'allow':
      return 'open'
    case 'unavailable':
      return 'unknown'
    case 'sign-in':
      // The policy lets them in. Of a session that does not count here nobody knows what it says of the next one.
      return verdict.reasons?.includes('authentication-insufficient') ? 'asks-again' : 'no'
    case 'deny':
      return verdict.reasons?.includes('groups-claim-absent') ? 'told-at-sign-in' : 'no'
    default:
      return 'no'
  }
}

type Chance = 'open' | 'asks-again' | 'unknown' | 'told-at-sign-in' | 'no'

/** What a click on a link asks: nothing is sent along that the person's browser would not send. */
function plainGet(asked: RequestFacts, host: string, port: number | undefined, path: string): RequestFacts {
  return {
    id: asked.id,
    method: 'GET',
    host,
    port,
    path,
    query: '',
    clientIp: asked.clientIp,
    ...(asked.hop !== undefined && { hop: asked.hop }),
    clientCertificate: asked.clientCertificate,
    scheme: asked.scheme,
    wants: 'html',
    cookie: '',
    origin: undefined,
    userAgent: asked.userAgent,
    browser: true,
    headers: asked.headers,
  }
}
