import type { CookieNames } from '../config/model.ts'
import type { Directory } from '../directory/model.ts'
import type { Authenticator } from '../http/exchange.ts'
import type { SessionPrincipal } from '../policy/model.ts'
import type { Session, Sessions } from '../types.ts'

/**
 * Whoever shows the session cookie of the host. Of several live sessions in one request the first counts: a neighbouring
 * host can plant a second cookie, and nobody can tell which was meant.
 */
export function createSessionAuthenticator(deps: {
  readonly sessions: Pick<Sessions, 'read'>
  readonly directory: Pick<Directory, 'membership' | 'status'>
  /** By the scheme of the host that was asked. */
  readonly cookieNames: Readonly<Record<'http' | 'https', CookieNames>>
}): Authenticator {
  const { sessions, directory, cookieNames } = deps
  /** One object per session until something changes: requests allocate none, and the log describes it once. */
  const principals = new WeakMap<Session, SessionPrincipal>()

  function principalOf(session: Session): SessionPrincipal {
    const { id, person, identity, expiresAt } = session
    const membership = directory.membership(person)
    const status = directory.status(person)
    const known = principals.get(session)
    if (known && known.membership === membership && known.status === status) return known
    const principal: SessionPrincipal = {
      kind: 'session',
      person,
      identity,
      sessionId: id,
      expiresAt,
      membership,
      status,
    }
    principals.set(session, principal)
    return principal
  }
  const orNobody = (session: Session | undefined): SessionPrincipal | undefined => session && principalOf(session)

  return {
    identify({ cookie, host }, { from }, now) {
      const found = sessions.read(cookie, cookieNames[from.scheme].session, host, now)
      return found instanceof Promise ? found.then(orNobody) : orNobody(found)
    },
  }
}
