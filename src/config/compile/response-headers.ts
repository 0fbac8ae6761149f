/** `set_response_headers`, of all routes and of one. */
import { unsettableResponseHeader } from '../../lib/header-names.ts'
import type { Path, Report } from '../issues.ts'
import type { Route } from '../route-model.ts'
import type { GlobalInput } from '../schema.ts'
import { HEADER_NAME, HEADER_VALUE } from './headers.ts'

/** Lower-case name → value; `disabled`: none, whatever else is written. */
export type ResponseHeaders = ReadonlyMap<string, string> | 'disabled'

/** What Pomerium sends unless something is written. Strict-Transport-Security has a key of its own. */
const POMERIUM: ResponseHeaders = new Map([
  ['x-frame-options', 'SAMEORIGIN'],
  ['x-xss-protection', '1; mode=block'],
])

export function defaultResponseHeaders(
  { set_response_headers: written, compatibility }: GlobalInput,
  report: Report,
): ResponseHeaders {
  if (written === undefined) return compatibility === 'pomerium' ? POMERIUM : new Map()
  return compileResponseHeaders(written, ['set_response_headers'], report)
}

export function compileResponseHeaders(
  written: NonNullable<GlobalInput['set_response_headers']>,
  path: Path,
  report: Report,
): ResponseHeaders {
  const headers = new Map<string, string>()
  let disabled = false
  for (const [name, value] of Object.entries(written)) {
    const refuse = (message: string): void => report.error([...path, name], message)
    const lower = name.toLowerCase()
    const unsettable = unsettableResponseHeader(lower)
    if (name === 'disable') {
      if (value === true) disabled = true
      else refuse('expected true: no headers are set then')
    } else if (!HEADER_NAME.test(name)) refuse('expected a header name')
    else if (unsettable !== undefined) refuse(unsettable)
    else if (headers.has(lower)) refuse('this header is set twice')
    else if (value === true || !HEADER_VALUE.test(value)) refuse('expected a value of one line in Latin-1')
    else headers.set(lower, value)
  }
  return disabled ? 'disabled' : headers
}

/** A route's own come over those of all routes. */
export function mergeResponseHeaders(
  defaults: ResponseHeaders,
  own: ResponseHeaders | undefined,
): Pick<Route, 'setResponseHeaders'> {
  if (defaults === 'disabled' || own === 'disabled') return {}
  const headers = own ? new Map([...defaults, ...own]) : defaults
  return headers.size > 0 ? { setResponseHeaders: headers } : {}
}
