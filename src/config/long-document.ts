import { type ConfigDocument, parseConfigDocument } from './document.ts'
import { isTree } from './input.ts'
import type { Path, Source } from './issues.ts'

const LONG = 200_000
const ITEMS_OF_A_PIECE = 50

/**
 * As `parseConfigDocument`, with a long list of routes parsed in pieces: the parser needs a hundred times the memory of
 * its text. In doubt, and whenever anything is wrong with the text, it is parsed as a whole.
 * @param long characters; what is shorter is parsed as a whole.
 */
export function parseLongDocument(text: string, file: string, long = LONG): ConfigDocument {
  const parts = text.length > long ? split(text) : undefined
  return (parts && joined(parts, file)) ?? parseConfigDocument(text, file)
}

interface Parts {
  readonly key: string
  /** Lines of the list: the first one and how many there are. From 1. */
  readonly line: number
  readonly lines: number
  readonly column: number
  /** The text without the list. */
  readonly rest: string
  readonly pieces: readonly Piece[]
}

interface Piece {
  readonly text: string
  readonly line: number
}

function joined({ key, line, lines, column, rest, pieces }: Parts, file: string): ConfigDocument | undefined {
  const frame = parseConfigDocument(rest, file)
  if (frame.issues.length > 0 || !isTree(frame.value) || frame.value[key] !== null) return undefined
  const items: object[] = []
  const starts: Source[] = []
  /** Place of the first item of each piece. */
  const firsts: number[] = []
  for (const piece of pieces) {
    const document = parseConfigDocument(piece.text, file)
    if (document.issues.length > 0 || !Array.isArray(document.value)) return undefined
    firsts.push(items.length)
    for (const [i, item] of document.value.entries()) {
      if (!isTree(item)) return undefined
      items.push(item)
      starts.push(moved(document.valueAt([i]), piece.line - 1))
    }
  }
  frame.value[key] = items

  let last: { readonly piece: Piece; readonly document: ConfigDocument } | undefined
  /** Parsed again: positions are asked for when something is wrong, and then for one route after the other. */
  function documentOf(piece: Piece): ConfigDocument {
    if (last?.piece !== piece) last = { piece, document: parseConfigDocument(piece.text, file) }
    return last.document
  }

  function lookUp(path: Path, at: 'keyAt' | 'valueAt'): Source {
    const [name, i, ...inner] = path
    const start = typeof i === 'number' ? starts[i] : undefined
    if (name !== key || (start === undefined && at === 'keyAt')) {
      const source = frame[at](name === key ? [key] : path)
      return source.kind === 'file' && (source.at?.line ?? 0) >= line ? moved(source, lines) : source
    }
    if (typeof i !== 'number' || start === undefined) return { kind: 'file', file, at: { line, column } }
    if (inner.length === 0) return start
    const place = firsts.findLastIndex((first) => first <= i)
    const piece = pieces[place] as Piece
    return moved(documentOf(piece)[at]([i - (firsts[place] ?? 0), ...inner]), piece.line - 1)
  }

  return {
    value: frame.value,
    issues: [],
    valueAt: (path) => lookUp(path, 'valueAt'),
    keyAt: (path) => lookUp(path, 'keyAt'),
  }
}

function moved(source: Source, lines: number): Source {
  return source.kind === 'file' && source.at
    ? { ...source, at: { line: source.at.line + lines, column: source.at.column } }
    : source
}

/**
 * The block list of a root key `routes` or `policy`. Within a block list, a line that begins with a dash at its column
 * begins an item, whatever stands around it (YAML 1.2 §8.2.1). undefined: no such list, or something reaches over items.
 */
function split(text: string): Parts | undefined {
  // Anchors, merge keys, several documents, directives.
  if (/(?:^|[\s[{,])(?:&|<<)|^(?:---|\.\.\.|%)/m.test(text)) return undefined
  const head = /^(routes|policy):[ \t]*(?:#.*)?\r?\n(?:[ \t]*(?:#.*)?\r?\n)*(?=( *)- )/m.exec(text)
  if (!head) return undefined
  const [before, key = '', indent = ''] = head
  const start = head.index + before.length
  const item = new RegExp(`^ {${indent.length}}-(?: |\\r?$)`)
  const outside = new RegExp(`^ {0,${indent.length}}[^ \\r\\n#]`)
  const begins: { readonly at: number; readonly line: number }[] = []
  let lines = 0
  let end = start
  while (end < text.length) {
    const next = text.indexOf('\n', end) + 1 || text.length
    const line = text.slice(end, next)
    if (item.test(line)) begins.push({ at: end, line: lines })
    else if (outside.test(line)) break
    lines++
    end = next
  }
  const line = countLines(text, start) + 1
  const cuts = begins.filter((_, i) => i % ITEMS_OF_A_PIECE === 0)
  return {
    key,
    line,
    lines,
    column: indent.length + 1,
    rest: text.slice(0, start) + text.slice(end),
    pieces: cuts.map((cut, i) => ({ text: text.slice(cut.at, cuts[i + 1]?.at ?? end), line: line + cut.line })),
  }
}

function countLines(text: string, end: number): number {
  let count = 0
  for (let at = text.indexOf('\n'); at !== -1 && at < end; at = text.indexOf('\n', at + 1)) count++
  return count
}
