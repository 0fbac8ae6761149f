import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml'
import type { ConfigIssue, Path, Position, Source } from './issues.ts'
import { describeSyntax } from './syntax.ts'

/** A YAML (or JSON) text as plain values, which still knows where each of them stands. */
export interface ConfigDocument {
  readonly value: unknown
  readonly issues: readonly ConfigIssue[]
  /** Where the value at `path` stands; of what is not there, the nearest thing around it. */
  valueAt(path: Path): Source
  /** Where its key stands. */
  keyAt(path: Path): Source
}

/** More aliases than this is an attack ("billion laughs") or a mistake. */
const MAX_ALIASES = 100

/** What such a tag would have put in the place of its value is not there: `!vault`, `!env`. */
const UNKNOWN_TAG =
  'a tag (`!name`) that means nothing here: Postern reads no other files and expands no variables; a value that begins with ! needs quotes'

/** `file` is how messages call the text. Never throws. */
export function parseConfigDocument(text: string, file: string): ConfigDocument {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    uniqueKeys: true,
    merge: true,
    // It would write to the process's standard error; what it finds is in `warnings`.
    logLevel: 'error',
  })
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const source = (node: unknown): Source => ({
    kind: 'file',
    file,
    at: position((node as Node | null)?.range?.[0] ?? 0),
  })
  const issue = (severity: ConfigIssue['severity'], offset: number, message: string): ConfigIssue => ({
    severity,
    source: { kind: 'file', file, at: position(offset) },
    path: [],
    message,
  })

  const issues: ConfigIssue[] = [
    ...describeSyntax(document.errors, text).map(({ offset, message }) => issue('error', offset, message)),
    ...document.warnings.map(({ code, pos, message }) =>
      code === 'TAG_RESOLVE_FAILED'
        ? issue('error', pos[0], UNKNOWN_TAG)
        : // What follows a colon quotes the text, which may be a secret.
          issue('warning', pos[0], `YAML: ${message.replace(/:.*/s, '')}`),
    ),
  ]
  // A key that is there twice does not keep us from judging the rest.
  const readable = document.errors.every((error) => error.code === 'DUPLICATE_KEY')
  let value: unknown
  try {
    value = readable ? document.toJS({ maxAliasCount: MAX_ALIASES }) : undefined
  } catch {
    // The message of the library quotes the alias, which may be an unquoted secret that begins with an asterisk.
    const message =
      'an alias (`*name`) has no anchor (`&name`) before it, or there are too many of them; a value that begins with * needs quotes'
    issues.push({ ...issue('error', 0, message), source: source(firstLooseAlias(document)) })
  }

  function find(path: Path): { readonly key: unknown; readonly value: unknown } {
    let found: { key: unknown; value: unknown } = { key: document.contents, value: document.contents }
    for (const part of path) {
      const next = child(found.value, part)
      if (!next) return { key: found.key, value: found.value }
      found = next
    }
    return found.value === null ? { key: found.key, value: found.key } : found
  }

  function child(node: unknown, part: string | number): { key: unknown; value: unknown } | undefined {
    const resolved = isAlias(node) ? node.resolve(document) : node
    if (isSeq(resolved)) {
      const item = resolved.items[Number(part)]
      return item === undefined ? undefined : { key: item, value: item }
    }
    if (!isMap(resolved)) return undefined
    const pair = resolved.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
    if (pair) return { key: pair.key, value: pair.value }
    for (const { key, value } of resolved.items) {
      if (!isScalar(key) || key.value !== '<<') continue
      const merged = isSeq(value) ? value.items : [value]
      const found = merged.map((item) => child(item, part)).find(Boolean)
      if (found) return found
    }
    return undefined
  }

  return {
    value,
    issues,
    valueAt: (path) => source(find(path).value),
    keyAt: (path) => source(find(path).key),
  }
}

function firstLooseAlias(document: Document.Parsed): Node | undefined {
  let found: Node | undefined
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document)) return undefined
      found = alias
      return visit.BREAK
    },
  })
  return found
}
