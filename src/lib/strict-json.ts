/**
 * JSON by which somebody outside changes something. What two readers could take for two things is nothing: bytes that are no
 * UTF-8 (RFC 8259 §8.1), and a name that comes twice in an object, of which we would keep the last and another reader the
 * first (§4).
 */
import type { Json } from '../types.ts'

/** undefined: not UTF-8. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  try {
    // A byte order mark stays, and is no JSON.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** undefined: not JSON, or a name twice. */
export function parseStrictJson(text: string): Json | undefined {
  try {
    const value = JSON.parse(text) as Json
    return namesIn(text) === membersOf(value) ? value : undefined
  } catch {
    // The message quotes the text, which may hold a password.
    return undefined
  }
}

const [QUOTE, COLON, BACKSLASH] = [34, 58, 92]

/** How many names the text has: it is JSON, so that each is before a colon, and other colons are in strings. */
function namesIn(text: string): number {
  let names = 0
  let inString = false
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === BACKSLASH) at++
    else if (char === QUOTE) inString = !inString
    else if (char === COLON && !inString) names++
  }
  return names
}

/** How many of them were kept. Without recursion: whoever sends it chooses the depth. */
function membersOf(value: Json): number {
  let members = 0
  const waiting: unknown[] = [value]
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    const held: readonly unknown[] = typeof at === 'object' && at !== null ? Object.values(at) : []
    if (!Array.isArray(at)) members += held.length
    for (const each of held) if (typeof each === 'object') waiting.push(each)
  }
  return members
}
