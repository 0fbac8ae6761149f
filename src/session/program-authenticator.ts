import type { Authenticator } from '../http/exchange.ts'
import { bearerToken } from '../lib/bearer.ts'
import { PROGRAM_TOKEN_PREFIX } from '../lib/program-token.ts'
import type { Asker, BadToken } from '../policy/model.ts'
import type { Session, Sessions } from '../types.ts'
import { type PrincipalDeps, sessionPrincipal } from './authenticator.ts'

/** Whoever shows the token of a program that somebody signed in on this host: as that person, in that session. */
export function createProgramAuthenticator(
  deps: PrincipalDeps & { readonly sessions: Pick<Sessions, 'readProgramToken'> },
): Authenticator {
  const { sessions } = deps
  const orBad = (session: Session | undefined): Asker =>
    session ? { ...sessionPrincipal(session, deps), consumed: true } : BAD_TOKEN
  async function arrived(session: Session | undefined): Promise<Asker> {
    if (session) await deps.directory.recall(session.person)
    return orBad(session)
  }

  return {
    identify({ authorization, host }, _route, now) {
      if (authorization === undefined) return undefined
      const token = bearerToken(authorization)
      if (!token?.startsWith(PROGRAM_TOKEN_PREFIX)) return undefined
      const found = sessions.readProgramToken(token, host, now)
      return found instanceof Promise ? found.then(arrived) : orBad(found)
    },
  }
}

const BAD_TOKEN: BadToken = Object.freeze({
  kind: 'bad-token',
  error: 'invalid_token',
  detail: 'token of a program: its session is over, or it is of another host',
})
