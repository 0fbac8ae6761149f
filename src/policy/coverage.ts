import type { Route } from '../config/route-model.ts'
import type { Explanation } from './explain.ts'

/** What table tests have not seen of a route. */
export interface Uncovered {
  readonly route: Route
  /** `all`: no case came to the route. Otherwise criteria that were never true, or never false. */
  readonly missing: 'all' | readonly string[]
}

export interface Coverage {
  add(route: Route, explanation: Explanation): void
  /** Routes with something missing, in the order of the file. */
  uncovered(): readonly Uncovered[]
  /** Of all criteria of all routes, each counted twice: true and false. */
  count(): { readonly seen: number; readonly all: number }
}

/** Which criteria of which routes the cases of a table test have decided. */
export function createCoverage(routes: readonly Route[]): Coverage {
  /** Place of the criterion among those of its route → the values that were seen. */
  const seen = new Map<Route, ReadonlyMap<number, Set<string>>>()

  function missingOf(route: Route): Uncovered['missing'] {
    const values = seen.get(route)
    if (!values) return 'all'
    return criteriaOf(route).flatMap(({ action, describe }, i) =>
      ['true', 'false']
        .filter((value) => !values.get(i)?.has(value))
        .map((value) => `${action} if ${describe}: never ${value}`),
    )
  }

  return {
    add(route, { allow, deny }) {
      const values = seen.get(route) ?? new Map<number, Set<string>>(criteriaOf(route).map((_, i) => [i, new Set()]))
      seen.set(route, values)
      const all = [...allow, ...deny].flatMap(({ criteria }) => criteria)
      for (const [i, { value }] of all.entries()) values.get(i)?.add(value)
    },
    uncovered: () =>
      routes
        .map((route) => ({ route, missing: missingOf(route) }))
        .filter(({ missing }) => missing === 'all' || missing.length > 0),
    count() {
      let [found, all] = [0, 0]
      for (const route of routes) {
        all += criteriaOf(route).length * 2
        for (const values of seen.get(route)?.values() ?? []) {
          found += Number(values.has('true')) + Number(values.has('false'))
        }
      }
      return { seen: found, all }
    },
  }
}

function criteriaOf({ policy }: Route): readonly { readonly action: 'allow' | 'deny'; readonly describe: string }[] {
  if (policy.kind !== 'rules') return []
  return (['allow', 'deny'] as const).flatMap((action) =>
    policy[action].flatMap(({ criteria }) => criteria.map(({ describe }) => ({ action, describe }))),
  )
}
