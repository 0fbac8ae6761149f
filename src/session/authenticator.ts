import type { CookieNames } from '../config/model.ts'
import type { Directory } from '../directory/model.ts'
import type { Authenticator } from '../http/exchange.ts'
import type { SessionPrincipal } from '../policy/model.ts'
import type { Session, Sessions } from '../types.ts'

/**
 * Whoever shows the session cookie of the host. Of several live sessions in one request the first counts: a neighbouring
 * host can plant a second cookie, and nobody can tell which was meant.
 */
export function createSessionAuthenticator(
  deps: PrincipalDeps & {
    readonly sessions: Pick<Sessions, 'read'>
    /** By the scheme of the host that was asked. */
    readonly cookieNames: Readonly<Record<'http' | 'https', CookieNames>>
  },
): Authenticator {
  const { sessions, cookieNames } = deps
  /** Another process may have signed this person in a moment ago. */
  async function arrived(session: Session | undefined): Promise<SessionPrincipal | undefined> {
    if (session) await deps.directory.recall(session.person)
    return session && sessionPrincipal(session, deps)
  }

  return {
    identify({ cookie, host }, { from }, now) {
      const found = sessions.read(cookie, cookieNames[from.scheme].session, host, now)
      return found instanceof Promise ? found.then(arrived) : found && sessionPrincipal(found, deps)
    },
  }
}

export interface PrincipalDeps {
  readonly directory: Pick<Directory, 'membership' | 'status' | 'recall'>
}

/** The person of a session, with what is known of them now. */
export function sessionPrincipal(
  { id, person, identity, expiresAt }: Session,
  { directory }: PrincipalDeps,
): SessionPrincipal {
  return {
    kind: 'session',
    person,
    identity,
    sessionId: id,
    expiresAt,
    membership: directory.membership(person),
    status: directory.status(person),
  }
}
