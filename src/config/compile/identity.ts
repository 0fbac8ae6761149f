/** What applications are told of whoever is signed in: `pass_identity_headers`, `jwt_…`, `groups_format`. */
import { normalName, unusableForClaims } from '../../lib/header-names.ts'
import { fingerprint } from '../../lib/fingerprint.ts'
import { shared } from '../../lib/shared.ts'
import { wantedGroups } from '../../policy/explain.ts'
import type { Secret } from '../../lib/secret.ts'
import type { Policy } from '../../policy/model.ts'
import type { Path, Report } from '../issues.ts'
import type { Naming } from '../model.ts'
import type { ForwardedIdentity, HeaderTemplate, RouteFrom } from '../route-model.ts'
import type { GlobalInput } from '../schema.ts'
import type { RouteInput } from '../schema/route.ts'
import { parseHeaderTemplate } from './header-template.ts'
import { HEADER_NAME } from './headers.ts'

/** What routes inherit. */
export interface IdentityDefaults {
  readonly globals: GlobalInput
  readonly naming: Naming
  readonly claimHeaders: ReadonlyMap<string, string>
  /** One for all routes that tell the same. */
  readonly told: Map<string, ForwardedIdentity>
}

export function compileIdentity(
  input: RouteInput,
  claimHeaders: ReadonlyMap<string, string>,
  templates: ReadonlyMap<string, HeaderTemplate>,
  kubernetesToken: Secret | undefined,
  { scheme }: RouteFrom,
  policy: Policy,
  { globals, told: all }: IdentityDefaults,
): ForwardedIdentity {
  const filters = [globals.jwt_groups_filter, input.jwt_groups_filter].filter((filter) => filter !== undefined)
  const told = {
    pass: input.pass_identity_headers ?? globals.pass_identity_headers,
    claimHeaders,
    groups: {
      format: input.groups_format ?? globals.groups_format,
      ...(filters.length > 0 && { only: filters.flatMap(groupsOf) }),
      first: wantedGroups(policy),
    },
    ...(/uri$/i.test(input.jwt_issuer_format ?? globals.jwt_issuer_format) && { issuerScheme: scheme }),
    ...(templates.size > 0 && { templates }),
    ...(kubernetesToken && { kubernetesToken }),
  }
  const key = fingerprint(told)
  return shared(all, key, () => ({ ...told, key }))
}

/** What is written to be told, and never is: a public route that nobody is known on cannot tell who it is. */
export function reportUntold(
  input: RouteInput,
  { pass, templates = new Map() }: ForwardedIdentity,
  policy: Policy,
  path: Path,
  report: Report,
): void {
  if (!pass && Object.keys(input.jwt_claims_headers ?? {}).length > 0) {
    report.warning([...path, 'jwt_claims_headers'], 'not sent: write `pass_identity_headers: true`, too')
  }
  if (policy.kind !== 'public') return
  const ofPerson = [...templates].filter(([, template]) => template.some(isOfPerson)).map(([name]) => name)
  if (policy.identity === 'optional') {
    if (!pass && ofPerson.length === 0) {
      report.warning([...path, 'identity'], 'nothing is told of anybody: write `pass_identity_headers: true`, too')
    }
  } else if (ofPerson.length > 0) {
    report.warning(
      [...path, 'set_request_headers'],
      `${ofPerson.join(', ')}: never sent, because nobody is known on a public route; see \`identity: optional\``,
    )
  }
}

/** Clients send their own to other routes. */
const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'cookie'])

/** Names of the headers of `set_request_headers` that say who is signed in. */
export function personHeaders({ set_request_headers: written }: RouteInput): readonly string[] {
  return Object.entries(written)
    .filter(([name, value]) => {
      const parsed = parseHeaderTemplate(value, NONE)
      return !CREDENTIALS.has(name.toLowerCase()) && parsed.kind === 'template' && parsed.template.some(isOfPerson)
    })
    .map(([name]) => name)
}

const NONE: ReadonlySet<string> = new Set()

function isOfPerson(part: HeaderTemplate[number]): boolean {
  return typeof part !== 'string' && part.kind !== 'request-header'
}

function groupsOf(filter: Exclude<RouteInput['jwt_groups_filter'], undefined>): readonly string[] {
  if (typeof filter === 'string') return filter.split(',').map((group) => group.trim())
  return isList(filter) ? filter : filter.groups
}

/** Header name (lower case) → claim. */
export function compileClaimHeaders(
  written: GlobalInput['jwt_claims_headers'],
  path: Path,
  { claimHeaderPrefix, assertionHeader }: Naming,
  report: Report,
): ReadonlyMap<string, string> {
  const given = typeof written === 'string' ? fromText(written) : written
  const headers = new Map<string, string>()
  if (given === undefined) {
    report.error(path, 'expected a list of claims, or a map of header to claim, as text or as JSON')
    return headers
  }
  const pairs: readonly (readonly [header: string, claim: string, at: string | number])[] = isList(given)
    ? given.map((claim, i) => [claimHeaderPrefix + claim, claim, i])
    : Object.entries(given).map(([header, claim]) => [header, claim, header])
  const seen = new Map<string, string>()
  for (const [header, claim, at] of pairs) {
    const name = header.toLowerCase().replaceAll('_', '-')
    const normal = normalName(name)
    const unusable = unusableForClaims(normal, assertionHeader)
    const other = seen.get(normal)
    const refuse = (message: string): void => report.error([...path, at], message)
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

/** `email, groups`, or JSON of a list or a map. */
function fromText(text: string): readonly string[] | Readonly<Record<string, string>> | undefined {
  if (!/^\s*[[{]/.test(text)) return text.split(/[,\s]+/).filter(Boolean)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const isText = (each: unknown): each is string => typeof each === 'string' && each !== ''
  if (Array.isArray(value)) return value.every(isText) ? value : undefined
  const entries = Object.entries(value as object)
  // Every value is text: seen here.
  return entries.every(([, claim]) => isText(claim))
    ? (Object.fromEntries(entries) as Record<string, string>)
    : undefined
}

function isList(value: object): value is readonly string[] {
  return Array.isArray(value)
}
