import { belowExpression, findLeftovers } from '../../routing/leftover.ts'
import { findShadows } from '../../routing/shadow.ts'
import { formatPath, type Path, type Report } from '../issues.ts'
import type { Route } from '../route-model.ts'

/** Says which routes are hidden by earlier ones. @param paths where each route is written. */
export function reportShadows(routes: readonly Route[], paths: readonly Path[], report: Report): void {
  for (const { earlier, later, example } of findShadows(routes)) {
    const [first, path] = [paths[earlier] ?? [], paths[later] ?? []]
    const name = `${formatPath(first)} (${report.where(first)})`
    const open =
      routes[later]?.policy.kind === routes[earlier]?.policy.kind ? '' : OPEN[routes[earlier]?.policy.kind ?? 'rules']
    if (example === undefined) {
      report.error(path, `never reached: ${name} comes first${open} and matches every request of this route`)
    } else {
      report.warning(path, `${name} comes first${open} and takes requests of this route, such as ${example}`)
    }
  }
}

/** Says which requests a more open route takes although somebody may think that this one protects them. */
export function reportLeftovers(routes: readonly Route[], paths: readonly Path[], report: Report): void {
  for (const { kind, protected: place, open } of findLeftovers(routes)) {
    const [path, other] = [paths[place] ?? [], paths[open] ?? []]
    const policy = routes[open]?.policy.kind === 'public' ? 'is public' : 'is open to everybody who is signed in'
    const name = `${formatPath(other)} (${report.where(other)}), which ${policy}`
    const match = routes[place]?.match
    if (kind === 'conditions') {
      report.warning(path, `clients choose headers and queries: requests without those written here go to ${name}`)
    } else if (match?.kind === 'regex') {
      const below = belowExpression(match)
      report.warning(
        [...path, 'regex'],
        `fits whole paths: ${below}, which it does not fit, goes to ${name}; write (?:/.*)? at its end for what is below`,
      )
    } else if (match?.kind === 'prefix') {
      const { prefix } = match
      report.warning(
        [...path, 'prefix'],
        `matches ${prefix} and ${prefix}/…; ${prefix}anything, which Pomerium would match too, goes to ${name}`,
      )
    }
  }
}

const OPEN = { public: ', is public', 'signed-in': ', is open to everybody who is signed in', rules: '' } as const
