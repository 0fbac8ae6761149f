import { createHash } from 'node:crypto'
import { assertNever } from '../errors.ts'
import { isoTime } from './time.ts'
import type { ServiceToken } from '../tokens/model.ts'
import type { LogFields } from './log-fields.ts'
import type { Logger, SessionId } from '../types.ts'
import type { Session, SessionEnd } from '../session/model.ts'

/** An event for the audit log. One member for each kind; `createAudit` writes all of them. */
export type AuditEvent =
  /** `session-renewed`: signed in again, within a session that goes on. */
  | { readonly event: 'session-begin' | 'session-renewed'; readonly session: Session; readonly requestId?: string }
  /** The person let a program in, or did not; it came for its token of one host. */
  | {
      readonly event: 'program-allowed' | 'program-refused' | 'program-signed-in'
      readonly session: Session
      readonly host: string
      readonly requestId?: string
    }
  | {
      readonly event: 'session-end'
      readonly reason: SessionEnd
      readonly session: Session
      readonly requestId?: string
    }
  | { readonly event: 'token-create' | 'token-revoke'; readonly token: ServiceToken }

export type Audit = (event: AuditEvent) => void

/** One line for each event (audit-events.ts); never an id that opens something. */
export function createAudit(logger: Pick<Logger, 'audit'>): Audit {
  return (entry) => logger.audit({ event: entry.event, ...fieldsOf(entry) }, messageOf(entry))
}

function fieldsOf(entry: AuditEvent): Omit<LogFields, 'event'> {
  if ('token' in entry) {
    const { id, account, expiresAt, routes, methods, groups } = entry.token
    return {
      token: id,
      service_account: account,
      expires_at: isoTime(expiresAt),
      token_routes: routes,
      methods,
      groups,
    }
  }
  const { session, requestId } = entry
  const { subject, issuer, email } = session.identity
  return {
    ...(entry.event === 'session-end' && { reason: entry.reason }),
    ...('host' in entry && { host: entry.host }),
    session: sessionTag(session.id),
    user_id: subject,
    issuer,
    provider: session.provider,
    email,
    client_ip: session.clientIp,
    request_id: requestId,
  }
}

function messageOf(entry: AuditEvent): string {
  switch (entry.event) {
    case 'session-begin':
      return 'signed in'
    case 'session-renewed':
      return 'signed in again'
    case 'program-allowed':
      return 'let a program sign in'
    case 'program-refused':
      return 'let no program sign in'
    case 'program-signed-in':
      return 'program signed in'
    case 'session-end':
      return entry.reason === 'signed-out' ? 'signed out' : 'session ended'
    case 'token-create':
      return 'service token made'
    case 'token-revoke':
      return 'service token revoked'
    default:
      return assertNever(entry)
  }
}

/** Names a session in logs without revealing its id. Hex, so that a command line does not take it for an option. */
export function sessionTag(id: SessionId): string {
  return createHash('sha256').update(`log:${id}`).digest('hex').slice(0, 12)
}
