/** The sessions of a browser itself, on the host that was asked. */
import type { Clock, IdentityProviders, SessionId } from '../types.ts'
import type { Session, Sessions } from '../session/model.ts'
import { type ControlRequest, isAtAuthenticate, namesFor } from './control-request.ts'

export interface OwnSessions {
  /**
   * On an application's host one at the most. At the sign-in service one of each provider, in the order of the providers,
   * so that whoever opens applications of two of them signs in once at each.
   */
  all(request: ControlRequest): Promise<readonly [Session, ...Session[]] | readonly []>
  /** Of this browser's cookies, whether the sessions live or not, with the names of the cookies. */
  signedIds(request: ControlRequest): readonly (readonly [id: SessionId, cookie: string])[]
  /** What the cookie of such a session is called. */
  nameOf(request: ControlRequest, session: Pick<Session, 'provider'>): string
}

export function createOwnSessions(deps: {
  readonly sessions: Pick<Sessions, 'read' | 'signedIds'>
  readonly idps: IdentityProviders
  readonly clock: Clock
}): OwnSessions {
  const { sessions, idps, clock } = deps

  function nameOf(request: ControlRequest, { provider = idps.all[0].name }: Pick<Session, 'provider'>): string {
    const { session, provided } = namesFor(request)
    const isOnly = !isAtAuthenticate(request, request) || provider === idps.all[0].name
    return isOnly ? session : provided + provider
  }

  const cookiesOf = (request: ControlRequest): readonly string[] =>
    (isAtAuthenticate(request, request) ? idps.all : [idps.all[0]]).map(({ name }) =>
      nameOf(request, { provider: name }),
    )

  return {
    nameOf,
    signedIds: (request) =>
      cookiesOf(request).flatMap((cookie) =>
        sessions.signedIds(request.facts.cookie, cookie, request.facts.host).map((id) => [id, cookie] as const),
      ),
    async all(request) {
      const { facts } = request
      const found: Session[] = []
      for (const cookie of cookiesOf(request)) {
        const session = await sessions.read(facts.cookie, cookie, facts.host, clock.now())
        if (session && idps.of(session)) found.push(session)
      }
      const [first, ...others] = found
      return first ? [first, ...others] : []
    },
  }
}
