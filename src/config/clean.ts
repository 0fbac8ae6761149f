import { type Input, isTree } from './input.ts'
import type { ConfigIssue, Path } from './issues.ts'
import { globalKeys, type Key, routeKeys } from './keys.ts'
import { describeForeignKey } from './schema/unsupported.ts'

type Tree = Readonly<Record<string, unknown>>

/** What is left of a map without the keys of Pomerium that Postern does not have, and without empty values. */
export interface Cleaned {
  readonly value: Tree
  /** Keys that were dropped and should not have been there. */
  readonly refused: readonly string[]
  readonly issues: readonly ConfigIssue[]
}

/** Keys by their dotted names, and the names of the maps around them. */
interface Known {
  readonly keys: ReadonlyMap<string, Key>
  readonly maps: ReadonlySet<string>
}

const known = { global: byName(globalKeys), route: byName(routeKeys) }

/** @param path of the map: `[]`, or that of a route. */
export function clean(tree: Tree, path: Path, { keyAt }: Pick<Input, 'keyAt'>): Cleaned {
  const where = path.length === 0 ? 'global' : 'route'
  const refused: string[] = []
  const issues: ConfigIssue[] = []

  function withoutEmpty(map: Tree, inside: readonly string[]): Tree {
    const { keys, maps } = known[where]
    const kept: [string, unknown][] = []
    for (const [key, value] of Object.entries(map)) {
      const name = inside.length === 0 ? key : [...inside, key].join('.')
      if (value === '' && isNothing(keys.get(name))) {
        const at = [...path, ...inside, key]
        issues.push({ severity: 'warning', source: keyAt(at), path: at, message: 'empty, as if it were not there' })
      } else kept.push([key, maps.has(name) && isTree(value) ? withoutEmpty(value, [...inside, key]) : value])
    }
    return Object.fromEntries(kept)
  }

  const ours: [string, unknown][] = []
  for (const [key, value] of Object.entries(tree)) {
    const foreign = describeForeignKey(key, value, where)
    if (!foreign) ours.push([key, value])
    else issues.push({ ...foreign, source: keyAt([...path, key]), path })
    if (foreign?.severity === 'error') refused.push(key)
  }
  return { value: withoutEmpty(Object.fromEntries(ours), []), refused, issues }
}

/** Is empty text of this key no more than nothing? */
function isNothing(key: Key | undefined): boolean {
  return key !== undefined && key.kind !== 'routes' && !key.takesEmpty
}

function byName(keys: readonly Key[]): Known {
  return {
    keys: new Map(keys.map((key) => [key.path.join('.'), key])),
    maps: new Set(keys.flatMap(({ path }) => path.slice(0, -1).map((_, i) => path.slice(0, i + 1).join('.')))),
  }
}
