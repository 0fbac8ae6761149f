/**
 * Where a request of HTTP/1.1 ends (RFC 9112), read from the bytes before Node's parser sees them. Stricter than that
 * parser, and never the only reader: h1-connection.ts closes a connection on which the two do not agree.
 */

const TOKEN = "!#$%&'*+\\-.^_`|~0-9A-Za-z"
const LINE = `[${TOKEN}]+:[\\t\\x20-\\x7e\\x80-\\xff]*\\r\\n`
/** Single spaces in the request line, CRLF at the end of every line, no folded lines, no control characters. */
const HEAD = new RegExp(`^[${TOKEN}]+ [!-~\\x80-\\xff]+ HTTP/1\\.[01]\\r\\n(?:${LINE})*\\r\\n$`)
const BEGIN = new RegExp(`^[${TOKEN}]`)
const TRAILERS = new RegExp(`^(?:${LINE})*\\r\\n$`)
/** What no head contains, whatever follows. */
const NEVER = /[^\r]\n|\r[^\n]|[^\t\r\n\x20-\x7e\x80-\xff]/
const SPECIAL = /\r\n(?:content-length|transfer-encoding|upgrade|expect):/i

/** Bytes of a head whose end has not come. `from`: what was looked at before. */
export function mayBecomeHead(text: string, from: number): boolean {
  return BEGIN.test(text) && !NEVER.test(from > 0 ? text.slice(from - 1) : text)
}

export function isHead(text: string): boolean {
  return HEAD.test(text)
}

/** Does anything in it concern the framing? Most requests: no. */
export function isSpecial(head: string): boolean {
  return SPECIAL.test(head)
}

/**
 * RFC 9110 §7.8: an upgrade that we do not know is ignored, and so is every upgrade in HTTP/1.0. The head without it,
 * so that what is judged and forwarded is the request as it stands without the offer.
 */
export function withoutUnknownUpgrade(head: string): string {
  const offers = valuesOf(head, 'upgrade')
  if (offers === '' || (offers === 'websocket' && isUpgrade(head))) return head
  return head.replaceAll(/\r\n(?:upgrade|http2-settings):[^\r]*/gi, '')
}

function isUpgrade(head: string): boolean {
  return (
    /^[^\r]* HTTP\/1\.1\r\n/.test(head) &&
    valuesOf(head, 'connection')
      .split(/[ \t]*,[ \t]*/)
      .includes('upgrade')
  )
}

/** Of a head that is refused, and may be only its beginning: would a person look at the answer? */
export function looksLikeNavigation(head: string): boolean {
  return !head.startsWith('HEAD ') && /\r\n(?:sec-fetch-mode:[ \t]*navigate|accept:[^\r\n]*text\/html)/i.test(head)
}

/** All lines of one header as one list, in lower case. */
function valuesOf(head: string, name: string): string {
  const lines = head.matchAll(new RegExp(`\\r\\n${name}:[ \\t]*([^\\r]*)`, 'gi'))
  return Array.from(lines, ([, value = '']) => value.trim().toLowerCase()).join(', ')
}

/** Counts the bytes of one body. */
export interface BodyFraming {
  readonly done: boolean
  /** How many of these bytes belong to the body; undefined: it is malformed. */
  take(bytes: Buffer): number | undefined
}

export function lengthFraming(length: number): BodyFraming {
  let left = length
  return {
    get done() {
      return left === 0
    },
    take(bytes) {
      const taken = Math.min(left, bytes.length)
      left -= taken
      return taken
    },
  }
}

/** Enough for every number that JavaScript counts exactly. */
const SIZE = /^([0-9a-f]{1,13})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n$/i
const MAX_SIZE_LINE = 4 * 1024
const MAX_TRAILERS = 16 * 1024

/** RFC 9112 §7.1. Nothing is changed: Node's parser decodes the same bytes. */
export function chunkedFraming(): BodyFraming {
  let state: 'size' | 'data' | 'trailers' | 'done' = 'size'
  /** Of the chunk and the CRLF behind it. */
  let left = 0
  /** The line, or the trailer section, so far. */
  let line = ''

  /** Takes up to the end of a line; false: malformed. */
  function takeLine(bytes: Buffer, from: number): number | undefined {
    const end = bytes.indexOf(0x0a, from)
    const until = end === -1 ? bytes.length : end + 1
    line += bytes.toString('latin1', from, until)
    if (line.length > (state === 'size' ? MAX_SIZE_LINE : MAX_TRAILERS)) return undefined
    if (end === -1) return until
    if (state === 'size') {
      const size = SIZE.exec(line)?.[1]
      if (size === undefined) return undefined
      left = Number.parseInt(size, 16)
      state = left === 0 ? 'trailers' : 'data'
      left += 2
      line = ''
    } else if (line.endsWith('\r\n\r\n') || line === '\r\n') {
      if (!TRAILERS.test(line)) return undefined
      state = 'done'
    }
    return until
  }

  function takeData(bytes: Buffer, from: number): number | undefined {
    const until = Math.min(from + left, bytes.length)
    for (let at = Math.max(from, from + left - 2); at < until; at++) {
      if (bytes[at] !== (at === from + left - 2 ? 0x0d : 0x0a)) return undefined
    }
    left -= until - from
    if (left === 0) state = 'size'
    return until
  }

  return {
    get done() {
      return state === 'done'
    },
    take(bytes) {
      let at: number | undefined = 0
      while (at !== undefined && at < bytes.length && state !== 'done') {
        at = state === 'data' ? takeData(bytes, at) : takeLine(bytes, at)
      }
      return at
    },
  }
}
