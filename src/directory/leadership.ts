import { faultFields } from '../errors.ts'
import { every } from '../lib/clock.ts'
import { elapsed, NEVER } from '../lib/time.ts'
import type { Clock, Lease, Logger, Monotonic, Span, Store, Unsubscribe } from '../types.ts'

/** A killed leader is followed after so long, and a third: others ask as often as the holder renews. */
const LEASE_TTL: Span = 3000

/** Which of the processes that share a store reads the directory: one, by a lease. */
export interface Leadership {
  leads(): boolean
  /** Asks the store, before something is written that the leader alone may write. */
  renew(): Promise<boolean>
  /** Another process wrote what the leader alone writes. */
  resign(): void
  onChange(listener: (leads: boolean) => void): Unsubscribe
  /** Resolves after the first attempt: a process that is alone leads before it serves. */
  start(): Promise<void>
  close(): Promise<void>
}

export function createLeadership(deps: {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly name: string
  readonly ttl?: Span
}): Leadership {
  const { store, clock, logger, name, ttl = LEASE_TTL } = deps
  const listeners = new Set<(leads: boolean) => void>()
  let lease: Lease | undefined
  /** Asked then: so long the store surely keeps others from it. */
  let heldFrom: Monotonic = NEVER
  let attempt: Promise<boolean> | undefined
  let stop: Unsubscribe = () => {}
  let closed = false

  function become(next: Lease | undefined): void {
    const changed = (next === undefined) !== (lease === undefined)
    lease = next
    if (!changed || closed) return
    logger.info(
      { lease: name },
      next ? 'this process reads the directory now' : 'this process no longer reads the directory',
    )
    for (const listener of listeners) listener(next !== undefined)
  }

  async function renewOrTake(): Promise<boolean> {
    const held = lease
    let askedAt = clock.monotonic()
    if (held && (await held.renew())) {
      heldFrom = askedAt
      // What is said too late is over already.
      if (!hasLapsed()) return lease === held
    }
    if (held && lease === held) become(undefined)
    askedAt = clock.monotonic()
    const taken = await store.lease(name, ttl)
    heldFrom = askedAt
    if (closed) await taken?.release()
    else if (taken) become(taken)
    return lease !== undefined
  }

  /** One at a time: a lease that is renewed twice at once would lose one of them. */
  function renew(): Promise<boolean> {
    return (attempt ??= renewOrTake().finally(() => {
      attempt = undefined
    }))
  }

  /** By now another process may have it. */
  const hasLapsed = (): boolean => elapsed(clock.monotonic(), heldFrom) >= ttl

  /** A store that fails loses the lease for whoever holds it: better nobody reads than two. */
  async function tick(): Promise<void> {
    try {
      await renew()
    } catch (error) {
      logger.debug({ lease: name, ...faultFields(error) }, 'the lease of the directory could not be renewed')
      if (hasLapsed()) become(undefined)
    }
  }

  return {
    leads: () => lease !== undefined && !hasLapsed(),
    renew,
    resign: () => become(undefined),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async start() {
      await tick()
      if (!closed) stop = every(clock, ttl / 3, () => void tick())
    },
    async close() {
      closed = true
      stop()
      await attempt?.catch(() => undefined)
      await lease?.release().catch(() => undefined)
      lease = undefined
    },
  }
}

/** A process that shares its store with nobody. */
export const ALONE = settled(true)
/** A process that has nothing to read the directory with. */
export const NEVER_LEADS = settled(false)

function settled(leads: boolean): Leadership {
  return {
    leads: () => leads,
    renew: async () => leads,
    resign() {},
    onChange: () => () => {},
    async start() {},
    async close() {},
  }
}
