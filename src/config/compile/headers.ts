import { isForeign } from '../../lib/foreign-headers.ts'
import {
  normalName,
  reservedHeader,
  unbelievableHeader,
  unremovableHeader,
  unusableForClaims,
} from '../../lib/header-names.ts'
import type { Path, Report } from '../issues.ts'
import type { Forward, Naming } from '../model.ts'
import type { GlobalInput } from '../schema.ts'
import type { RouteInput } from '../schema/route.ts'

/** RFC 9110 §5.6.2. */
export const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/

/** @param identity normal names of the headers that say who is signed in. */
export function compileRouteHeaders(
  input: RouteInput,
  path: Path,
  identity: ReadonlySet<string>,
  report: Report,
): Pick<Forward, 'setRequestHeaders' | 'removeRequestHeaders' | 'allowRequestHeaders'> | undefined {
  const set = new Map<string, string>()
  let valid = true
  const refuse = (at: Path, message: string): void => {
    valid = false
    report.error([...path, ...at], message)
  }
  for (const [name, value] of Object.entries(input.set_request_headers)) {
    const at = ['set_request_headers', name]
    const reserved = reservedHeader(normalName(name), identity)
    if (!HEADER_NAME.test(name)) refuse(at, 'expected a header name')
    else if (reserved !== undefined) refuse(at, reserved)
    else if (set.has(name.toLowerCase())) refuse(at, 'this header is set twice')
    else if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) refuse(at, 'expected a value of one line in Latin-1')
    else if (/\$\{?\s*pomerium\b/.test(value)) refuse(at, "Pomerium's templates (${pomerium.…}) are not supported yet")
    else set.set(name.toLowerCase(), value)
  }
  for (const [i, name] of input.remove_request_headers.entries()) {
    const kept = unremovableHeader(normalName(name), identity)
    if (!HEADER_NAME.test(name)) refuse(['remove_request_headers', i], 'expected a header name')
    else if (kept !== undefined) refuse(['remove_request_headers', i], kept)
  }
  for (const [i, name] of input.allow_request_headers.entries()) {
    const at = ['allow_request_headers', i]
    const normal = normalName(name)
    const ours = unbelievableHeader(normal, identity)
    if (!HEADER_NAME.test(name) || name.includes('*')) refuse(at, 'expected a header name')
    else if (ours !== undefined) refuse(at, ours)
    else if (!isForeign(normal)) report.warning([...path, ...at], 'not needed: this header is never removed')
  }
  if (!valid) return undefined
  return {
    setRequestHeaders: set,
    removeRequestHeaders: input.remove_request_headers.map((name) => name.toLowerCase()),
    allowRequestHeaders: input.allow_request_headers.map((name) => name.toLowerCase()),
  }
}

/** Header name (lower case) → claim. */
export function compileClaimHeaders(
  written: GlobalInput['jwt_claims_headers'],
  naming: Naming,
  report: Report,
): ReadonlyMap<string, string> {
  const list = typeof written === 'string' ? written.split(/[,\s]+/).filter(Boolean) : written
  const pairs: readonly (readonly [header: string, claim: string, at: string | number])[] = isList(list)
    ? list.map((claim, i) => [naming.claimHeaderPrefix + claim, claim, i])
    : Object.entries(list).map(([header, claim]) => [header, claim, header])
  const headers = new Map<string, string>()
  const seen = new Map<string, string>()
  for (const [header, claim, at] of pairs) {
    const name = header.toLowerCase().replaceAll('_', '-')
    const normal = normalName(name)
    const unusable = unusableForClaims(normal, naming.assertionHeader)
    const other = seen.get(normal)
    const refuse = (message: string): void => report.error(['jwt_claims_headers', at], message)
    if (!HEADER_NAME.test(name)) refuse(`expected a header name, found ${JSON.stringify(header)}`)
    else if (unusable !== undefined) refuse(unusable)
    else if (other !== undefined && other !== claim) {
      refuse(`expected one claim for this header, found ${JSON.stringify(other)} and ${JSON.stringify(claim)}`)
    } else {
      seen.set(normal, claim)
      headers.set(name, claim)
    }
  }
  return headers
}

function isList(value: object): value is readonly string[] {
  return Array.isArray(value)
}
