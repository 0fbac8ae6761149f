import type { ControlRequest } from '../authenticate/handlers.ts'
import type { OwnSessions } from '../authenticate/own-sessions.ts'
import type { RequestFacts } from '../http/exchange.ts'
import type { Principal } from '../policy/model.ts'
import type { Clock, WallTime } from '../types.ts'
import type { Session } from '../session/model.ts'

/** Everybody that this browser is signed in as on the host that was asked: at the sign-in service one at each provider. */
export type OwnPrincipals = (request: ControlRequest) => Promise<readonly Principal[]>

export function createOwnPrincipals(deps: {
  readonly ownSessions: OwnSessions
  /** The person of a session, with what is known of them now; undefined: nobody any more. */
  readonly principalOf: (session: Session, facts: RequestFacts, now: WallTime) => Promise<Principal | undefined>
  readonly clock: Clock
}): OwnPrincipals {
  const { ownSessions, principalOf, clock } = deps
  return async (request) => {
    const own = await ownSessions.all(request)
    const found = await Promise.all(own.map((session) => principalOf(session, request.facts, clock.now())))
    return found.filter((who) => who !== undefined)
  }
}
