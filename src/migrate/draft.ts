import { isTree } from '../config/input.ts'

/** A configuration of ours in the making. What changed meaning is said beside it, what is missing is listed. */

export interface Written {
  readonly value: unknown
  /** What changed meaning, for the line above. */
  readonly comment?: string
}

/** Something of the input that is not in the output. */
export interface Missing {
  /** Its name in the input, `routes[2].mcp`. */
  readonly key: string
  /** `lost`: what it did does not happen. `unneeded`: nothing is missing without it. */
  readonly kind: 'lost' | 'unneeded'
  readonly message: string
}

export interface RouteDraft {
  readonly keys: ReadonlyMap<string, Written>
  readonly missing: readonly Missing[]
}

export interface Draft {
  readonly globals: ReadonlyMap<string, Written>
  readonly routes: readonly RouteDraft[]
  readonly missing: readonly Missing[]
}

/** A map of keys that is filled in the order of the file. */
export type Keys = Map<string, Written>

export function lost(key: string, message: string): Missing {
  return { key, kind: 'lost', message }
}

export function unneeded(key: string, message: string): Missing {
  return { key, kind: 'unneeded', message }
}

export interface Options {
  /** External URL of our sign-in service, where the input has none. */
  readonly authenticateUrl?: string
}

type Tree = Readonly<Record<string, unknown>>

/** The map at a path of keys; empty when there is none. */
export function treeAt(tree: Tree, ...path: readonly string[]): Tree {
  const found = path.reduce<unknown>((value, key) => (isTree(value) ? value[key] : undefined), tree)
  return isTree(found) ? found : {}
}

/** A scalar as somebody would write it. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}

/** A list of texts, written as one, or as text with commas or spaces between them. */
export function texts(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(texts)
  return typeof value === 'string' ? value.split(/[\s,]+/).filter(Boolean) : value === undefined ? [] : [textOf(value)]
}
