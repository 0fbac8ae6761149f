import { nearest } from '../policy/nearest.ts'
import { isTree } from './input.ts'
import type { Path } from './issues.ts'
import { globalKeys, keysAt, routeKeys } from './keys.ts'
import { foreignKeys } from './schema/unsupported.ts'

const FEW = 4
const MANY = 12

/** What to say about a key that the map at `path` does not have. */
export function describeUnknownKey(key: string, value: unknown, path: Path): string {
  const inRoute = path[0] === 'routes' || path[0] === 'policy'
  const hint = hintFor(key, value, path, inRoute)
  return `unknown key "${key}"${hint === undefined ? '' : ` (${hint})`}`
}

function hintFor(key: string, value: unknown, path: Path, inRoute: boolean): string | undefined {
  const known = keysAt(path)
  // A small map of a route is a subject of its own: what its words mean elsewhere is no help.
  if (inRoute && path.length > 2) return hintInside(key, path, known)
  const home = homeOf(key, inRoute)
  if (home !== undefined) return `it belongs ${home}`
  const near = nearest(key, known)
  if (near !== undefined) return `did you mean "${near}"?`
  const [flat] = isTree(value) ? Object.keys(value).map((inner) => `${key}_${inner}`) : []
  if (flat !== undefined && known.includes(flat)) return `keys are flat here: write \`${flat}\``
  // Last, because it is no help to those who meant one of ours.
  const pomerium = nearest(key, foreignKeys(inRoute ? 'route' : 'global'))
  return pomerium === undefined ? undefined : `did you mean "${pomerium}"? It is a key of Pomerium`
}

function hintInside(key: string, path: Path, known: readonly string[]): string | undefined {
  const homes = known.filter((map) => keysAt([...path, map]).includes(key))
  if (homes.length > 0) return `it belongs in ${homes.map((map) => `"${map}"`).join(' or ')}`
  // Of few words all say more than a guess; many are a wall.
  const near = known.length > FEW ? nearest(key, known) : undefined
  if (near !== undefined) return `did you mean "${near}"?`
  return known.length > 0 && known.length <= MANY ? `expected ${known.join(', ')}` : undefined
}

/** Where a key that stands in the wrong place belongs; undefined for one that belongs nowhere. */
function homeOf(key: string, inRoute: boolean): string | undefined {
  if (!inRoute && routeKeys.some((other) => other.path[0] === key)) return 'in a route'
  const found = globalKeys.find((other) => other.path.at(-1) === key)
  const around = globalKeys.find((other) => other.path.slice(1, -1).includes(key))
  if (!found && around) return `in "${around.path.slice(0, around.path.indexOf(key)).join('.')}"`
  if (!found) return undefined
  return found.path.length > 1 ? `in "${found.path.slice(0, -1).join('.')}"` : 'at the top level'
}
