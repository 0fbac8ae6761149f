/** One fault, one line of level `error`: what goes on failing in the same way is counted until it is time to say so again. */
import type { ErrorCode } from '../errors.ts'
import { elapsed } from '../lib/time.ts'
import type { Clock, Monotonic, Span } from '../types.ts'

/** What lasts is said again so often. */
const AGAIN: Span = 600_000
/** Routes and codes are of our configuration and program; this is only a bound. */
const MOST = 1000

interface Lasting {
  code: ErrorCode
  toldAt: Monotonic
  since: number
}

/** @returns how many were not told since the last time; undefined: this one need not be told. */
export type FaultTally = (subject: string, code: ErrorCode) => number | undefined

/** @param subject whose fault it is: a route. With another code than before it is news. */
export function createFaultTally(clock: Pick<Clock, 'monotonic'>): FaultTally {
  const lasting = new Map<string, Lasting>()
  return (subject, code) => {
    const now = clock.monotonic()
    const known = lasting.get(subject)
    if (known?.code === code && elapsed(now, known.toldAt) < AGAIN) {
      known.since++
      return undefined
    }
    if (!known && lasting.size >= MOST) lasting.clear()
    lasting.set(subject, { code, toldAt: now, since: 0 })
    return known?.code === code ? known.since : 0
  }
}
