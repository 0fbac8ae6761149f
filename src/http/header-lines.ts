/**
 * Header fields as lines of one text (RFC 9112 §5), so that what passes unchanged is copied as runs of the original: requests
 * and answers, whatever carried them. One octet is one character (Latin-1) everywhere here.
 */
import { AppError } from '../errors.ts'
import { withoutBlanks } from '../lib/blanks.ts'
import { detached } from '../lib/detached.ts'
import { normalName } from '../lib/header-names.ts'

/** A field name: one object for each spelling that is remembered, so that what a name means is found out once. */
export interface HeaderName {
  readonly spelling: string
  readonly lower: string
  /** See `normalName`. */
  readonly normal: string
  readonly kind: HeaderKind
}

/** The names that somebody here reads, in lower case; `framing-like`: CGI and its like take it for a name that frames. */
export type HeaderKind = (typeof READ)[number] | 'framing-like' | 'other'

const READ = [
  'accept',
  'authorization',
  'connection',
  'content-length',
  'content-location',
  'content-type',
  'cookie',
  'date',
  'expect',
  'host',
  'keep-alive',
  'location',
  'origin',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
  'sec-fetch-user',
  'set-cookie',
  'strict-transport-security',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-request-id',
  'x-requested-with',
] as const

/** Lines in the order in which they came. An index is that of a line. */
export interface HeaderLines {
  readonly text: string
  readonly count: number
  /** Why these are no lines at all; constant. undefined: they are. */
  readonly problem: string | undefined
  name(index: number): HeaderName
  /** Without the blanks around it. */
  value(index: number): string
  /** Offset of the line in `text`. */
  start(index: number): number
  /** Offset behind its CRLF, where the next one begins. */
  end(index: number): number
  /** Is it written as `field` would write it? */
  isTidy(index: number): boolean
  /** The first value of a header. `lower`: lower case. */
  first(lower: string): string | undefined
}

/** Lines as a scanner finds them. It vouches for them: CRLF at the end of each, and in no value a control character but tab. */
export class ScannedLines implements HeaderLines {
  readonly text: string
  problem: string | undefined
  private readonly names: HeaderName[] = []
  /** Of each line: its begin, begin and end of its value; last the end of all. */
  private readonly offsets: number[]

  /** @param from where the first line begins. */
  constructor(text: string, from: number) {
    this.text = text
    this.offsets = [from]
  }

  /** The next line; it begins where the one before ends. */
  add(name: HeaderName, valueStart: number, valueEnd: number, end: number): void {
    this.names.push(name)
    this.offsets.push(valueStart, valueEnd, end)
  }

  get count(): number {
    return this.names.length
  }

  name(index: number): HeaderName {
    return this.names[index] as HeaderName
  }

  value(index: number): string {
    return this.text.slice(this.offsets[3 * index + 1], this.offsets[3 * index + 2])
  }

  start(index: number): number {
    return this.offsets[3 * index] as number
  }

  end(index: number): number {
    return this.offsets[3 * index + 3] as number
  }

  isTidy(index: number): boolean {
    const colon = this.start(index) + this.name(index).spelling.length
    return (
      this.offsets[3 * index + 1] === colon + 2 &&
      this.offsets[3 * index + 2] === this.end(index) - 2 &&
      this.text.charCodeAt(colon + 1) === 0x20
    )
  }

  first(lower: string): string | undefined {
    for (let i = 0; i < this.names.length; i++) if (this.name(i).lower === lower) return this.value(i)
    return undefined
  }
}

/** RFC 9110 §5.5, with obs-text: no CR, LF or NUL, and nothing that is more than one octet. */
const NO_VALUE = /[^\t\x20-\x7e\x80-\xff]/

/** Lines of what node:http and HPACK make of them. @param list name, value, name, value. */
export function headerLines(list: readonly string[]): HeaderLines {
  let text = ''
  let problem: string | undefined
  const names: HeaderName[] = []
  const values: string[] = []
  for (let i = 0; i + 1 < list.length; i += 2) {
    const name = internName(list[i] as string)
    const value = withoutBlanks(list[i + 1] as string)
    if (!name || NO_VALUE.test(value)) {
      problem ??= name ? 'invalid header value' : 'invalid header name'
      continue
    }
    names.push(name)
    values.push(value)
    text += `${name.spelling}: ${value}\r\n`
  }
  const lines = new ScannedLines(text, 0)
  lines.problem = problem
  for (let i = 0, at = 0; i < names.length; i++) {
    const value = at + (names[i] as HeaderName).spelling.length + 2
    const end = value + (values[i] as string).length
    lines.add(names[i] as HeaderName, value, end, (at = end + 2))
  }
  return lines
}

export const NO_LINES: HeaderLines = headerLines([])

/**
 * One line. Everything that is added to what came is written here, whoever chose the value: nothing in it ends the line
 * early. Throws ERR_INTERNAL.
 */
export function field(name: string, value: string): string {
  if (NO_VALUE.test(value)) throw new AppError('ERR_INTERNAL', `header ${name}: its value cannot stand in a line`)
  return `${name}: ${value}\r\n`
}

/** @param list name, value, name, value. */
export function linesOf(list: readonly string[]): string {
  let lines = ''
  for (let i = 0; i + 1 < list.length; i += 2) lines += field(list[i] as string, list[i + 1] as string)
  return lines
}

/** Name, value, name, value: for those who take a list. @param lines all of them tidy. */
export function listOf(lines: string): string[] {
  const list: string[] = []
  for (let at = 0; at < lines.length; ) {
    const colon = lines.indexOf(':', at)
    const end = lines.indexOf('\r\n', colon)
    list.push(lines.slice(at, colon), lines.slice(colon + 2, end))
    at = end + 2
  }
  return list
}

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** A client that invents spellings costs the cache for a moment, never memory. */
const MAX_SPELLINGS = 1024
const MAX_REMEMBERED_LENGTH = 64
const spellings = new Map<string, HeaderName>()

/** The name that is written there; undefined: it is no token. */
export function internName(text: string, from = 0, to = text.length): HeaderName | undefined {
  const spelling = text.slice(from, to)
  return spellings.get(spelling) ?? read(spelling)
}

function read(written: string): HeaderName | undefined {
  if (!TOKEN.test(written)) return undefined
  const spelling = detached(written)
  const lower = spelling.toLowerCase()
  const normal = normalName(spelling)
  if (spelling.length > MAX_REMEMBERED_LENGTH) return { spelling, lower, normal, kind: 'other' }
  const name = { spelling, lower, normal, kind: kindOf(lower, normal) }
  if (spellings.size >= MAX_SPELLINGS) spellings.clear()
  spellings.set(spelling, name)
  return name
}

function kindOf(lower: string, normal: string): HeaderKind {
  const found = READ.find((name) => name === lower)
  if (found) return found
  // `Transfer_Encoding` is a harmless header to us and framing to a server that reads `_` or `.` as `-`.
  return normal === 'transfer-encoding' || normal === 'content-length' ? 'framing-like' : 'other'
}
