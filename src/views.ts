/** What people see of themselves and of Postern: their account, their applications, and the status page. */
import type { Authenticate } from './authenticate/handlers.ts'
import type { OwnSessions } from './authenticate/own-sessions.ts'
import type { Config } from './config/model.ts'
import type { Directory } from './directory/model.ts'
import type { RequestSample } from './http/exchange.ts'
import { readVersion } from './lib/version.ts'
import { createOwnPrincipals } from './proxy/own-principals.ts'
import { createPortal, type Portal } from './proxy/portal.ts'
import { createRecentDecisions } from './proxy/recent-decisions.ts'
import { createStatusViews, type StatusViews } from './proxy/status.ts'
import { createUserViews, type UserViews } from './proxy/user.ts'
import { type ConditionDeps, createCondition } from './server/condition.ts'
import { principalOfSession, sessionPrincipal } from './session/authenticator.ts'
import type { Refresher } from './session/refresher.ts'
import { createSessionCount } from './session/count.ts'
import type { IdentityProviders, Store } from './types.ts'
import type { Sessions } from './session/model.ts'

export interface Views {
  readonly pages: { readonly user: UserViews; readonly portal: Portal; readonly status: StatusViews }
  /** A request has been answered: kept for a while, for whoever may look. */
  record(sample: RequestSample): void
  /** Another configuration is in force from now on. */
  replaced(next: Pick<Config, 'fixed' | 'warnings'>): void
  /** A configuration was not taken over. */
  refuse(problem: string): void
}

export interface ViewsDeps extends Omit<ConditionDeps, 'version'> {
  readonly ownSessions: OwnSessions
  readonly sessions: Sessions
  readonly store: Pick<Store, 'count'>
  readonly idps: IdentityProviders
  readonly directory: Directory
  readonly refresher: Refresher
  readonly authenticate: Authenticate
}

export function createViews(deps: ViewsDeps): Views {
  const { live, clock } = deps
  const condition = createCondition({ ...deps, version: readVersion() })
  const decisions = createRecentDecisions()
  const ownPrincipals = createOwnPrincipals({
    ...deps,
    principalOf: async (session, facts, now) => sessionPrincipal(Promise.resolve(session), deps, facts, now),
  })
  return {
    pages: {
      user: createUserViews(deps),
      portal: createPortal({ ...deps, ownPrincipals }),
      status: createStatusViews({
        ...deps,
        ownPrincipals,
        decisions,
        condition: () => condition.read(),
        countSessions: createSessionCount(deps),
        principalOfSession: (session) => principalOfSession(session, deps),
      }),
    },
    record(sample) {
      if (live().admin) decisions.record(sample, clock.now())
    },
    replaced: (next) => condition.replaced(next),
    refuse: (problem) => condition.refused(problem),
  }
}
