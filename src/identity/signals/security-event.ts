import { isSameIssuer } from '../../lib/person.ts'
import { later } from '../../lib/time.ts'
import type { Json, JsonObject, Span, WallTime } from '../../types.ts'
import type { Meant, Refused, SecurityEvent, SecurityEvents, SetError } from '../model.ts'
import { isFor, timeProblem } from '../token-times.ts'
import { instantOf, isObject, isText } from './values.ts'

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/'
/** A transmitter that could not reach us tries again for hours. */
const MAX_AGE: Span = 24 * 3_600_000

/** Who the subjects of the transmitter are with us. */
export interface Subjects {
  /** Empty: of another issuer. */
  persons(issuer: string, subject: string): readonly Meant[]
  address(address: string): Meant
}

type SetRefusal = Refused & { readonly error: SetError }

/** A security event token (RFC 8417 §2) of the transmitter, as SSF 1.0 and CAEP 1.0 fill it. It has no `exp`. */
export function readSecurityEvents(
  { typ, claims }: { readonly typ?: string; readonly claims: JsonObject },
  { issuer, audiences }: { readonly issuer: string; readonly audiences: readonly string[] },
  subjects: Subjects,
  now: WallTime,
): SecurityEvents | SetRefusal {
  if (typ !== 'secevent+jwt') return refuse('invalid_request', 'typ is of another kind of token')
  const { iss, jti, events, sub_id: subject, nonce, at_hash: hash } = claims
  if (typeof iss !== 'string' || !isSameIssuer(iss, issuer)) return refuse('invalid_issuer', 'iss is another issuer')
  if (!audiences.some((each) => isFor(claims, each))) return refuse('invalid_audience', 'aud is another receiver')
  const late = timeProblem(claims, now, { exp: 'optional', maxAge: MAX_AGE })
  if (late !== undefined) return refuse('invalid_request', late)
  if (nonce !== undefined || hash !== undefined) return refuse('invalid_request', 'it has claims of an ID token')
  if (!isText(jti)) return refuse('invalid_request', 'jti is missing or too long')
  if (!isObject(events) || Object.keys(events).length === 0) return refuse('invalid_request', 'events is missing')
  return {
    kind: 'events',
    id: `event ${iss} ${jti}`,
    forgetAt: later(now, MAX_AGE + 600_000),
    events: Object.entries(events).map(([name, event]) => readEvent(name, event, subject, subjects)),
  }
}

function refuse(error: SetError, refused: string): SetRefusal {
  return { error, refused }
}

/** The subject stands beside the events (`sub_id`, SSF 1.0), or in each (`subject`, the drafts that Okta follows for CAEP). */
function readEvent(name: string, event: Json, beside: Json | undefined, subjects: Subjects): SecurityEvent {
  const other: SecurityEvent = { kind: 'other', name: name.slice(0, 200) }
  if (!isObject(event)) return other
  const before = instantOf(event['event_timestamp'])
  const ended = (): SecurityEvent => ({
    kind: 'sessions-ended',
    meant: readSubject(beside ?? event['subject'], subjects),
    ...(before !== undefined && { before }),
  })
  switch (name) {
    case `${CAEP}session-revoked`:
      return ended()
    case `${CAEP}credential-change`:
      // A factor more makes nobody's session doubtful.
      return event['change_type'] === 'create' ? other : ended()
    case `${SSF}verification`: {
      const { state } = event
      return { kind: 'verification', ...(isText(state) && { state }) }
    }
    case `${SSF}stream-updated`: {
      const { status } = event
      return { kind: 'stream-updated', status: isText(status) ? status : 'unknown' }
    }
    default:
      return other
  }
}

/** RFC 9493: `iss_sub`, `email`, and the `user` of a complex subject. What we cannot read is nobody. */
function readSubject(subject: Json | undefined, subjects: Subjects): readonly Meant[] {
  if (!isObject(subject)) return []
  const { format = subject['subject_type'], user, iss, sub, email } = subject
  if (isObject(user)) return readSubject({ ...user, user: null }, subjects)
  switch (format) {
    case 'iss_sub':
    case 'iss-sub':
      return isText(iss) && isText(sub) ? subjects.persons(iss, sub) : []
    case 'email':
      return isText(email) ? [subjects.address(email.toLowerCase())] : []
    default:
      return []
  }
}
