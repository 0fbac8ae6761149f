import { setMaxListeners } from 'node:events'
import { assertNever, faultFields } from '../errors.ts'
import { every } from '../lib/clock.ts'
import { createTurns, settledWithin } from '../lib/wait.ts'
import { elapsed, NEVER } from '../lib/time.ts'
import type { Clock, IdentityProviders, Logger, Refreshed, SessionId, Span, Store, WallTime } from '../types.ts'
import type { RefreshPlan, Session, Sessions } from './model.ts'
import { createErrands, type Errand, postErrand } from './errands.ts'
import { countedSince } from './refresh-plan.ts'
import { createTokenKeeper } from './refresh.ts'
import { sessionsTable } from './tables.ts'

/** Another process takes over from one that died during a refresh after this time; a living one renews its lease. */
const LEASE_TTL: Span = 6000
/** The record is looked at again after this time, in case a change was not heard of. */
const LOOK_INTERVAL: Span = 1000
/** The longest wait for another process. */
const GIVE_UP: Span = 45_000
/** Refreshes at the same time in this process, so that a provider that comes back is not flooded. */
const AT_ONCE = 16
/** Sessions whose requests have waited in vain, and do not wait again. */
const MAX_UNANSWERED = 10_000
/** Real time that the process gives answers under way when it ends, so that they are not lost. */
const LAST_ANSWERS: Span = 2000

export interface Refresher {
  /**
   * The session, with a look at whether its tokens are due. Good tokens are renewed in the background; for tokens that have
   * ended the request waits, no longer than `idp_timeout`, and goes on with what was known if the provider gave no answer.
   * undefined: the provider has ended it. A promise only where somebody waits; rejects with faults of the store.
   */
  fresh(session: Session, now: WallTime): Session | Promise<Session | undefined>
  close(): Promise<void>
}

/**
 * Keeps the tokens of sessions fresh: one refresh for each at a time among all processes that share the store (a lease, renewed
 * while the provider is slow). `mayCall`: this process has what the provider asks of a client; one that has not leaves an
 * errand to those that have.
 */
export function createRefresher(deps: {
  readonly sessions: Sessions
  readonly store: Store
  readonly idps: Pick<IdentityProviders, 'of'>
  readonly clock: Clock
  readonly logger: Logger
  readonly mayCall: boolean
  readonly renewed: (session: Session) => Promise<void>
  readonly refreshed: (outcome: Refreshed['outcome'] | 'failed') => void
  /** Since when this process has the credentials that it shows this provider. NEVER: it has none. */
  readonly credentialsSince: (provider: string) => WallTime
  readonly random?: () => number
}): Refresher {
  const { sessions, store, idps, clock, logger, mayCall, credentialsSince, random = Math.random } = deps
  /** Ends the waits first, then the calls. */
  const stop = { waiting: new AbortController(), calling: new AbortController() }
  const stopping = stop.waiting.signal
  // As many as there are requests.
  setMaxListeners(0, stopping)
  const keeper = createTokenKeeper({ ...deps, random, since, stopping, closed: stop.calling.signal })
  const flights = new Map<SessionId, Promise<void>>()
  /** Attempts that wait for another process. */
  const waiting = new Map<SessionId, () => void>()
  /** By session: when the refresh was due for which a request has waited in vain. */
  const unanswered = new Map<SessionId, WallTime>()
  const turns = createTurns(AT_ONCE)
  const errands = mayCall ? createErrands({ store, clock, logger, run }) : undefined
  const unwatch = store.watch(({ table, key }) => {
    if (table === sessionsTable.name) waiting.get(key)?.()
  })

  function since(session: Session): WallTime {
    const idp = idps.of(session)
    return idp ? credentialsSince(idp.name) : NEVER
  }

  function planOf(session: Session): RefreshPlan | undefined {
    return session.refresh && countedSince(session.refresh, since(session))
  }

  async function run(errand: Errand): Promise<Errand | undefined> {
    switch (errand.kind) {
      case 'refresh':
        await begin(errand.id)
        return undefined
      case 'revoke':
        return keeper.revoke(errand)
      case 'audit':
        logger.audit(errand.fields, errand.message)
        return undefined
      default:
        return assertNever(errand)
    }
  }

  /** Never rejects. */
  function begin(id: SessionId): Promise<void> {
    let flight = flights.get(id)
    if (!flight) {
      flight = attempt(id)
        .catch((error: unknown) => logger.debug(faultFields(error), 'a refresh could not begin'))
        .finally(() => flights.delete(id))
      flights.set(id, flight)
    }
    return flight
  }

  /** Until it is done, here or by another process. */
  async function attempt(id: SessionId): Promise<void> {
    const startedAt = clock.monotonic()
    while (!stopping.aborted && elapsed(clock.monotonic(), startedAt) < GIVE_UP) {
      if (!mayCall) await postErrand(store, clock, { kind: 'refresh', id })
      else if (await turns(() => refreshAlone(id))) return
      await changed(id)
      const current = await sessions.get(id)
      const plan = current && planOf(current)
      if (!plan || clock.now() < plan.dueAt) return
    }
  }

  /** false: another process is at it. */
  async function refreshAlone(id: SessionId): Promise<boolean> {
    const lease = await store.lease(`refresh ${id}`, LEASE_TTL)
    if (!lease) return false
    const stopRenewing = every(clock, LEASE_TTL / 3, () => void lease.renew().catch(() => false))
    try {
      await keeper.refresh(id)
      return true
    } finally {
      stopRenewing()
      await lease.release().catch(() => undefined)
    }
  }

  /** Resolves at the next change of the record, or soon. */
  async function changed(id: SessionId): Promise<void> {
    const change = new Promise<void>((resolve) => waiting.set(id, resolve))
    await settledWithin(change, { clock, timeout: LOOK_INTERVAL, signal: stopping })
    waiting.delete(id)
  }

  async function waited(session: Session, { dueAt }: RefreshPlan, flight: Promise<void>): Promise<Session | undefined> {
    await settledWithin(flight, { clock, timeout: idps.of(session)?.timeout ?? 0, signal: stopping })
    // A store that cannot be asked brings nothing new: the session counts as long as it would without a refresh.
    const current = await sessions.get(session.id).catch(() => session)
    if (current && planOf(current)?.dueAt === dueAt) {
      if (unanswered.size >= MAX_UNANSWERED) unanswered.clear()
      unanswered.set(session.id, dueAt)
    }
    return current
  }

  return {
    fresh(session, now) {
      const refresh = planOf(session)
      if (refresh === undefined || now < refresh.dueAt || stopping.aborted) return session
      const flight = begin(session.id)
      // A provider that did not answer a moment ago is not waited for; nor are the processes that call it for this one.
      const isGood = now < refresh.lapsesAt || refresh.failures > 0 || unanswered.get(session.id) === refresh.dueAt
      return isGood ? session : waited(session, refresh, flight)
    },

    async close() {
      unwatch()
      stop.waiting.abort()
      const settled = Promise.all([...flights.values(), errands?.close()])
      // Real time: an answer that is on its way is not lost.
      await Promise.race([settled, aborted(AbortSignal.timeout(LAST_ANSWERS))])
      stop.calling.abort()
      await settled
    },
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
