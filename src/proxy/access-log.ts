/** One line per request that carries access and decision; never a query, a cookie or a token. */
import { type AppError, assertNever, type ErrorCode, ERRORS, faultFields } from '../errors.ts'
import type { Clock, Identity, Logger, Monotonic } from '../types.ts'
import { credentialOf } from '../policy/credential.ts'
import type { Principal } from '../policy/model.ts'
import type { Decision, ShadowDecision } from '../policy/verdict.ts'
import type {
  BadRequest,
  Finished,
  Forwarded,
  RequestFacts,
  RequestHead,
  RequestSample,
  Trace,
} from '../http/exchange.ts'
import type { Route } from '../config/route-model.ts'
import { sessionTag } from '../lib/audit.ts'
import type { LogFields } from '../lib/log-fields.ts'
import { bounded, visible } from '../lib/log-text.ts'
import { createFaultTally } from '../lib/fault-tally.ts'
import { createChoose, type LogChoice } from './log-choice.ts'
import { UNKNOWN_CLIENT } from '../routing/trust.ts'
import { elapsed } from '../lib/time.ts'

/** What is known about an exchange so far; what the log line is made of. */
export interface Progress {
  readonly startedAt: Monotonic
  /** As nginx writes it: `HTTP/1.1`, `HTTP/2.0`. Absent: what came was none. */
  readonly protocol?: string | undefined
  readonly trace?: Trace | undefined
  facts?: RequestFacts | BadRequest | undefined
  route?: Route | undefined
  who?: Principal | undefined
  /** Why nobody knows who asks, where that is no reason to refuse (`identity: optional`). */
  unidentified?: AppError | undefined
  decision?: Decision | undefined
  /** What the route's `shadow_policy` says. */
  shadow?: ShadowDecision | undefined
  /** Why what the decision needs is unknown. */
  cause?: { readonly code: ErrorCode; readonly message: string } | undefined
  /** Why the request was refused before anybody asked who it is. Constant. */
  detail?: string | undefined
  /** What lines say, where the configuration chooses. */
  readonly logChoice?: LogChoice | undefined
  /** As it came. */
  readonly head?: RequestHead | undefined
  /**
   * `control`: one of our own paths. `probe`: a health probe that was answered; it gets no line. `forward-auth`: another
   * proxy asked, and forwards what may pass. Absent: a request to an application.
   */
  kind?: 'control' | 'probe' | 'forward-auth' | undefined
}

export type AccessLog = (progress: Progress, finished: Finished | undefined, error?: AppError) => void

/** `record` gets the same facts for metrics; the proxy does not know who counts. */
export function createAccessLog(logger: Logger, clock: Clock, record: (sample: RequestSample) => void): AccessLog {
  const membersOf = {
    route: remembered(routeMembers),
    who: rememberedPrincipals(),
    reasons: remembered((reasons: Decision['reasons']) => members({ reasons })),
    shadow: remembered((reasons: Decision['reasons']) => members({ shadow_reasons: reasons })),
  }
  const tally = createFaultTally(clock)
  const chooseOf = remembered(createChoose)
  return (progress, finished, error) => {
    const { facts, route, who, decision, shadow, unidentified, trace } = progress
    const cut = finished?.forwarded?.cut
    const repeated = error && error.info.status >= 500 ? tally(route?.id ?? '', error.code) : undefined
    const level = levelOf(progress, finished, error, repeated)
    const fault = error && faultOf(error, repeated)
    const duration = elapsed(clock.monotonic(), progress.startedAt)
    record({
      facts: facts && 'kind' in facts ? undefined : facts,
      who,
      route,
      decision,
      shadow,
      finished,
      error,
      seconds: duration / 1000,
      trace,
    })
    const choose = progress.logChoice && chooseOf(progress.logChoice)
    if (!facts || 'kind' in facts) {
      const fields = {
        request_id: facts?.id,
        client_ip: facts?.clientIp,
        ...facts?.asked,
        path: facts?.asked?.path && bounded(facts.asked.path, 1024),
        protocol: progress.protocol,
        status: finished?.status,
        detail: facts?.detail,
        duration_ms: Math.round(duration),
      }
      const all = { ...fields, ...fault }
      logger.line(level, members(choose ? choose(all) : all).slice(1), 'request')
      return
    }
    if (progress.kind === 'probe' || !logger.writes(level)) return
    const forwarded = finished?.forwarded
    // Written by hand, and what many requests share only once: 1 µs, where a logger takes 4 for these fields.
    let line = `"request_id":${text(facts.id)}`
    if (trace) line += `,"trace_id":"${trace.id}"`
    line += `,"client_ip":${text(facts.clientIp)},"method":${text(facts.method)},"host":${text(facts.host)},"path":${text(facts.path, 1024)}`
    if (progress.protocol !== undefined) line += `,"protocol":"${progress.protocol}"`
    if (progress.kind === 'forward-auth') line += ',"forward_auth":true'
    if (progress.detail !== undefined) line += `,"detail":${text(progress.detail)}`
    else if (facts.clientIp === UNKNOWN_CLIENT) line += UNREADABLE_CHAIN
    if (finished) line += `,"status":${finished.status},"bytes_out":${finished.bytesOut}`
    // Whole: a fraction takes longer to write than the rest of the line.
    line += `,"duration_ms":${Math.round(duration)}`
    if (forwarded)
      line += `,"bytes_in":${forwarded.bytesIn},"upstream":${text(forwarded.upstream)},"upstream_ms":${Math.round(forwarded.upstreamMs)}`
    if (forwarded?.hint) line += `,"hint":${text(forwarded.hint)}`
    if (cut) line += `,"cut":${text(cut)}`
    if (forwarded?.limit) line += `,"limit":${text(forwarded.limit)}`
    if (route) line += membersOf.route(route)
    const certificateFault = facts.clientCertificate?.fault
    if (certificateFault !== undefined) line += `,"client_certificate_fault":${text(certificateFault)}`
    if (decision) line += `,"decision":${text(decision.outcome)}${membersOf.reasons(decision.reasons)}`
    if (shadow) line += `,"shadow_decision":${text(shadow.outcome)}${membersOf.shadow(shadow.reasons)}`
    if (who) line += membersOf.who(who)
    // A program that the person signed in, not their browser.
    if (who?.kind === 'session' && who.consumed) line += ',"by_token":true'
    line += `,"user_agent":${text(facts.userAgent)}`
    if (fault) line += members(fault)
    else if (unidentified) line += members(faultFields(unidentified))
    else if (progress.cause) line += members({ error: progress.cause.code, error_message: progress.cause.message })
    if (choose) {
      const { head, kind } = progress
      const all = JSON.parse(`{${line}}`) as Readonly<Record<string, unknown>>
      line = members(choose(all, head && { facts, head, control: kind === 'control' })).slice(1)
    }
    logger.line(level, line, 'request')
  }
}

