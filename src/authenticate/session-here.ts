/** What the session of a browser is good for on the host that was asked, and how the browser gets it. */
import { elapsed } from '../lib/time.ts'
import { returnReply } from '../pages/render.ts'
import { redirectReply } from '../pages/reply.ts'
import type { Clock, IdentityProviders, SignInDemand } from '../types.ts'
import type { Session, Sessions } from '../session/model.ts'
import type { Directory } from '../directory/model.ts'
import type { Reply } from '../http/exchange.ts'
import { type ControlRequest, cookieHeader, type Header } from './control-request.ts'
import { isEnough } from './insufficient.ts'
import type { OwnSessions } from './own-sessions.ts'

export interface SessionHereDeps {
  readonly idps: Pick<IdentityProviders, 'of'>
  readonly sessions: Pick<Sessions, 'cookieValue'>
  readonly ownSessions: OwnSessions
  readonly directory: Pick<Directory, 'status'>
  readonly clock: Clock
}

export type SessionHere = ReturnType<typeof createSessionHere>

export function createSessionHere({ idps, sessions, ownSessions, directory, clock }: SessionHereDeps) {
  /** Of this browser on the host that was asked, of a person who is not known to be inactive, and as a route asks. */
  async function active(request: ControlRequest, demand: SignInDemand = {}): Promise<Session | undefined> {
    const own = await ownSessions.all(request)
    return own.find(
      (session) =>
        directory.status(session.person) !== 'inactive' &&
        isOf(session, demand) &&
        isEnough(session, demand, clock.now()),
    )
  }

  function isOf(session: Session, { providers }: SignInDemand): boolean {
    const idp = idps.of(session)
    return idp !== undefined && (providers?.includes(idp.name) ?? true)
  }

  /**
   * To an address of this host that needs the session cookie. A strict one does not go along with redirects that another
   * site began, and every sign-in comes from the provider: a page of ours goes on instead, or it would go round for ever.
   */
  function enter(request: ControlRequest, url: URL, cookies: readonly Header[]): Reply {
    const isStrict = request.generation.live.cookieSameSite === 'strict'
    return isStrict ? returnReply(url.href, cookies) : redirectReply(302, url, cookies)
  }

  function cookie(request: ControlRequest, session: Session): Header {
    const { facts, generation } = request
    const name = ownSessions.nameOf(request, session)
    return cookieHeader(
      request,
      name,
      sessions.cookieValue(session.id, name, facts.host),
      elapsed(session.expiresAt, clock.now()),
      generation.live.cookieSameSite,
    )
  }

  return { active, enter, cookie }
}
