import type { Naming } from '../config/model.ts'
import type { Forward, ForwardedIdentity, HeaderTemplate } from '../config/route-model.ts'
import type { Group } from '../directory/model.ts'
import { field, linesOf } from '../http/header-lines.ts'
import type { RequestFacts } from '../http/request.ts'
import { detached } from '../lib/detached.ts'
import { later } from '../lib/time.ts'
import { credentialOf } from '../policy/credential.ts'
import type { Principal } from '../policy/model.ts'
import type { Grant } from '../policy/verdict.ts'
import type { Clock, JsonObject, Logger, Monotonic, Span, WallTime } from '../types.ts'
import { ASSERTION_LIFETIME, type AssertionSigner } from './assertion.ts'
import { assertionClaims, OURS } from './assertion-claims.ts'
import { claimHeaderValue, fittingMembers, own } from './claim-value.ts'
import { kubernetesHeaders } from './kubernetes.ts'
import { fillIn, MAX_VALUE_BYTES, render, textOf } from './header-template.ts'

/** Lines, all tidy. Not a promise when the answer is cached: the hot path stays synchronous. */
export type IdentityHeaders = (grant: Grant<Forward>) => string | Promise<string>

export interface IdentityHeadersDeps {
  readonly naming: Pick<Naming, 'assertionHeader'>
  readonly signer: Pick<AssertionSigner, 'sign'>
  readonly clock: Clock
  readonly logger: Logger
}

/** An assertion is handed out again for a minute, so that an upstream always has four left. */
const REUSE: Span = ASSERTION_LIFETIME / 5
/**
 * Characters of what is told, sessions times hosts; the oldest go first. To sign for a person costs more than all else that a
 * request does, so that everybody of a minute should have room: about 30,000, with 1.5 KiB each.
 */
const MAX_CACHED = 48 * 1024 * 1024
/** Of one entry, beside its texts. */
const ENTRY = 300
/** Of all claim headers together. */
const MAX_HEADERS_BYTES = 6144

/** What a route tells of one person, as lines; and what it says of the request as well. */
interface Told {
  readonly headers: string
  readonly templates: readonly (readonly [name: string, template: HeaderTemplate])[]
}

interface Cached {
  readonly groups: readonly Group[] | 'unknown'
  readonly until: Monotonic
  readonly told: Told | Promise<Told>
}

type LeftOut = (fields: { readonly header?: string; readonly claim?: string }, message: string) => void

/**
 * The identity headers of an allowed request: one header per configured claim, the assertion, and the route's own with
 * references. Cached per session, audience and what the route tells; a new reading of the person's groups (another list)
 * is never answered from the cache. Nobody, and routes with `pass_identity_headers: false`, get no claims and no assertion.
 */
export function createIdentityHeaders(deps: IdentityHeadersDeps): IdentityHeaders {
  const { clock, logger } = deps
  const cache = new Map<string, Cached>()
  let held = 0
  const warned = new Set<string>()
  /** Once for each claim: whose claims are too long has the same again in a minute. */
  function leftOut(fields: { readonly header?: string; readonly claim?: string }, message: string): void {
    const key = `${fields.header} ${fields.claim}`
    if (warned.has(key)) return
    warned.add(key)
    logger.warn(fields, message)
  }
  return ({ route, request, principal }) => {
    const { identity } = route.action
    if (!identity.templates && (!principal || !(identity.pass || identity.kubernetesToken))) return ''
    const told = principal ? ofPerson(principal, request.host, identity) : ofNobody(identity)
    return told instanceof Promise ? told.then((known) => withTemplates(known, request)) : withTemplates(told, request)
  }

  function ofPerson(principal: Principal, host: string, identity: ForwardedIdentity): Told | Promise<Told> {
    const key = `${credentialOf(principal)} ${host} ${identity.key}`
    const now = clock.monotonic()
    const groups = principal.membership === 'unknown' ? 'unknown' : principal.membership.groups
    const known = cache.get(key)
    if (known && known.groups === groups && now < known.until) return known.told

    const entry: Omit<Cached, 'told'> = { groups, until: later(now, REUSE) }
    const told = sign(principal, host, clock.now(), identity, deps, leftOut)
    remember(key, { ...entry, told }, now)
    const current = (): boolean => cache.get(key)?.told === told
    told.then(
      (found) => current() && remember(key, { ...entry, told: found }, now),
      () => current() && forget(key),
    )
    return told
  }

  function remember(key: string, entry: Cached, now: Monotonic): void {
    forget(key)
    cache.set(key, entry)
    held += sizeOf(key, entry)
    // In the order in which they end, too.
    for (const [oldest, { until }] of cache) {
      if (held <= MAX_CACHED && now < until) break
      forget(oldest)
    }
  }

  function forget(key: string): void {
    const entry = cache.get(key)
    if (!entry) return
    cache.delete(key)
    held -= sizeOf(key, entry)
  }
}

