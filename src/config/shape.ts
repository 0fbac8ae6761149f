import type { z } from 'zod'
import { isTree } from './input.ts'
import type { Path } from './issues.ts'

/** One thing that does not fit the schema. `path` is relative to the value that was checked. */
export interface ShapeIssue {
  readonly path: Path
  readonly code: z.core.$ZodIssue['code']
  /** What the schema expected, in words. */
  readonly expected: string
  /** Of `invalid_type`: zod's name of the type, `array`. */
  readonly type?: string
  /** Of `unrecognized_keys`. */
  readonly keys: readonly string[]
  /** Of `invalid_value`: the words that the schema allows. */
  readonly values: readonly unknown[]
}

export interface Shape<T> {
  /** What fits, without the rest; undefined: nothing can be made of it. */
  readonly data: T | undefined
  /** Empty: all of it fits. */
  readonly issues: readonly ShapeIssue[]
}

/** Takes the place of an unusable text in a list, so that the others keep their numbers. */
const STAND_IN = 'unusable.invalid'

/**
 * Checks a value and keeps what fits: one mistake must not hide the others. `required` stands in for keys that are
 * missing or unusable and have no default. What is said about a place with an issue has to be dropped.
 */
export function checkShape<T extends z.ZodType>(
  schema: T,
  value: unknown,
  required: Readonly<Record<string, unknown>> = {},
): Shape<z.output<T>> {
  const whole = schema.safeParse(value)
  if (whole.success) return { data: whole.data, issues: [] }
  const issues = whole.error.issues.flatMap(flatten)
  const unusable = issues.flatMap(({ path, keys }) => (keys.length > 0 ? keys.map((key) => [...path, key]) : [path]))
  // The smallest part that is unusable; then, for shapes that a stand-in does not fit, all of the key.
  for (const paths of [unusable, unusable.map((path) => path.slice(0, 1))]) {
    const rest = without(value, paths)
    const missing = isTree(rest) ? { ...pick(required, unusable, rest), ...rest } : rest
    const usable = schema.safeParse(missing)
    if (missing !== undefined && usable.success) return { data: usable.data, issues }
  }
  return { data: undefined, issues }
}

/** Of the forms that a value may have, the one it was meant in says more than "one of the forms". */
function flatten(issue: z.core.$ZodIssue): readonly ShapeIssue[] {
  const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)))
  const meant =
    issue.code === 'invalid_union'
      ? issue.errors.find((form) => form.length > 0 && form.every((inner) => inner.path.length > 0))
      : undefined
  if (meant) return meant.flatMap(flatten).map((inner) => ({ ...inner, path: [...path, ...inner.path] }))
  return [
    {
      path,
      code: issue.code,
      expected: issue.message,
      ...(issue.code === 'invalid_type' && { type: issue.expected }),
      keys: issue.code === 'unrecognized_keys' ? issue.keys : [],
      values: issue.code === 'invalid_value' ? issue.values : [],
    },
  ]
}

function without(value: unknown, paths: readonly Path[]): unknown {
  if (paths.some((path) => path.length === 0)) return undefined
  const below = (part: string | number): readonly Path[] =>
    paths.filter((path) => path[0] === part).map((path) => path.slice(1))
  if (Array.isArray(value)) {
    return value.map((item: unknown, i) => {
      const inner = below(i)
      return inner.length === 0 ? item : (without(item, inner) ?? STAND_IN)
    })
  }
  if (!isTree(value)) return value
  const kept = Object.entries(value).map(([key, item]) => {
    const inner = below(key)
    return [key, inner.length === 0 ? item : without(item, inner)] as const
  })
  return Object.fromEntries(kept.filter(([, item]) => item !== undefined))
}

function pick(
  required: Readonly<Record<string, unknown>>,
  unusable: readonly Path[],
  rest: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const missing = unusable.map((path) => String(path[0])).filter((key) => rest[key] === undefined)
  return Object.fromEntries(missing.filter((key) => key in required).map((key) => [key, required[key]]))
}
