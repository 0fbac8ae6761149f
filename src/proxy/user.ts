/** What a signed-in person may see about themselves. */
import { isAtAuthenticate } from '../authenticate/control-request.ts'
import type { Authenticate, ControlRequest } from '../authenticate/handlers.ts'
import type { OwnSessions } from '../authenticate/own-sessions.ts'
import type { Directory } from '../directory/model.ts'
import type { Reply } from '../http/exchange.ts'
import { sessionTag } from '../lib/audit.ts'
import { elapsed, isoTime } from '../lib/time.ts'
import { type KnownSessions, pageOf, pageReply } from '../pages/render.ts'
import { jsonReply } from '../pages/reply.ts'
import type { Clock, JsonObject } from '../types.ts'
import type { Session, Sessions } from '../session/model.ts'
import { personOf, unauthenticated } from './respond.ts'

export interface UserViews {
  page(request: ControlRequest): Promise<Reply>
  json(request: ControlRequest): Promise<Reply>
}

export interface UserViewDeps {
  readonly ownSessions: OwnSessions
  readonly sessions: Pick<Sessions, 'list'>
  readonly directory: Directory
  readonly authenticate: Pick<Authenticate, 'startSignIn' | 'csrf' | 'signOutTargets'>
  readonly clock: Clock
}

export function createUserViews({ ownSessions, sessions, directory, authenticate, clock }: UserViewDeps): UserViews {
  const read = async (request: ControlRequest): Promise<Session | undefined> => (await ownSessions.all(request))[0]

  function askedOf({ facts, generation, origin }: ControlRequest) {
    return { facts, origin, page: pageOf(generation, facts.id, clock.now()) }
  }

  /** A program is told so; a person signs in, and comes back. */
  async function signedOut(request: ControlRequest): Promise<Reply> {
    const { facts, origin } = request
    if (facts.wants !== 'html') return unauthenticated(askedOf(request))
    return authenticate.startSignIn(request, origin + facts.path)
  }

  /** Of everybody that this browser is signed in as: one at each provider. */
  async function sessionsOf(request: ControlRequest): Promise<KnownSessions> {
    const { fixed, live } = request.generation
    if (!isAtAuthenticate(request, request)) {
      return {
        kind: 'elsewhere',
        url: new URL(`${live.naming.controlPrefix}/account`, fixed.authenticateServiceUrl).href,
      }
    }
    const own = await ownSessions.all(request)
    const found: Session[] = []
    for (const person of new Set(own.map((session) => session.person))) {
      for await (const session of sessions.list(person)) found.push(session)
    }
    const isThis = ({ id }: Session) => own.some((session) => session.id === id)
    // This one first, then those that were seen last.
    const list = found
      .toSorted((a, b) => Number(isThis(b)) - Number(isThis(a)) || elapsed(b.lastSeenAt, a.lastSeenAt))
      .map((session) => ({ ...deviceOf(session), tag: sessionTag(session.id), isThis: isThis(session) }))
    return { kind: 'listed', list }
  }

  return {
    async page(request) {
      const { facts, generation } = request
      const session = await read(request)
      if (!session) return signedOut(request)
      const { identity, createdAt, expiresAt } = session
      return pageReply(
        pageOf(generation, facts.id, clock.now()),
        200,
        {
          kind: 'user',
          person: personOf(identity),
          issuer: identity.issuer,
          session: { createdAt, expiresAt },
          sessions: await sessionsOf(request),
          groups: directory.membership(session.person),
          claims: identity.claims,
          csrfToken: authenticate.csrf.token(session, facts.host),
        },
        { formActionOrigins: authenticate.signOutTargets(generation) },
      )
    },

    async json(request) {
      const session = await read(request)
      if (!session) return signedOut(request)
      const { facts, generation, origin } = request
      const { naming } = generation.live
      const membership = directory.membership(session.person)
      const value: JsonObject = {
        sub: session.identity.subject,
        ...(session.identity.email !== undefined && { email: session.identity.email }),
        ...(session.identity.name !== undefined && { name: session.identity.name }),
        session_expires_at: isoTime(session.expiresAt),
        sign_out_url: `${origin}${naming.controlPrefix}/sign_out`,
        csrf_token: authenticate.csrf.token(session, facts.host),
        groups: membership === 'unknown' ? null : membership.groups.map(({ id, name }) => ({ id, name })),
        groups_as_of: membership === 'unknown' ? null : isoTime(membership.asOf ?? membership.freshAt),
        groups_source: membership === 'unknown' ? null : membership.source,
      }
      return jsonReply(200, value)
    },
  }
}

function deviceOf({ userAgent, clientIp, programs, signedInAt, lastSeenAt }: Session) {
  return {
    ...(userAgent !== undefined && { userAgent }),
    ...(clientIp !== undefined && { clientIp }),
    ...(programs && { programs }),
    signedInAt,
    lastSeenAt,
  }
}
