import type { Path, Report } from '../issues.ts'
import type { Route } from '../route-model.ts'

/** A route that sends its requests to its own address. @param paths where each route is written. */
export function reportLoops(routes: readonly Route[], paths: readonly Path[], report: Report): void {
  for (const [i, { from, action }] of routes.entries()) {
    const own = new URL(
      `${from.scheme}://${from.wildcard ? 'x' : from.host}${from.port === undefined ? '' : `:${from.port}`}`,
    )
    if (action.kind !== 'forward' || !action.upstreams.some(({ origin }) => origin === own.origin)) continue
    report.warning(
      [...(paths[i] ?? []), 'to'],
      'this is the address of the route itself, so requests come back and are answered with 508, unless the name leads elsewhere inside',
    )
  }
}
