import type { z } from 'zod'
import { nearest } from '../policy/nearest.ts'
import { type Input, isTree, readPath, unreadable } from './input.ts'
import type { ConfigIssue, Path } from './issues.ts'
import { globalKeys, isSecret, routeKeys } from './keys.ts'
import { configSchema, type GlobalInput } from './schema.ts'
import { type RouteInput, routeSchema } from './schema/route.ts'
import { unsupportedKey } from './schema/unsupported.ts'

/** What of the input has the right shape. The rest is in `issues`, so that compile.ts can go on and say more. */
export interface Draft {
  readonly globals: GlobalInput
  readonly routes: readonly { readonly path: Path; readonly input: RouteInput }[]
  /** Keys that were given and are not usable: nobody shall say that they are missing. */
  readonly broken: ReadonlySet<string>
  readonly issues: readonly ConfigIssue[]
}

/** Judges the shape, key by key and route by route, against the one schema. */
export function validate(input: Input): Draft {
  const issues: ConfigIssue[] = []
  const broken = new Set<string>()
  const error = (source: ConfigIssue['source'], path: Path, message: string): void => {
    issues.push({ severity: 'error', source, path, message })
  }

  function check<T extends z.ZodType>(schema: T, value: unknown, prefix: Path): z.output<T> | undefined {
    const result = schema.safeParse(value)
    if (result.success) return result.data
    for (const issue of result.error.issues) {
      const path: Path = [...prefix, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))]
      if (issue.code === 'unrecognized_keys') {
        for (const key of issue.keys) error(input.keyAt([...path, key]), path, unknownKey(key, path, shapeKeys(path)))
      } else {
        const found = readPath(input.value, path)
        if (found === undefined) error(input.keyAt(path.slice(0, -1)), path, `missing; expected ${issue.message}`)
        else if (found !== unreadable) {
          const quote =
            issue.code === 'invalid_type' && issue.expected === 'string' && !isTree(found) && !Array.isArray(found)
          const hint = quote && found !== null ? '; put it in quotes' : ''
          error(input.valueAt(path), path, `expected ${issue.message}, found ${show(found, path)}${hint}`)
        }
      }
    }
    return undefined
  }

  const { routes: _routes, policy: _policy, ...shape } = configSchema.shape
  const globals: Record<string, unknown> = {}
  for (const [key, schema] of Object.entries(shape)) {
    // `key:` with nothing behind it is a key that somebody left out.
    const given = input.value[key] ?? undefined
    globals[key] = given === unreadable ? undefined : check(schema, given, [key])
    const usable = given !== unreadable && globals[key] !== undefined
    if (given !== undefined && !usable) {
      broken.add(key)
      globals[key] = schema.parse(undefined)
    }
  }

  const routes: { path: Path; input: RouteInput }[] = []
  for (const list of ['policy', 'routes'] as const) {
    const given = input.value[list] ?? []
    if (!Array.isArray(given)) {
      error(input.valueAt([list]), [list], `expected a list of routes, found ${show(given, [list])}`)
      broken.add(list)
      continue
    }
    for (const [i, value] of given.entries()) {
      const route = check(routeSchema, value, [list, i])
      if (route) routes.push({ path: [list, i], input: route })
      else broken.add(list)
    }
  }

  for (const key of Object.keys(input.value)) {
    if (!Object.hasOwn(configSchema.shape, key))
      error(input.keyAt([key]), [], unknownKey(key, [], Object.keys(configSchema.shape)))
  }
  // Each value was made by the schema of its key.
  return { globals: globals as GlobalInput, routes, broken, issues }
}

function unknownKey(key: string, path: Path, known: readonly string[]): string {
  const inRoute = path[0] === 'routes' || path[0] === 'policy'
  const unsupported = unsupportedKey(key, inRoute ? 'route' : 'global')
  if (unsupported !== undefined) return unsupported
  const near = nearest(key, known)
  if (near !== undefined) return `unknown key "${key}" (did you mean "${near}"?)`
  const home = homeOf(key, inRoute)
  return `unknown key "${key}"${home ? ` (it belongs ${home})` : ''}`
}

/** Where a key that stands in the wrong place belongs; `''` for one that belongs nowhere. */
function homeOf(key: string, inRoute: boolean): string {
  if (!inRoute && routeKeys.some((other) => other.path[0] === key)) return 'in a route'
  const found = globalKeys.find((other) => other.path.at(-1) === key)
  if (!found) return ''
  return found.path.length > 1 ? `in "${found.path.slice(0, -1).join('.')}"` : 'at the top level'
}

/** The keys that may stand in the map at `path`. */
function shapeKeys(path: Path): readonly string[] {
  if (path[0] === 'routes' || path[0] === 'policy') return routeKeys.map((key) => key.path[0] ?? '')
  const inside = globalKeys.filter((key) => path.every((part, i) => key.path[i] === part))
  return inside.map((key) => key.path[path.length] ?? '')
}

/** `"5 apples"`, `the number 5`; of a secret only what kind of thing it is. */
function show(value: unknown, path: Path): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  switch (typeof value) {
    case 'object':
      return 'a map'
    case 'string':
      return isSecret(path) ? 'other text' : JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
    case 'number':
      return isSecret(path) ? 'a number' : `the number ${value}`
    default:
      return isSecret(path) ? 'something else' : JSON.stringify(value)
  }
}
