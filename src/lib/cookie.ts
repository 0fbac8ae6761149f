import type { Span } from '../types.ts'
import { hasOurForm, mayHaveOurForm } from './cookie-form.ts'

/** More cookies of one name than this are somebody's attempt to make us work. */
const MAX_SAME_NAME = 8

/**
 * Values of every cookie called `name` in a raw `Cookie` header, in order, at most eight: a subdomain can plant
 * a second one, and nobody says which comes first (RFC 6265 §5.4). Values are as sent, neither unquoted nor decoded.
 */
export function readCookie(header: string, name: string): string[] {
  const values: string[] = []
  for (let start = 0; start < header.length && values.length < MAX_SAME_NAME; ) {
    const end = endOfPair(header, start)
    const equals = nameEnd(header, start, end, name)
    if (equals < end) values.push(header.slice(equals + 1, end).trim())
    start = end + 1
  }
  return values
}

/** `[name, value]` of every cookie whose name begins with `prefix`, in order, bounded as above; browsers send the oldest first. */
export function readCookies(header: string, prefix: string): (readonly [name: string, value: string])[] {
  const found: (readonly [string, string])[] = []
  for (let start = 0; start < header.length && found.length < MAX_SAME_NAME; ) {
    const end = endOfPair(header, start)
    const from = skipBlanks(header, start, end)
    const equals = header.startsWith(prefix, from) ? header.indexOf('=', from) : -1
    if (equals !== -1 && equals < end) {
      found.push([header.slice(from, equals).trimEnd(), header.slice(equals + 1, end).trim()])
    }
    start = end + 1
  }
  return found
}

/**
 * The header without our cookies: those called one of `names` (a name that ends in `.` stands for all that begin with it),
 * and those whose value has a form of ours. What remains keeps its bytes and its order. `''` when nothing remains.
 * Cuts exactly where `readCookie` reads, so whatever would be accepted from a client is never passed on.
 */
export function withoutCookies(header: string, names: readonly string[]): string {
  const formed = mayHaveOurForm(header)
  if (!formed && !names.some((name) => header.includes(name))) return header
  let kept = ''
  let dropped = false
  for (let start = 0; start < header.length; ) {
    const end = endOfPair(header, start)
    const ours = names.some((name) => nameEnd(header, start, end, name) <= end)
    if (ours || (formed && hasOurForm(valueOf(header.slice(start, end))))) dropped = true
    else kept += (kept && ';') + header.slice(kept ? start : skipBlanks(header, start, end), end)
    start = end + 1
  }
  return dropped ? kept : header
}

export interface CookieAttributes {
  /** Absent: until the browser closes. */
  readonly maxAge?: Span
  readonly secure: boolean
  readonly sameSite: 'lax' | 'strict' | 'none'
  /** `/` unless said. */
  readonly path?: string
}

const SAME_SITE = { lax: 'Lax', strict: 'Strict', none: 'None' } as const

/** A `Set-Cookie` value (RFC 6265 §4.1), always HttpOnly and never with a Domain: ours belong to one host. */
export function setCookie(name: string, value: string, attributes: CookieAttributes): string {
  const { maxAge, secure, sameSite, path = '/' } = attributes
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || !/^[!#-+\--:<-[\]-~]*$/.test(value) || !/^\/[ -:<-~]*$/.test(path)) {
    throw new TypeError(`cookie ${JSON.stringify(name)}: name, value or path has a character that cookies cannot carry`)
  }
  const age = maxAge === undefined ? '' : `; Max-Age=${Math.max(0, Math.floor(maxAge / 1000))}`
  return `${name}=${value}; Path=${path}${age}; HttpOnly${secure ? '; Secure' : ''}; SameSite=${SAME_SITE[sameSite]}`
}

/** A `Set-Cookie` value that makes the browser forget the cookie; `secure` and `path` as when it was set. */
export function clearCookie(name: string, attributes: Omit<CookieAttributes, 'maxAge'>): string {
  return setCookie(name, '', { ...attributes, maxAge: 0 })
}

function endOfPair(header: string, start: number): number {
  const end = header.indexOf(';', start)
  return end === -1 ? header.length : end
}

/** Of a cookie without a name browsers send the value alone. */
function valueOf(pair: string): string {
  return pair.slice(pair.indexOf('=') + 1).trim()
}

/** Where the pair's name ends: the index of `=`; `end` for the bare name; beyond `end` when it is another cookie. */
function nameEnd(header: string, start: number, end: number, name: string): number {
  const from = skipBlanks(header, start, end)
  if (!header.startsWith(name, from)) return end + 1
  if (name.endsWith('.')) return end
  const after = skipBlanks(header, from + name.length, end)
  return after === end || header[after] === '=' ? after : end + 1
}

function skipBlanks(header: string, start: number, end: number): number {
  let at = start
  while (at < end && (header[at] === ' ' || header[at] === '\t')) at++
  return at
}