function sizeOf(key: string, { told }: Cached): number {
  let size = ENTRY + key.length
  if (told instanceof Promise) return size
  size += told.headers.length
  for (const [, template] of told.templates)
    for (const part of template) if (typeof part === 'string') size += part.length
  return size
}

function withTemplates({ headers, templates }: Told, request: RequestFacts): string {
  let all = headers
  for (const [name, template] of templates) {
    const value = render(template, request)
    if (value !== undefined) all += field(name, value)
  }
  return all
}

function ofNobody({ templates }: ForwardedIdentity): Told {
  return { headers: '', templates: [...(templates ?? [])].filter(([, template]) => fillIn(template, undefined)) }
}

async function sign(
  who: Principal,
  audience: string,
  now: WallTime,
  identity: ForwardedIdentity,
  { naming, signer }: IdentityHeadersDeps,
  leftOut: LeftOut,
): Promise<Told> {
  const claims = assertionClaims(who, audience, now, identity)
  for (const claim of (claims['claims_omitted'] as readonly string[] | undefined) ?? []) {
    leftOut({ claim }, 'claim left out of the assertion: it is too large')
  }
  const assertion = await signer.sign(claims)
  const headers: string[] = identity.pass
    ? [...claimHeaders(who, claims, identity, leftOut), naming.assertionHeader, assertion]
    : []
  if (identity.kubernetesToken) headers.push(...kubernetesHeaders(who, claims, identity.kubernetesToken))
  const templates: (readonly [name: string, template: HeaderTemplate])[] = []
  for (const [name, template] of identity.templates ?? []) {
    const filled = fillIn(template, { who, claims, assertion })
    if (!filled) continue
    const text = textOf(filled)
    if (text === undefined) templates.push([name, filled])
    else if (text.length > MAX_VALUE_BYTES) leftOut({ header: name }, 'header left out: its value is too large')
    else headers.push(name, text)
  }
  // In one piece, as it is written into many requests.
  return { headers: detached(linesOf(headers)), templates }
}

function claimHeaders(
  who: Principal,
  claims: JsonObject,
  { claimHeaders: configured }: ForwardedIdentity,
  leftOut: LeftOut,
): readonly string[] {
  const headers: string[] = []
  let room = MAX_HEADERS_BYTES
  for (const [name, claim] of configured) {
    const value =
      claim === 'groups'
        ? groupsHeaderValue(name, claims, room - name.length - 4, leftOut)
        : headerValueOf(who, claims, claim)
    if (value === undefined) continue
    const size = value === 'too-large' ? Infinity : name.length + value.text.length + 4
    if (value === 'too-large' || size > room) {
      leftOut({ header: name, claim }, 'claim header left out: its value is too large')
      continue
    }
    room -= size
    headers.push(name, value.text)
  }
  return headers
}

/** As many as fit, in the order of the assertion. */
function groupsHeaderValue(
  header: string,
  claims: JsonObject,
  room: number,
  leftOut: LeftOut,
): ReturnType<typeof claimHeaderValue> {
  const { groups } = claims
  const { text, cut } = fittingMembers(Array.isArray(groups) ? groups : [], room)
  if (cut || claims['groups_truncated'] === true)
    leftOut({ header, claim: 'groups' }, 'groups left out: they are too many')
  return text === '' ? undefined : { text }
}

/** What did not fit into the assertion may fit into a header of its own. */
function headerValueOf(
  { identity }: Principal,
  claims: JsonObject,
  claim: string,
): ReturnType<typeof claimHeaderValue> {
  if (claim === 'name') return claimHeaderValue(identity.name)
  return claimHeaderValue(OURS.has(claim) ? own(claims, claim) : own(identity.claims, claim))
}
