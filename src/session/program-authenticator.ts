import type { Authenticator } from '../http/exchange.ts'
import { bearerToken } from '../lib/bearer.ts'
import { PROGRAM_TOKEN_PREFIX } from '../lib/program-token.ts'
import type { Asker, BadToken, SessionPrincipal } from '../policy/model.ts'
import type { Sessions } from './model.ts'
import { type PrincipalDeps, sessionPrincipal } from './authenticator.ts'

/** Whoever shows the token of a program that somebody signed in on this host: as that person, in that session. */
export function createProgramAuthenticator(
  deps: PrincipalDeps & { readonly sessions: Pick<Sessions, 'readProgramToken' | 'seen'> },
): Authenticator {
  const { sessions } = deps
  const orBad = (who: SessionPrincipal | undefined): Asker => (who ? { ...who, consumed: true } : BAD_TOKEN)

  return {
    identify(facts, _route, now) {
      const { authorization, host } = facts
      if (authorization === undefined) return undefined
      const token = bearerToken(authorization)
      if (!token?.startsWith(PROGRAM_TOKEN_PREFIX)) return undefined
      const found = sessionPrincipal(sessions.readProgramToken(token, host, now), deps, facts, now)
      return found instanceof Promise ? found.then(orBad) : orBad(found)
    },
  }
}

const BAD_TOKEN: BadToken = Object.freeze({
  kind: 'bad-token',
  error: 'invalid_token',
  detail: 'token of a program: its session is over, or it is of another host',
})
