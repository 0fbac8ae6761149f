import { randomId } from '../lib/crypto.ts'
import { epochMillis, later } from '../lib/time.ts'
import type { Clock, Store } from '../types.ts'

export interface Held {
  readonly holder: string
  /** Milliseconds since 1970. */
  readonly until: number
}

/** By the name of the lease. */
export type Leases = Map<string, Held>

/**
 * `lease` of a store whose processes are all of this machine. `edit` shows what is held to one `work` at a time among all
 * of them, gives what it gives, and keeps what it changed when that is true.
 */
export function createLeases({
  clock,
  edit,
}: {
  readonly clock: Clock
  readonly edit: (work: (held: Leases) => boolean) => boolean
}): Store['lease'] {
  return async (name, ttl) => {
    const holder = randomId()

    function hold(held: Leases): boolean {
      held.set(name, { holder, until: epochMillis(later(clock.now(), ttl)) })
      return true
    }

    const among = (work: (held: Leases, owner: string | undefined) => boolean): boolean =>
      edit((held) => {
        for (const [other, { until }] of held) if (until <= epochMillis(clock.now())) held.delete(other)
        return work(held, held.get(name)?.holder)
      })

    if (!among((held, owner) => owner === undefined && hold(held))) return undefined
    return {
      renew: async () => among((held, owner) => owner === holder && hold(held)),
      async release() {
        among((held, owner) => owner === holder && held.delete(name))
      },
    }
  }
}
