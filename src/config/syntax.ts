import type { YAMLParseError } from 'yaml'

/** What is wrong with a YAML text, in the words of whoever wrote it, and the offset where. Never quotes the text. */
export interface SyntaxProblem {
  readonly offset: number
  readonly message: string
}

/** Each stands for itself; of the others the first is the cause, and the rest follow from it. */
const INDEPENDENT = new Set(['DUPLICATE_KEY', 'BAD_SCALAR_START', 'TAB_AS_INDENT', 'BAD_DQ_ESCAPE'])

export function describeSyntax(errors: readonly YAMLParseError[], text: string): readonly SyntaxProblem[] {
  const cause = errors.find(({ code }) => !INDEPENDENT.has(code))
  return errors
    .filter((error) => error === cause || INDEPENDENT.has(error.code))
    .map((error) => describe(error.code, error.message, text, error.pos[0]))
}

function describe(code: string, message: string, text: string, offset: number): SyntaxProblem {
  const at = (words: string, where = offset): SyntaxProblem => ({ offset: where, message: words })
  switch (code) {
    case 'DUPLICATE_KEY': {
      const key = /^["']?([^"':\s]*)/.exec(text.slice(offset))?.[1] ?? ''
      return at(`the key "${key}" is already there; each key may be written once`)
    }
    case 'MULTIPLE_DOCS':
      return at('expected one YAML document, found several')
    case 'TAB_AS_INDENT':
      return at(TAB)
    case 'BAD_SCALAR_START':
      return at(`a value that begins with ${text[offset]} needs quotes`)
    case 'BAD_DQ_ESCAPE':
      return at('a backslash in double quotes begins an escape; write the value in single quotes')
    case 'UNEXPECTED_TOKEN':
      return at('there is more behind the end of this value; put all of it in quotes, and double the quotes inside')
    case 'BLOCK_AS_IMPLICIT_KEY':
      return message.startsWith('A block sequence') ? at(LESS) : describeIndentation(text, offset)
    case 'MULTILINE_IMPLICIT_KEY':
      return describeIndentation(text, offset)
    case 'BAD_INDENT': {
      const close = /end with a ([\]}])/.exec(message)?.[1]
      if (close === undefined) return at(/^\s*\t/.test(text.slice(offset)) ? TAB : DEEPER)
      return at(`the ${close === ']' ? '[' : '{'} of a value above is not closed; expected ${close}`)
    }
    default:
  }
  const quote = /Missing closing (["'])/.exec(message)?.[1]
  // Any later one would have closed it.
  if (quote !== undefined) return at(`this ${quote} is opened and never closed`, text.lastIndexOf(quote))
  if (message.startsWith('Sequence item without')) return at('this line is indented like no key and no list above it')
  if (message.startsWith('Implicit map keys')) return at('expected `key: value`, found a line without a colon')
  // What follows a colon quotes the text, which may be a secret.
  return at(`not valid YAML: ${message.replace(/:.*/s, '')}`)
}

const TAB = 'this line is indented with a tab; YAML takes spaces only'
const DEEPER = 'this line is indented deeper than the key above it'
const LESS = 'this line is indented less than what it belongs to'

/** YAML takes a line that does not fit for the rest of the one above. */
function describeIndentation(text: string, offset: number): SyntaxProblem {
  const start = text.lastIndexOf('\n', offset - 1) + 1
  const [line = '', ...below] = text.slice(start).split('\n')
  const [, lead = '', key, rest = ''] = /^((?:\s|- )*)([\w.-]+):(.*)$/.exec(line) ?? []
  if (key !== undefined && /^\S/.test(rest))
    return { offset: start + lead.length, message: 'expected a space behind the colon' }
  if (rest.includes(': ') || rest.endsWith(':')) {
    return { offset, message: 'there is a second colon in this line; put the value in quotes' }
  }
  const skipped = below.findIndex((other) => /\S/.test(other) && !/^\s*#/.test(other))
  const next = below[skipped]
  if (next === undefined) return { offset, message: 'expected `key: value`' }
  const indent = /^\s*/.exec(next)?.[0] ?? ''
  const nextStart = start + [line, ...below.slice(0, skipped)].reduce((sum, other) => sum + other.length + 1, 0)
  if (indent.includes('\t')) return { offset: nextStart, message: TAB }
  return { offset: nextStart + indent.length, message: indent.length > lead.length ? DEEPER : LESS }
}
