import type { CookieNames } from '../config/model.ts'
import type { Directory } from '../directory/model.ts'
import type { Authenticator, RequestFacts } from '../http/exchange.ts'
import type { SessionPrincipal } from '../policy/model.ts'
import type { IdentityProviders, WallTime } from '../types.ts'
import type { Session, Sessions } from './model.ts'
import { isActivity } from './life.ts'
import type { Refresher } from './refresher.ts'

/**
 * Knows people by the session cookie of the host. Of several live sessions in one request the first counts: a neighbouring
 * host can plant a second cookie, and it is impossible to tell which was meant.
 */
export function createSessionAuthenticator(
  deps: PrincipalDeps & {
    readonly sessions: Pick<Sessions, 'read' | 'seen'>
    /** By the scheme of the host that was asked. */
    readonly cookieNames: Readonly<Record<'http' | 'https', CookieNames>>
  },
): Authenticator {
  const { sessions, cookieNames } = deps
  return {
    identify: (facts, { from }, now) =>
      sessionPrincipal(
        sessions.read(facts.cookie, cookieNames[from.scheme].session, facts.host, now),
        deps,
        facts,
        now,
      ),
  }
}

export interface PrincipalDeps {
  readonly sessions: Pick<Sessions, 'seen'>
  readonly idps: Pick<IdentityProviders, 'of'>
  readonly directory: Pick<Directory, 'membership' | 'status' | 'recall'>
  readonly refresher: Pick<Refresher, 'fresh'>
}

type Found = Session | undefined

/** The person of a session, with what is known of them now; waits for a refresh if the session's tokens have ended. */
export function sessionPrincipal(
  found: Found | Promise<Found>,
  deps: PrincipalDeps,
  facts: RequestFacts,
  now: WallTime,
): SessionPrincipal | undefined | Promise<SessionPrincipal | undefined> {
  if (found === undefined) return undefined
  if (found instanceof Promise)
    return arrived(found, deps).then((session) => sessionPrincipal(session, deps, facts, now))
  if (isActivity(facts)) deps.sessions.seen(found, now)
  const fresh = deps.refresher.fresh(found, now)
  return fresh instanceof Promise
    ? arrived(fresh, deps).then((session) => session && principalOfSession(session, deps))
    : principalOfSession(fresh, deps)
}

/** Another process may have signed this person in, or refreshed the session, a moment ago. */
async function arrived(found: Promise<Found>, { directory }: PrincipalDeps): Promise<Found> {
  const session = await found
  if (session) await directory.recall(session.person)
  return session
}

/** undefined: the provider is not configured any more, so nobody vouches for them. */
export function principalOfSession(
  session: Session,
  { idps, directory }: Pick<PrincipalDeps, 'idps' | 'directory'>,
): SessionPrincipal | undefined {
  const { id, person, identity, signedInAt, expiresAt } = session
  const idp = idps.of(session)
  if (!idp) return undefined
  return {
    kind: 'session',
    person,
    identity,
    sessionId: id,
    provider: idp.name,
    signedInAt,
    expiresAt,
    membership: directory.membership(person),
    status: directory.status(person),
  }
}
