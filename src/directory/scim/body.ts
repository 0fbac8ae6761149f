import type { Json, JsonObject } from '../../types.ts'
import { badRequest, MAX_BODY, type Refusal } from './message.ts'

/** Resources nest three levels deep, operations two more. */
const MAX_DEPTH = 8

/**
 * A request body as objects without a prototype and with lower-case keys, because attribute names have no case
 * (RFC 7643 §2.1): `"Active": false` must not be overlooked. A name that comes twice is refused: nobody could say which
 * value was judged. `__proto__` is a key like any other here and reaches nothing.
 */
export function parseBody(text: string): JsonObject | Refusal {
  if (text.length > MAX_BODY) return { refused: 413, detail: `the body is longer than ${MAX_BODY} characters` }
  const body = withLowerCaseKeys(parse(text), MAX_DEPTH)
  return isObject(body)
    ? body
    : badRequest('invalidSyntax', 'the body must be a JSON object that names no attribute twice')
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The message quotes the body, which may hold a password.
    return undefined
  }
}

/** undefined: too deep, or a name twice. */
function withLowerCaseKeys(value: unknown, depth: number): Json | undefined {
  if (typeof value !== 'object' || value === null) return value as Json | undefined
  if (depth === 0) return undefined
  if (Array.isArray(value)) {
    const items: Json[] = []
    for (const item of value) {
      const inner = withLowerCaseKeys(item, depth - 1)
      if (inner === undefined) return undefined
      items.push(inner)
    }
    return items
  }
  const object = Object.create(null) as Record<string, Json>
  for (const [key, item] of Object.entries(value)) {
    const name = key.toLowerCase()
    const inner = withLowerCaseKeys(item, depth - 1)
    if (inner === undefined || Object.hasOwn(object, name)) return undefined
    object[name] = inner
  }
  return object
}
