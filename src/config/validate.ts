import type { z } from 'zod'
import { clean } from './clean.ts'
import { describeMismatch, show } from './expected.ts'
import { type Input, isTree, readPath, unreadable } from './input.ts'
import { type ConfigIssue, formatPath, type Path } from './issues.ts'
import { copiedKeys } from './keys.ts'
import { describePlaceholder, looksLikePath } from './placeholder.ts'
import { configSchema, type GlobalInput } from './schema.ts'
import { type RouteInput, routeSchema } from './schema/route.ts'
import { checkShape } from './shape.ts'
import { describeUnknownKey } from './unknown-key.ts'

/** What of the input has the right shape. The rest is in `issues`, so that compile.ts can go on and say more. */
export interface Draft {
  readonly globals: GlobalInput
  readonly routes: readonly DraftRoute[]
  /** Keys that were given and are not usable: nobody shall say that they are missing. */
  readonly broken: ReadonlySet<string>
  /** Was this place, one above or one below it complained of? What else is said about it would be guesswork. */
  isDoubtful(path: Path): boolean
  readonly issues: readonly ConfigIssue[]
}

export interface DraftRoute {
  readonly path: Path
  readonly input: RouteInput
  /** False: parts of it are not usable. What is left is there to be judged, not to be served. */
  readonly whole: boolean
}

/** Judges the shape, key by key and route by route, against the one schema. */
export function validate(input: Input): Draft {
  const issues: ConfigIssue[] = []
  const broken = new Set<string>()
  const doubtful = createDoubts()
  const error = (source: ConfigIssue['source'], path: Path, message: string): void => {
    issues.push({ severity: 'error', source, path, message })
  }

  /** A slip of one route is often one of all: to look for the nearest key again and again takes seconds. */
  const described = new Map<string, string>()
  function describeUnknown(key: string, path: Path): string {
    const kind = [...path.filter((part) => typeof part !== 'number'), key].join('.')
    const known = described.get(kind) ?? describeUnknownKey(key, readPath(input.value, [...path, key]), path)
    described.set(kind, known)
    return known
  }

  function check<T extends z.ZodType>(
    schema: T,
    value: unknown,
    prefix: Path,
    required?: Readonly<Record<string, unknown>>,
  ) {
    const shape = checkShape(schema, value, required)
    for (const issue of shape.issues) {
      const path = [...prefix, ...issue.path]
      for (const key of issue.keys) {
        const at = [...path, key]
        doubtful.add(at)
        error(input.keyAt(at), path, describeUnknown(key, path))
      }
      if (issue.keys.length > 0) continue
      doubtful.add(path)
      const found = readPath(input.value, path)
      if (found === undefined) error(input.keyAt(path.slice(0, -1)), path, `missing; expected ${issue.expected}`)
      else if (found !== unreadable) error(input.valueAt(path), path, describeMismatch(issue, found, path))
    }
    return shape
  }

  /** Without what is of no use; what should not have been there is an issue. */
  function known(tree: Readonly<Record<string, unknown>>, path: Path) {
    const { value, refused, issues: found } = clean(tree, path, input)
    issues.push(...found)
    for (const key of refused) doubtful.add([...path, key])
    return { value, whole: refused.length === 0 }
  }

  function refusePlaceholders(path: Path, where: keyof typeof copiedKeys): boolean {
    const found = copiedKeys[where]
      .map((key) => [...path, ...key])
      .filter((at) => {
        const text = readPath(input.value, at)
        if (typeof text !== 'string') return false
        // Of these one is a path.
        const problem =
          looksLikePath(text) && at[0] !== 'databroker_storage_connection_string'
            ? `this is the path of a file; write it as ${at.at(-1)}_file`
            : describePlaceholder(text)
        if (problem === undefined) return false
        error(input.valueAt(at), at, problem)
        doubtful.add(at)
        return true
      })
    return found.length > 0
  }

  const { routes: _routes, policy: _policy, ...keys } = configSchema.shape
  const written = known(input.value, []).value
  const globals: Record<string, unknown> = {}
  for (const [key, schema] of Object.entries(keys)) {
    // `key:` with nothing behind it is a key that somebody left out.
    const given = written[key] ?? undefined
    const { data, issues: found } = check(schema, given, [key])
    if (found.length > 0) broken.add(key)
    globals[key] = found.length > 0 && data === undefined ? schema.parse(undefined) : data
  }

  refusePlaceholders([], 'global')
  const providers = written['identity_providers']
  for (const name of isTree(providers) ? Object.keys(providers) : [])
    refusePlaceholders(['identity_providers', name], 'provider')

  const routes: DraftRoute[] = []
  for (const list of ['policy', 'routes'] as const) {
    const given = input.value[list] ?? []
    if (!Array.isArray(given)) {
      const hint = isTree(given) ? `; ${hintOfMap(given)}` : ''
      error(input.valueAt([list]), [list], `expected a list of routes, found ${show(given, [list])}${hint}`)
      broken.add(list)
      continue
    }
    for (const [i, value] of given.entries()) {
      const path = [list, i]
      const { value: route, whole } = isTree(value) ? known(value, path) : { value, whole: true }
      const { data, issues: found } = check(routeSchema, route, path, NO_ADDRESS)
      const isReal = !refusePlaceholders(path, 'route')
      if (data) routes.push({ path, input: data, whole: whole && isReal && found.length === 0 })
      else broken.add(list)
    }
  }

  for (const key of Object.keys(written)) {
    // As in Docker Compose: a place for YAML anchors.
    if (key.startsWith('x-')) continue
    if (!Object.hasOwn(configSchema.shape, key)) error(input.keyAt([key]), [], describeUnknown(key, []))
  }
  // Each value was made by the schema of its key.
  return { globals: globals as GlobalInput, routes, broken, isDoubtful: (path) => doubtful.has(path), issues }
}

/** A route without an address can still have other mistakes. */
const NO_ADDRESS = { from: 'https://missing.invalid' }

function createDoubts(): { add(path: Path): void; has(path: Path): boolean } {
  const places = new Set<string>()
  const above = new Set<string>()
  const prefixes = (path: Path): readonly string[] => path.map((_, i) => formatPath(path.slice(0, i + 1)))
  return {
    add(path) {
      for (const prefix of prefixes(path)) above.add(prefix)
      places.add(formatPath(path))
    },
    has: (path) => above.has(formatPath(path)) || prefixes(path).some((prefix) => places.has(prefix)),
  }
}

/** What somebody meant who wrote a map where the list of routes goes. */
function hintOfMap(given: Readonly<Record<string, unknown>>): string {
  const key = ['routes', 'policy'].find((each) => Array.isArray(given[each]))
  return key === undefined ? 'put "- " before each route' : `write the list alone, without \`${key}:\` before it`
}
