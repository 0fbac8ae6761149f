/** One line for a fault: further failures of the same kind are counted, and reported from time to time. */
import { ERRORS, faultFields } from '../errors.ts'
import type { Clock, Logger, Monotonic, Span } from '../types.ts'
import type { LogFields } from './log-fields.ts'
import { elapsed } from './time.ts'

/** How often a lasting fault is reported again. */
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

/** @param subject what failed: a route. Another error code than before is reported at once. */
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

/** For faults outside of requests: `error` if somebody has to act, `warn` if it passes by itself, then a count. Each one is also logged as `debug`. */
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
