/** Parts of pushed messages, which all kinds of them share. */
import { wallTime } from '../../lib/time.ts'
import type { Json, JsonObject, Span, WallTime } from '../../types.ts'

/** A message with an answer is made for the call that carries it. */
export const MESSAGE_AGE: Span = 600_000
/** Longer ones would fill the store with somebody else's text. */
const MOST_TEXT = 255

export function isText(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MOST_TEXT
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Seconds (the whole of the last one), and milliseconds as Okta writes some of them (okta-api.md#shared-signals). undefined: no instant. */
export function instantOf(value: Json | undefined): WallTime | undefined {
  if (typeof value !== 'number' || !(value > 0)) return undefined
  // Seconds reach this in the year 5138.
  const millis = value > 1e11 ? value : Math.floor(value) * 1000 + 999
  return millis <= 8.64e15 ? wallTime(millis) : undefined
}
