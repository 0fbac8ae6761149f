/** One refresh of one session, and the end of a refresh token: what is said to the provider, and what its answer does. */
import { AppError, toAppError, faultFields } from '../errors.ts'
import { sessionTag } from '../lib/audit.ts'
import { later } from '../lib/time.ts'
import { pause } from '../lib/wait.ts'
import type {
  Clock,
  IdentityProvider,
  IdentityProviders,
  Logger,
  Refreshed,
  SessionId,
  Span,
  Tokens,
  WallTime,
} from '../types.ts'
import type { RefreshPlan, Session, Sessions } from './model.ts'
import type { Errand } from './errands.ts'
import { countedSince, postponed } from './refresh-plan.ts'

/** New tokens that the store does not take are offered to it again: the old ones are spent. */
const STORE_ATTEMPTS = 30
const STORE_PAUSE: Span = 1000
const REVOKE_ATTEMPTS = 5
const REVOKE_PAUSE: Span = 60_000

export interface TokenKeeper {
  /** Call it for one session at a time. Never rejects: what goes wrong is logged, and the next attempt comes later. */
  refresh(id: SessionId): Promise<void>
  /** Revokes the refresh token of a session that ended. Gives what is to be tried again; never rejects. */
  revoke(errand: Extract<Errand, { kind: 'revoke' }>): Promise<Errand | undefined>
}

export function createTokenKeeper(deps: {
  readonly sessions: Sessions
  readonly idps: Pick<IdentityProviders, 'of'>
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  /** When the credentials in force for the provider of a session came into force here. */
  readonly since: (session: Session) => WallTime
  /** A session with what the provider says now. */
  readonly renewed: (session: Session) => Promise<void>
  /** Counts the outcome. */
  readonly refreshed: (outcome: Refreshed['outcome'] | 'failed') => void
  /** Nothing is waited for any more. */
  readonly stopping: AbortSignal
  /** Calls end. */
  readonly closed: AbortSignal
}): TokenKeeper {
  const { sessions, idps, clock, logger, random, since, stopping, closed } = deps

  async function refresh(id: SessionId): Promise<void> {
    const triedAt = clock.now()
    let session: Session | undefined
    let plan: RefreshPlan | undefined
    try {
      session = await sessions.get(id)
      plan = session?.refresh && countedSince(session.refresh, since(session))
      if (session && plan && plan.dueAt <= triedAt) await ask(session)
    } catch (error) {
      deps.refreshed('failed')
      // Of an outage once for each session; the counter tells the rest.
      logger[plan?.failures ? 'debug' : 'warn'](
        {
          session: sessionTag(id),
          provider: session?.provider,
          failures: plan?.failures,
          ...faultFields(error),
        },
        'the tokens of a session could not be refreshed; it goes on',
      )
      if (session?.refresh) await postpone(session, triedAt)
    }
  }

  async function ask(session: Session): Promise<void> {
    const { identity } = session
    const idp = idps.of(session)
    if (!idp) throw new AppError('ERR_IDP_UNUSABLE', 'refresh: its identity provider is not configured any more')
    const { idToken, refreshToken } = sessions.tokens(session) ?? {}
    if (idToken === undefined || refreshToken === undefined) {
      throw new AppError(
        'ERR_IDP_UNUSABLE',
        'refresh: the tokens are sealed with a secret that is not configured any more',
      )
    }
    const signal = callSignal(idp)
    let newest = refreshToken
    const keep = async (given: string): Promise<void> => {
      if (given === newest) return
      newest = given
      const kept = await stored(() => sessions.keepRefreshToken(session, given))
      // It ended meanwhile, with the old token: nobody else knows the new one.
      if (!kept) await idp.revoke(given, signal)
    }
    const answer = await idp.refresh({ identity, idToken, refreshToken }, signal, keep)
    deps.refreshed(answer.outcome)
    if (answer.outcome === 'renewed') {
      // Groups before tokens: whoever waits for the session at another process goes on when it changes.
      if (await sessions.get(session.id)) await deps.renewed({ ...session, identity: answer.identity })
      await stored(() => sessions.replaceTokens(session, answer.tokens, answer.identity))
    } else await end(session, answer.outcome, newest)
  }

  /** Unless the person has signed in again meanwhile: the answer was about the older tokens. */
  async function end(session: Session, outcome: 'refused' | 'mismatch', refreshToken: string): Promise<void> {
    const current = await sessions.get(session.id)
    if (!current || sessions.tokens(current)?.refreshToken !== refreshToken) return
    await sessions.revoke(session.id, outcome === 'refused' ? 'refresh-refused' : 'refresh-mismatch')
  }

  /** Never rejects. */
  async function postpone(session: Session, triedAt: WallTime): Promise<void> {
    const next = (plan: RefreshPlan): RefreshPlan =>
      postponed(countedSince(plan, since(session)), triedAt, clock.now(), random())
    await sessions.postponeRefresh(session, next).catch(() => undefined)
  }

  /** Retries until the store takes it. Rejects with the last fault. */
  async function stored<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        if (attempt === STORE_ATTEMPTS || stopping.aborted || toAppError(error).code !== 'ERR_STORE_UNAVAILABLE')
          throw error
        await pause(clock, STORE_PAUSE, stopping)
      }
    }
  }

  function callSignal(idp: IdentityProvider): AbortSignal {
    // Token endpoint, keys, userinfo.
    return AbortSignal.any([closed, AbortSignal.timeout(3 * idp.timeout)])
  }

  return {
    refresh,

    async revoke(errand) {
      const { id, provider, issuer, sealedTokens, failed } = errand
      const idp = idps.of({
        ...(provider !== undefined && { provider }),
        identity: { issuer, subject: '', claims: {} },
      })
      const { refreshToken } = sessions.tokens({ id, sealedTokens }) ?? ({} as Partial<Tokens>)
      if (!idp || refreshToken === undefined) return undefined
      try {
        await idp.revoke(refreshToken, callSignal(idp))
        return undefined
      } catch (error) {
        const { code } = toAppError(error)
        const attempts = (failed?.attempts ?? 0) + 1
        const isLast = attempts === REVOKE_ATTEMPTS || code !== 'ERR_IDP_UNREACHABLE'
        logger[isLast ? 'warn' : 'debug'](
          { session: sessionTag(id), provider, attempts, ...faultFields(error) },
          'the refresh token of an ended session could not be revoked',
        )
        return isLast
          ? undefined
          : { ...errand, failed: { attempts, notBefore: later(clock.now(), attempts * REVOKE_PAUSE) } }
      }
    },
  }
}
