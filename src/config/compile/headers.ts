import { isForeign } from '../../lib/foreign-headers.ts'
import { normalName, reservedHeader, unbelievableHeader, unremovableHeader } from '../../lib/header-names.ts'
import type { Path, Report } from '../issues.ts'
import type { Forward, HeaderTemplate } from '../route-model.ts'
import type { RouteInput } from '../schema/route.ts'
import { parseHeaderTemplate } from './header-template.ts'

/** RFC 9110 §5.6.2. */
export const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/

/** One line of Latin-1. */
export const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** Normal names of the headers that say who is signed in. */
export interface IdentityNames {
  /** On this route. */
  readonly own: ReadonlySet<string>
  /** On any: no client's copy of one of them passes anywhere. */
  readonly all: ReadonlySet<string>
}

export interface RouteHeaders {
  readonly headers: Pick<Forward, 'setRequestHeaders' | 'removeRequestHeaders' | 'allowRequestHeaders'>
  /** Those of `set_request_headers` that say something about the request or the person. */
  readonly templates: ReadonlyMap<string, HeaderTemplate>
}

export function compileRouteHeaders(
  input: RouteInput,
  path: Path,
  identity: IdentityNames,
  report: Report,
): RouteHeaders | undefined {
  const set = new Map<string, HeaderTemplate>()
  let valid = true
  const refuse = (at: Path, message: string): void => {
    valid = false
    report.error([...path, ...at], message)
  }
  for (const [name, value] of Object.entries(input.set_request_headers)) {
    const at = ['set_request_headers', name]
    const reserved = reservedHeader(normalName(name), identity.own)
    if (!HEADER_NAME.test(name)) refuse(at, 'expected a header name')
    else if (reserved !== undefined) refuse(at, reserved)
    else if (set.has(name.toLowerCase())) refuse(at, 'this header is set twice')
    else if (!HEADER_VALUE.test(value)) refuse(at, 'expected a value of one line in Latin-1')
    else {
      const parsed = parseHeaderTemplate(value, identity.all)
      if (parsed.kind === 'invalid') {
        refuse(at, parsed.problem)
        continue
      }
      if (parsed.warning !== undefined) report.warning([...path, ...at], parsed.warning)
      set.set(name.toLowerCase(), parsed.template)
    }
  }
  for (const [i, name] of input.remove_request_headers.entries()) {
    const kept = unremovableHeader(normalName(name), identity.own)
    if (!HEADER_NAME.test(name) || name.includes('*')) refuse(['remove_request_headers', i], 'expected a header name')
    else if (kept !== undefined) refuse(['remove_request_headers', i], kept)
  }
  for (const [i, name] of input.allow_request_headers.entries()) {
    const at = ['allow_request_headers', i]
    const normal = normalName(name)
    const ours = unbelievableHeader(normal, identity.all)
    if (!HEADER_NAME.test(name) || name.includes('*')) refuse(at, 'expected a header name')
    else if (ours !== undefined) refuse(at, ours)
    else if (!isForeign(normal)) report.warning([...path, ...at], 'not needed: this header is never removed')
  }
  if (!valid) return undefined
  const written = [...set]
  return {
    headers: {
      setRequestHeaders: new Map(written.flatMap(([name, value]) => (isText(value) ? [[name, value.join('')]] : []))),
      removeRequestHeaders: input.remove_request_headers.map((name) => name.toLowerCase()),
      allowRequestHeaders: input.allow_request_headers.map((name) => name.toLowerCase()),
    },
    templates: new Map(written.filter(([, value]) => !isText(value))),
  }
}

function isText(value: HeaderTemplate): value is readonly string[] {
  return value.every((part) => typeof part === 'string')
}
