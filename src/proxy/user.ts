/** What a signed-in person may see about themselves. */
import { namesFor } from '../authenticate/control-request.ts'
import type { Authenticate, ControlRequest } from '../authenticate/handlers.ts'
import { jsonReply } from '../pages/reply.ts'
import type { Clock, JsonObject, Session, Sessions } from '../types.ts'
import type { Directory } from '../directory/model.ts'
import type { Reply } from '../http/exchange.ts'
import type { Respond } from './respond.ts'
import { isoTime } from '../lib/time.ts'

export interface UserViews {
  page(request: ControlRequest): Promise<Reply>
  json(request: ControlRequest): Promise<Reply>
}

export interface UserViewDeps {
  readonly sessions: Sessions
  readonly directory: Directory
  readonly authenticate: Authenticate
  readonly respond: Respond
  readonly clock: Clock
}

export function createUserViews({ sessions, directory, authenticate, respond, clock }: UserViewDeps): UserViews {
  const read = async (request: ControlRequest): Promise<Session | undefined> =>
    sessions.read(request.facts.cookie, namesFor(request).session, request.facts.host, clock.now())

  return {
    async page(request) {
      const session = await read(request)
      if (session) return respond.user(request, session, directory.membership(session.person))
      if (request.facts.wants !== 'html') return respond.unauthenticated(request)
      return authenticate.startSignIn(request, new URL(request.origin + request.facts.path))
    },

    async json(request) {
      const session = await read(request)
      if (!session) return respond.unauthenticated(request)
      const membership = directory.membership(session.person)
      const value: JsonObject = {
        sub: session.identity.subject,
        ...(session.identity.email !== undefined && { email: session.identity.email }),
        ...(session.identity.name !== undefined && { name: session.identity.name }),
        session_expires_at: isoTime(session.expiresAt),
        groups: membership === 'unknown' ? null : membership.groups.map(({ id, name }) => ({ id, name })),
        groups_as_of: membership === 'unknown' ? null : isoTime(membership.asOf ?? membership.freshAt),
        groups_source: membership === 'unknown' ? null : membership.source,
      }
      return jsonReply(200, value)
    },
  }
}