/** The requests of a sign-in and of our own pages are noise in most logs: `debug`, unless they failed. */
function levelOf(
  { decision, kind }: Progress,
  finished: Finished | undefined,
  error: AppError | undefined,
  repeated: number | undefined,
): 'debug' | 'info' | 'warn' | 'error' {
  if (error && error.info.status >= 500) return repeated === undefined ? 'info' : 'error'
  // The status was sent before an upstream failed, and does not tell of it.
  if (isFault(finished?.forwarded?.cut)) return 'warn'
  const isHop = kind === 'control' || decision?.outcome === 'sign-in'
  return isHop && !error && finished !== undefined && finished.status < 400 ? 'debug' : 'info'
}

/** @param repeated see `FaultTally`; what is told has its remedy. */
function faultOf(error: AppError, repeated: number | undefined): LogFields {
  const told = repeated !== undefined && { remedy: error.info.remedy }
  return { ...faultFields(error), ...told, ...(repeated && { repeated }) }
}

function isFault(cut: Forwarded['cut']): boolean {
  return cut !== undefined && cut in ERRORS && ERRORS[cut as ErrorCode].status >= 500
}

const UNREADABLE_CHAIN = ',"detail":"X-Forwarded-For of a trusted hop cannot be read"'

/** Safe in JSON as it is: printable ASCII without `"` and `\`. */
const PLAIN = /^[ !#-[\]-~]*$/

/** Clients choose most of these: longer ones say how much is left out. */
function text(value: string, length = 512): string {
  const shown = bounded(value, length)
  return PLAIN.test(shown) ? `"${shown}"` : visible(JSON.stringify(shown))
}

/** `,"name":value` for each field that has one. */
function members(fields: object): string {
  const all = visible(JSON.stringify(fields, boundedValue)).slice(1, -1)
  return all === '' ? '' : `,${all}`
}

function boundedValue(_: string, value: unknown): unknown {
  return typeof value === 'string' ? bounded(value) : value
}

function routeMembers({ name, id }: Route): string {
  return members({ route: name, route_id: id })
}

/** By the identity, which is one object while its session is at hand; a principal is made for each request. */
function rememberedPrincipals(): (who: Principal) => string {
  const known = new WeakMap<Identity, { readonly credential: string; readonly text: string }>()
  return (who) => {
    const credential = credentialOf(who)
    const found = known.get(who.identity)
    if (found?.credential === credential) return found.text
    const text = principalMembers(who)
    known.set(who.identity, { credential, text })
    return text
  }
}

function principalMembers(who: Principal): string {
  const { kind: auth, identity } = who
  const { issuer, subject, email } = identity
  switch (auth) {
    case 'session':
      return members({ auth, user_id: subject, email, session: sessionTag(who.sessionId) })
    case 'service':
      return members({ auth, service_account: who.account, token: who.tokenId })
    case 'certificate':
      return members({ auth, service_account: who.account, certificate: who.tokenId })
    case 'token':
      return members(
        who.account === undefined
          ? { auth, user_id: subject, email, token: who.tokenId }
          : { auth, service_account: who.account, issuer, token: who.tokenId },
      )
    default:
      return assertNever(auth)
  }
}

function remembered<T extends object, R>(describe: (subject: T) => R): (subject: T) => R {
  const known = new WeakMap<T, R>()
  return (subject) => {
    const found = known.get(subject)
    if (found !== undefined) return found
    const made = describe(subject)
    known.set(subject, made)
    return made
  }
}
