/** Claims as header values. */
import type { Json, JsonObject } from '../types.ts'

/** Upstreams refuse a header line beyond 8 KiB (nginx, Apache). */
export const MAX_HEADER_BYTES = 4096

/**
 * A claim as a header value; undefined when there is nothing to say (absent, empty, null or an object).
 * One rule for all values: what is not printable ASCII, and `%`, is percent-encoded as UTF-8, and so is a blank at
 * either end; the members of a list are joined with `,`, which is encoded inside a member. Decoding gives the value back.
 */
export function claimHeaderValue(claim: Json | undefined): { readonly text: string } | 'too-large' | undefined {
  const text = Array.isArray(claim) ? members(claim).join(',') : encode(scalar(claim) ?? '')
  if (text.length > MAX_HEADER_BYTES) return 'too-large'
  return text === '' ? undefined : { text }
}

/** As many members of a list, from the first on, as fit into `room`. */
export function fittingMembers(list: readonly Json[], room: number): { readonly text: string; readonly cut: boolean } {
  let text = ''
  for (const [i, member] of members(list).entries()) {
    const longer = i === 0 ? member : `${text},${member}`
    if (longer.length > Math.min(room, MAX_HEADER_BYTES)) return { text, cut: true }
    text = longer
  }
  return { text, cut: false }
}

/** `__proto__` and `constructor` are names like any other (CVE-2026-21710). */
export function own(claims: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

function members(list: readonly Json[]): readonly string[] {
  return list.flatMap((member) => scalar(member) ?? []).map((member) => encode(member).replaceAll(',', '%2C'))
}

function scalar(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

function encode(text: string): string {
  return text.replace(/^ +|(?<! ) +$|[^\x20-\x7e]+|%/g, encodeBytes)
}

function encodeBytes(text: string): string {
  return Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}
