/** What a signed-in person may see about themselves. */
import { namesFor } from '../authenticate/control-request.ts'
import type { Authenticate, ControlRequest } from '../authenticate/handlers.ts'
import type { Directory } from '../directory/model.ts'
import type { Reply } from '../http/exchange.ts'
import { sessionTag } from '../lib/audit.ts'
import { elapsed, isoTime } from '../lib/time.ts'
import { type OwnSession, pageReply } from '../pages/render.ts'
import { jsonReply } from '../pages/reply.ts'
import type { Clock, JsonObject, Session, Sessions } from '../types.ts'
import { personOf, unauthenticated } from './respond.ts'

export interface UserViews {
  page(request: ControlRequest): Promise<Reply>
  json(request: ControlRequest): Promise<Reply>
}

export interface UserViewDeps {
  readonly sessions: Sessions
  readonly directory: Directory
  readonly authenticate: Pick<Authenticate, 'startSignIn' | 'csrf' | 'signOutTargets'>
  readonly clock: Clock
}

export function createUserViews({ sessions, directory, authenticate, clock }: UserViewDeps): UserViews {
  const read = async (request: ControlRequest): Promise<Session | undefined> =>
    sessions.read(request.facts.cookie, namesFor(request).session, request.facts.host, clock.now())

  function askedOf({ facts, generation, origin }: ControlRequest) {
    return { facts, origin, controlPrefix: generation.live.naming.controlPrefix, now: clock.now() }
  }

  /** Of the person, those that were seen last first. */
  async function sessionsOf(own: Session): Promise<readonly OwnSession[]> {
    const found: OwnSession[] = []
    for await (const { id, userAgent, clientIp, signedInAt, lastSeenAt } of sessions.list(own.person)) {
      found.push({
        tag: sessionTag(id),
        isThis: id === own.id,
        ...(userAgent !== undefined && { userAgent }),
        ...(clientIp !== undefined && { clientIp }),
        signedInAt,
        lastSeenAt,
      })
    }
    return found.toSorted((a, b) => Number(b.isThis) - Number(a.isThis) || elapsed(b.lastSeenAt, a.lastSeenAt))
  }

  return {
    async page(request) {
      const { facts, generation, origin } = request
      const session = await read(request)
      if (!session) {
        if (facts.wants !== 'html') return unauthenticated(askedOf(request))
        return authenticate.startSignIn(request, new URL(origin + facts.path))
      }
      const { identity, createdAt, expiresAt } = session
      return pageReply(
        { controlPrefix: generation.live.naming.controlPrefix, requestId: facts.id, now: clock.now() },
        200,
        {
          kind: 'user',
          person: personOf(identity),
          issuer: identity.issuer,
          session: { createdAt, expiresAt },
          sessions: await sessionsOf(session),
          groups: directory.membership(session.person),
          claims: identity.claims,
          csrfToken: authenticate.csrf.token(session, facts.host),
        },
        { formActionOrigins: authenticate.signOutTargets(generation) },
      )
    },

    async json(request) {
      const session = await read(request)
      if (!session) return unauthenticated(askedOf(request))
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
