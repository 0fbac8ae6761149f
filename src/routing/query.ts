import { AppError } from '../errors.ts'

/**
 * The value of a parameter; undefined when there is none. A query in which applications may find another value (the same
 * name twice, `a[]`, `;` between parameters, a broken escape) throws ERR_BAD_REQUEST.
 * @param query `''`, or `?` and what follows.
 */
export function parameter(query: string, name: string): string | undefined {
  if (query.length < 2) return undefined
  const wanted = likeness(name)
  let value: string | undefined
  for (const pair of query.slice(1).split(/[&;]/)) {
    const equals = pair.indexOf('=')
    const key = decode(equals === -1 ? pair : pair.slice(0, equals))
    if (likeness(key) !== wanted) continue
    if (value !== undefined || key !== name || query.includes(';')) throw ambiguous(name)
    value = equals === -1 ? '' : decode(pair.slice(equals + 1))
  }
  return value
}

/**
 * Names that some application takes for one: PHP reads `a.b` as `a_b`, `a[]` and ` a` as `a`, and nothing behind a NUL; Rack
 * and qs (Express) read `[a]` as `a`; ASP.NET minds no case.
 */
function likeness(name: string): string {
  return name
    .replace(/^[ [\]]+/, '')
    .replace(/[[\]\0].*/s, '')
    .replace(/[. ]/g, '_')
    .toLowerCase()
}

/** application/x-www-form-urlencoded (URL standard §5.1), but a broken escape throws. */
function decode(text: string): string {
  if (!/[%+]/.test(text)) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch (cause) {
    throw new AppError('ERR_BAD_REQUEST', 'the query holds a broken escape', { cause })
  }
}

function ambiguous(name: string): AppError {
  return new AppError('ERR_BAD_REQUEST', `the query names "${name}" in a way that applications read differently`)
}
