import { assertNever } from '../../src/errors.ts'
import type { Forward, Route } from '../../src/config/route-model.ts'

/** What applications see as Host, route by route: the kinds with the names of their routes, in the order of the file. */
export function describeHosts(routes: readonly Route[]): readonly string[] {
  const kinds = new Map<string, string[]>()
  for (const { name, action } of routes) {
    if (action.kind !== 'forward') continue
    const kind = describeHost(action)
    const names = kinds.get(kind)
    if (names) names.push(name)
    else kinds.set(kind, [name])
  }
  const [only, ...others] = [...kinds]
  if (!only) return []
  if (others.length === 0) return [`Host that applications see: ${only[0]}`]
  const width = Math.max(...[...kinds.keys()].map((kind) => kind.length))
  return [
    'Host that applications see:',
    ...[only, ...others].map(([kind, names]) => `  ${kind.padEnd(width)}  ${listed(names)}`),
  ]
}

const SHOWN = 5

function listed(names: readonly string[]): string {
  const more = names.length - SHOWN
  return names.slice(0, SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

function describeHost({ rewrite: { host } }: Forward): string {
  switch (host.kind) {
    case 'client':
      return 'the one that people ask for'
    case 'upstream':
      return "the upstream's own"
    case 'fixed':
      return host.authority
    case 'header':
      return `the value of ${host.name}`
    case 'path-regex':
      return 'made of the path'
    default:
      return assertNever(host)
  }
}
