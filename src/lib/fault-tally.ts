/** One fault, one line: what goes on failing in the same way is counted until it is time to say so again. */
import { ERRORS, faultFields } from '../errors.ts'
import type { Clock, Logger, Monotonic, Span } from '../types.ts'
import type { LogFields } from './log-fields.ts'
import { elapsed } from './time.ts'

/** What lasts is said again so often. */
const AGAIN: Span = 600_000
/** Subjects and kinds are of our configuration and program; this is only a bound. */
const MOST = 1000

interface Lasting {
  kind: string
  toldAt: Monotonic
  since: number
}

/** @returns how many were not told since the last time; undefined: this one need not be told. */
export type FaultTally = (subject: string, kind: string) => number | undefined

/** @param subject whose fault it is: a route. Of another kind, an error code, than before it is news. */
export function createFaultTally(clock: Pick<Clock, 'monotonic'>): FaultTally {
  const lasting = new Map<string, Lasting>()
  return (subject, kind) => {
    const now = clock.monotonic()
    const known = lasting.get(subject)
    if (known?.kind === kind && elapsed(now, known.toldAt) < AGAIN) {
      known.since++
      return undefined
    }
    if (!known && lasting.size >= MOST) lasting.clear()
    lasting.set(subject, { kind, toldAt: now, since: 0 })
    return known?.kind === kind ? known.since : 0
  }
}

/** @param subject what is at fault, where one message may be about several, or several are about one. */
export type FaultLog = (thrown: unknown, message: string, fields?: LogFields, subject?: string) => void

/** For faults outside of requests: `error` when it is to be mended, `warn` when it passes, then a count. Every single one is `debug`. */
export function createFaultLog({
  clock,
  logger,
}: {
  readonly clock: Pick<Clock, 'monotonic'>
  readonly logger: Pick<Logger, 'debug' | 'warn' | 'error'>
}): FaultLog {
  const tally = createFaultTally(clock)
  return (thrown, message, fields, subject = message) => {
    const fault = faultFields(thrown)
    const repeated = tally(`${subject} ${fault.error}`, fault.error)
    const all = { ...fields, ...fault, ...(repeated && { repeated }) }
    if (repeated === undefined) logger.debug(all, message)
    else if (ERRORS[fault.error].waiting === 'helps') logger.warn(all, message)
    else logger.error(all, message)
  }
}
