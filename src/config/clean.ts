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

/** Dotted names of keys for which empty text means nothing, and of the maps around them. */
interface Emptiable {
  readonly keys: ReadonlySet<string>
  readonly maps: ReadonlySet<string>
}

const emptiable = { global: emptiableOf(globalKeys), route: emptiableOf(routeKeys) }

/** @param path of the map: `[]`, or that of a route. */
export function clean(tree: Tree, path: Path, { keyAt }: Pick<Input, 'keyAt'>): Cleaned {
  const where = path.length === 0 ? 'global' : 'route'
  const refused: string[] = []
  const issues: ConfigIssue[] = []

  function withoutEmpty(map: Tree, inside: readonly string[]): Tree {
    const { keys, maps } = emptiable[where]
    const kept: [string, unknown][] = []
    for (const [key, value] of Object.entries(map)) {
      const name = inside.length === 0 ? key : [...inside, key].join('.')
      if (value === '' && keys.has(name)) {
        const at = [...path, ...inside, key]
        issues.push({ severity: 'warning', source: keyAt(at), path: at, message: 'empty, as if it were not there' })
      } else kept.push([key, maps.has(name) && isTree(value) ? withoutEmpty(value, [...inside, key]) : value])
    }
    return Object.fromEntries(kept)
  }

  const known: [string, unknown][] = []
  for (const [key, value] of Object.entries(tree)) {
    const foreign = describeForeignKey(key, value, where)
    if (!foreign) known.push([key, value])
    else issues.push({ ...foreign, source: keyAt([...path, key]), path })
    if (foreign?.severity === 'error') refused.push(key)
  }
  return { value: withoutEmpty(Object.fromEntries(known), []), refused, issues }
}

function emptiableOf(keys: readonly Key[]): Emptiable {
  const paths = keys.filter(({ takesEmpty, kind }) => !takesEmpty && kind !== 'routes').map(({ path }) => path)
  return {
    keys: new Set(paths.map((path) => path.join('.'))),
    maps: new Set(paths.flatMap((path) => path.slice(0, -1).map((_, i) => path.slice(0, i + 1).join('.')))),
  }
}
