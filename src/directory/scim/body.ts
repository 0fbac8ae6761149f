import type { Json, JsonObject } from '../../types.ts'
import { parseStrictJson } from '../../lib/strict-json.ts'
import { yieldToEventLoop } from '../../lib/wait.ts'
import { badRequest, MAX_BODY, type Refusal } from './message.ts'

/** Resources nest three levels deep, operations two more. */
const MAX_DEPTH = 8
/** Characters that are parsed before others have their turn: 1 or 2 ms. */
const SLICE = 64 * 1024
const CHARACTERS_PER_TURN = 256 * 1024

/**
 * A request body as objects without a prototype and with lower-case keys, because attribute names have no case
 * (RFC 7643 §2.1): `"Active": false` must not be overlooked. A name that comes twice is refused: nobody could say which
 * value was judged. `__proto__` is a key like any other here and reaches nothing.
 */
export async function parseBody(text: string): Promise<JsonObject | Refusal> {
  if (text.length > MAX_BODY) return { refused: 413, detail: `the body is longer than ${MAX_BODY} characters` }
  const body = await parseValue(text, MAX_DEPTH)
  return isObject(body)
    ? body
    : badRequest('invalidSyntax', 'the body must be a JSON object, in UTF-8, that names no attribute twice')
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * One JSON value. A list of 100,000 members would block every other request for 200 ms, so what is longer than a slice is
 * cut at the commas between its items, and JSON.parse judges the pieces, one a turn. undefined: not JSON, too deep, or a
 * name twice.
 */
async function parseValue(text: string, depth: number): Promise<Json | undefined> {
  if (text.length <= SLICE) return withLowerCaseKeys(parseStrictJson(text), depth)
  await yieldToEventLoop()
  const whole = trimmed(text)
  const open = whole[0]
  // A long string or number is one piece.
  if (open !== '[' && open !== '{') return withLowerCaseKeys(parseStrictJson(whole), depth)
  if (depth === 0) return undefined
  return open === '[' ? parseItems(whole, depth - 1) : parseMembers(whole, depth - 1)
}

async function parseItems(text: string, depth: number): Promise<Json | undefined> {
  const items: Json[] = []
  for await (const piece of pieces(text, ']', SLICE)) {
    if (piece === undefined) return undefined
    if (piece.length > SLICE) {
      const item = await parseValue(piece, depth)
      if (item === undefined) return undefined
      items.push(item)
      continue
    }
    // What stands between two commas of a list, commas included, is a list of its own.
    const parsed = withLowerCaseKeys(parseStrictJson(`[${piece}]`), depth + 1)
    if (!Array.isArray(parsed) || (parsed.length === 0 && items.length > 0)) return undefined
    for (const item of parsed as readonly Json[]) items.push(item)
    await yieldToEventLoop()
  }
  return items
}

async function parseMembers(text: string, depth: number): Promise<Json | undefined> {
  const object = Object.create(null) as Record<string, Json>
  let left = SLICE
  for await (const piece of pieces(text, '}', 0)) {
    if (piece === undefined) return undefined
    const { length } = NAME.exec(piece.slice(0, MAX_NAME))?.[0] ?? ''
    const name = parseStrictJson(piece.slice(0, length).replace(/:$/, ''))
    const value = length === 0 ? undefined : await parseValue(piece.slice(length), depth)
    if (typeof name !== 'string' || value === undefined || Object.hasOwn(object, name.toLowerCase())) return undefined
    object[name.toLowerCase()] = value
    left -= piece.length
    if (left > 0) continue
    await yieldToEventLoop()
    left = SLICE
  }
  return object
}

const MAX_NAME = 1024
const NAME = /^[ \t\r\n]*"(?:[^"\\]|\\.)*"[ \t\r\n]*:/
const [QUOTE, COMMA, OPEN_LIST, BACKSLASH, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [34, 44, 91, 92, 93, 123, 125]

/**
 * The items of a list or the members of an object; together as many as fit `limit` characters. undefined: the brackets do
 * not fit. What stands in a piece is not judged here.
 */
async function* pieces(text: string, close: string, limit: number): AsyncGenerator<string | undefined> {
  let depth = 0
  let from = 1
  let comma = 0
  let inString = false
  let next = CHARACTERS_PER_TURN
  for (let at = 1; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (inString) {
      if (char === BACKSLASH) at++
      else if (char === QUOTE) inString = false
      continue
    }
    if (at >= next) {
      await yieldToEventLoop()
      next = at + CHARACTERS_PER_TURN
    }
    if (char === QUOTE) inString = true
    else if (char === OPEN_LIST || char === OPEN_OBJECT) depth++
    else if (depth > 0) {
      if (char === CLOSE_LIST || char === CLOSE_OBJECT) depth--
    } else if (char === COMMA || char === CLOSE_LIST || char === CLOSE_OBJECT) {
      // Too long together: what came before the last comma is a piece.
      if (comma > 0 && at - from > limit) {
        yield text.slice(from, comma)
        from = comma + 1
      }
      comma = at
      if (char !== COMMA) {
        const isEnd = at === text.length - 1 && text[at] === close
        // An empty object has no member, an empty list an empty piece.
        if (!isEnd) yield undefined
        else if (from > 1 || close === ']' || trimmed(text.slice(1, at)) !== '') yield text.slice(from, at)
        return
      }
      if (at - from > limit) {
        yield text.slice(from, at)
        from = at + 1
        comma = 0
      }
    }
  }
  yield undefined
}

/** Without the whitespace of JSON (RFC 8259 §2), which is less than `trim` takes. */
function trimmed(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && WHITESPACE.has(text.charCodeAt(from))) from++
  while (to > from && WHITESPACE.has(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

const WHITESPACE: ReadonlySet<number> = new Set([9, 10, 13, 32])

/** undefined: too deep, or a name twice. */
function withLowerCaseKeys(value: Json | undefined, depth: number): Json | undefined {
  if (typeof value !== 'object' || value === null) return value
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
