/**
 * One canonical form for paths. What leaves here is what is judged, matched and forwarded, and it
 * reads as itself when it is parsed again.
 */
import type { PathReadings } from '../http/request.ts'

const SLASH = 0x2f
const PERCENT = 0x25
const BACKSLASH = 0x5c
/** What may stand in a path as it is: printable ASCII but `#`, `?` and backslash. */
const TEXT = /^\/[!"$->@-[\]-~]*$/
const MORE_THAN_ONE_READING = /\/\/|%2f|%5c/i
const ESCAPED_SLASHES = /%2F|%5C/
/** RFC 3986 §2.3: an escape of one of these means the same as the character. */
const UNRESERVED = /^[A-Za-z0-9\-._~]$/
/** A segment that some server takes for `.` or `..`: `..;x` is one to Tomcat. */
const DOTS_WITH_PARAMETERS = /^\.{1,2}(?:;|%3B)/
const DOTS = /^\.{1,2}(?:;|$)/
/**
 * A segment that is empty to a server which drops parameters, and then no segment at all: `/api/;x/status` is `/api/status`
 * to it. At the end of a path it is lawful and common: `/;jsessionid=1`.
 */
const EMPTY_WITH_PARAMETERS = /\/(?:;|%3B)[^/]*\//
/**
 * What some server takes for a dot or a delimiter, octets in hexadecimal: the escape of it, overlong UTF-8 (CVE-2008-2938),
 * and the full width form that Unicode normalisation folds (NFKC).
 */
const TAKEN_FOR: readonly (readonly [character: string, spellings: readonly string[]])[] = [
  ['.', ['2e', 'c0ae', 'e080ae', 'f08080ae', 'efbc8e']],
  ['/', ['2f', 'c0af', 'e080af', 'f08080af', 'efbc8f', '5c', 'c19c', 'e0819c', 'f080819c', 'efbcbc']],
  [';', ['3b', 'c0bb', 'e080bb', 'f08080bb', 'efbc9b']],
]
const DECODED = new Map(TAKEN_FOR.flatMap(([character, all]) => all.map((octets) => [octets, character])))
/** Layers of decoding (a proxy, then a framework) undo `%25`. */
const ESCAPE = '%(?:25)*'
const ENCODED = new RegExp([...DECODED.keys()].map((octets) => octets.replaceAll(/../g, `${ESCAPE}$&`)).join('|'), 'gi')
/** Nearly no path has one of these. */
const MAY_HIDE = /%(?:25|C0|C1|E0|EF|F0)/

/**
 * The canonical form of an absolute path without its query: unreserved octets decoded, slashes
 * merged, dot segments removed, every other escape kept with upper-case digits (RFC 3986 §6.2.2).
 * undefined: the path is ambiguous or malformed and must be refused — escaped `/`, `\`, NUL or
 * controls, a literal `\`, `#`, space or non-ASCII, a broken escape, `..;`, `/;x/`.
 */
export function canonicalPath(raw: string): string | undefined {
  if (raw.charCodeAt(0) !== SLASH) return undefined
  let plain = true
  let previous = 0
  for (let i = 0; i < raw.length; i++) {
    const code = raw.charCodeAt(i)
    // Space and controls, DEL and above, backslash, `#`, `?`.
    if (code <= 0x20 || code >= 0x7f || code === BACKSLASH || code === 0x23 || code === 0x3f) return undefined
    // Only `%`, and `/`, `.` or `;` after a slash, can make the canonical form differ.
    if (code === PERCENT || (previous === SLASH && (code === SLASH || code === 0x2e || code === 0x3b))) plain = false
    previous = code
  }
  return plain ? raw : normalise(raw)
}

/** Is it canonical, and is what is joined to it, too? `/a/;x` is not: with `/b` behind it a segment is empty to some. */
export function isCanonicalPrefix(path: string): boolean {
  const below = path.endsWith('/') ? `${path}x` : `${path}/x`
  return canonicalPath(path) === path && canonicalPath(below) === below
}

/** Does a path that was made of `asked` read as itself? Repeated and escaped slashes are in it only if they were asked for. */
export function isCanonicalLike(path: string, asked: string): boolean {
  if (canonicalPath(path) === path) return true
  const made = readPath(path)
  const given = readPath(asked)
  if (!made || !given || (made.unmerged ?? made.path) !== path) return false
  if (path.startsWith('//') && !asked.startsWith('//')) return false
  return (
    (made.unmerged === undefined || given.unmerged !== undefined) &&
    (made.decoded === undefined || given.decoded !== undefined)
  )
}

/**
 * The readings of a path with repeated slashes (`//`) or escaped ones (`%2F`, `%5C`). undefined: the path has neither, or
 * must be refused whatever the route says: as above, and dot segments beside an escaped slash, because what they remove
 * depends on who reads.
 */
export function readPath(raw: string): PathReadings | undefined {
  if (!MORE_THAN_ONE_READING.test(raw) || !TEXT.test(raw)) return undefined
  const kept = decodeUnreserved(raw, true)
  if (kept === undefined) return undefined
  const escaped = ESCAPED_SLASHES.test(kept)
  if (escaped && hidesSegments(kept)) return undefined
  const slashes = kept.includes('//')
  const path = withoutDotSegments(kept)
  // What `..` removes from one reading may stay in the other.
  const unmerged = slashes ? withoutDotSegments(kept, true) : undefined
  if (path === undefined || (slashes && unmerged === undefined)) return undefined
  return {
    path,
    unmerged,
    decoded: escaped ? removeDotSegments(path.replaceAll(/%2F|%5C/g, '/')) : undefined,
  }
}

function normalise(raw: string): string | undefined {
  const decoded = raw.includes('%') ? decodeUnreserved(raw) : raw
  return decoded === undefined ? undefined : withoutDotSegments(decoded)
}

function withoutDotSegments(decoded: string, keepEmpty = false): string | undefined {
  if (hasSegment(decoded, DOTS_WITH_PARAMETERS)) return undefined
  const path = removeDotSegments(decoded, keepEmpty)
  if (EMPTY_WITH_PARAMETERS.test(path)) return undefined
  return MAY_HIDE.test(path) && hidesSegments(path) ? undefined : path
}

function decodeUnreserved(raw: string, keepSlashes = false): string | undefined {
  let decoded = ''
  let from = 0
  for (let at = raw.indexOf('%'); at !== -1; at = raw.indexOf('%', from)) {
    const digits = raw.slice(at + 1, at + 3)
    if (!/^[0-9A-Fa-f]{2}$/.test(digits)) return undefined
    const code = Number.parseInt(digits, 16)
    if (code < 0x20 || code === 0x7f) return undefined
    if ((code === SLASH || code === BACKSLASH) && !keepSlashes) return undefined
    const character = String.fromCharCode(code)
    decoded += raw.slice(from, at) + (UNRESERVED.test(character) ? character : `%${digits.toUpperCase()}`)
    from = at + 3
  }
  return decoded + raw.slice(from)
}

/**
 * Would a server that decodes more, or more than once, see a dot segment, or none? A lone `%252F` is left alone: it is
 * how people write a branch name with a slash.
 */
function hidesSegments(path: string): boolean {
  const decoded = path.replace(
    ENCODED,
    (found) => DECODED.get(found.replaceAll(/%(?:25)*/g, '').toLowerCase()) ?? found,
  )
  return hasSegment(decoded, DOTS) || EMPTY_WITH_PARAMETERS.test(decoded)
}

function hasSegment(path: string, pattern: RegExp): boolean {
  return path.split('/').some((segment) => pattern.test(segment))
}

/**
 * RFC 3986 §5.2.4 on segments. Empty segments are dropped first unless they are kept: `/a//..` is `/` then, and `/a/`
 * otherwise.
 */
function removeDotSegments(path: string, keepEmpty = false): string {
  const kept: string[] = []
  const segments = path.slice(1).split('/')
  const last = segments.pop()
  for (const segment of segments) {
    if (segment === '..') kept.pop()
    else if (segment !== '.' && (segment !== '' || keepEmpty)) kept.push(segment)
  }
  if (last === '..') kept.pop()
  return `/${[...kept, last === '.' || last === '..' ? '' : last].join('/')}`
}
