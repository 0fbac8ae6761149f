import { constantTimeEqual } from '../../lib/crypto.ts'
import { createFaultLog, createFaultTally } from '../../lib/fault-tally.ts'
import type { CurrentSecret } from '../../lib/secret.ts'
import { parseStrictJson } from '../../lib/strict-json.ts'
import type { Clock, Logger, Span } from '../../types.ts'
import type { EventHook } from '../model.ts'
import type { LiveDirectory } from '../directory.ts'
import type { Request, Signal } from '../signals.ts'
import { isLogEvent, signalsOf } from './events.ts'
import { createSeen } from './seen.ts'

/** Okta sends tens of events in one body; a body that is larger than this is somebody else's. */
const HOOK_MAX_BYTES = 4 * 1024 * 1024
const MOST_EVENTS = 5000
/** Bodies that are being worked on; what comes beyond is left to the log. */
const MOST_WAITING = 50
/** What Okta sends to verify an endpoint is a short random word (okta-api.md#event-hooks). */
const CHALLENGE = /^[\w.~+/=-]{1,500}$/

type HookOutcome = ReturnType<EventHook['receive']>

export interface OktaHook extends EventHook {
  /** A body that another process received and judged. Never rejects. */
  serve(body: string): Promise<void>
  counts(): { readonly received: number; readonly refused: number; readonly events: number; readonly skipped: number }
  /** Resolves when what was received has been worked on. */
  close(): Promise<void>
}

/**
 * Event hooks (okta-api.md#event-hooks): they only make things faster. A delivery is not signed, so what it says may take access away
 * and cause people to be read again; it never gives. Duplicates, replays and any order are harmless. `requests` takes
 * what needs a call to Okta.
 */
export function createOktaHook(deps: {
  readonly secret: CurrentSecret
  readonly directory: Pick<LiveDirectory, 'absorb'>
  readonly clock: Clock
  /** See `OktaClient`. */
  readonly lead: () => Span
  readonly logger: Logger
  readonly apps: readonly string[]
  readonly requests: (requests: readonly Request[]) => void
  /** Hands the body to the process that leads; undefined: this one does. */
  readonly relay: () => ((body: string) => Promise<void>) | undefined
}): OktaHook {
  const { secret, directory, clock, lead, logger, apps, requests, relay } = deps
  const seen = createSeen()
  const tell = createFaultLog(deps)
  const tally = createFaultTally(clock)
  const working = new Set<Promise<void>>()
  let counts = { received: 0, refused: 0, events: 0, skipped: 0 }

  function eventsOf(body: string): readonly unknown[] | undefined {
    const envelope = parseStrictJson(body) as { data?: { events?: unknown } | null } | null | undefined
    const events = envelope?.data?.events
    return Array.isArray(events) ? events : undefined
  }

  async function work(all: readonly (Signal | Request)[], uuids: readonly string[]): Promise<void> {
    const signals: Signal[] = []
    const asked: Request[] = []
    for (const each of all) {
      if (each.kind === 'reconcile' || each.kind === 'read-group') asked.push(each)
      else signals.push(each)
    }
    try {
      await directory.absorb(signals, 'hook')
      for (const uuid of uuids) seen.add(uuid)
      if (asked.length > 0) requests(asked)
    } catch (error) {
      tell(error, 'okta: an event hook could not be worked on; the log will tell the same')
    }
  }

  /** Judged at once, worked on later. */
  function workOn(events: readonly unknown[]): () => Promise<void> {
    const readable = events.filter(isLogEvent)
    const fresh = readable.filter(({ uuid }) => !seen.has(uuid))
    counts = {
      ...counts,
      received: counts.received + 1,
      events: counts.events + fresh.length,
      skipped: counts.skipped + events.length - readable.length,
    }
    const signals = fresh.flatMap((event) => signalsOf(event, { apps, now: clock.now(), lead: lead() }))
    return () =>
      work(
        signals,
        fresh.map(({ uuid }) => uuid),
      )
  }

  async function handOver(hand: (body: string) => Promise<void>, body: string): Promise<void> {
    counts = { ...counts, received: counts.received + 1 }
    try {
      await hand(body)
    } catch (error) {
      tell(error, 'okta: an event hook could not be handed on; the log will tell the same')
    }
  }

  function refuse(outcome: HookOutcome): HookOutcome {
    counts = { ...counts, refused: counts.refused + 1 }
    const repeated = tally(outcome, outcome)
    const level = repeated === undefined ? 'debug' : 'warn'
    const fields = { outcome, refused: counts.refused, ...(repeated && { repeated }) }
    logger[level](fields, 'okta: an event hook delivery was refused')
    return outcome
  }

  const isAuthorized = (authorization: string | undefined): boolean =>
    constantTimeEqual(authorization ?? '', secret.reveal())

  return {
    isAuthorized,
    verify: (challenge) => (challenge !== undefined && CHALLENGE.test(challenge) ? challenge : undefined),

    receive(authorization, body) {
      // First of all: who cannot prove to be Okta learns nothing else.
      if (!isAuthorized(authorization)) return refuse('unauthorized')
      if (Buffer.byteLength(body) > HOOK_MAX_BYTES) return refuse('too-large')
      const events = eventsOf(body)
      if (!events) return refuse('malformed')
      if (events.length > MOST_EVENTS) return refuse('too-large')
      if (working.size >= MOST_WAITING) return refuse('busy')
      const hand = relay()
      const use = hand ? (): Promise<void> => handOver(hand, body) : workOn(events)
      // After the answer: the caller writes it before the event loop comes to this.
      const done: Promise<void> = new Promise<void>((resolve) => setImmediate(resolve))
        .then(use)
        .finally(() => working.delete(done))
      working.add(done)
      return 'ok'
    },

    async serve(body) {
      await workOn(eventsOf(body) ?? [])()
    },

    counts: () => counts,

    async close() {
      await Promise.all(working)
    },
  }
}
