import type { Span } from '../types.ts'

export const MINUTE: Span = 60_000
export const DAY: Span = 24 * 60 * MINUTE

/** What clocks in a place show at an instant (milliseconds since the epoch): as much since the epoch as if the place kept UTC. */
export type LocalClock = (epoch: number) => number

const known = new Map<string, LocalClock>()

/** A place by its IANA name, `Europe/Berlin`; undefined: there is no such zone. */
export function localClock(name: string): LocalClock | undefined {
  const key = name.toLowerCase()
  let clock = known.get(key)
  // Without a letter first it would be an offset, which some versions of Node take and some do not.
  if (!clock && /^[a-z]/.test(key)) {
    clock = createLocalClock(name)
    if (clock) known.set(key, clock)
  }
  return clock
}

/** The instant (milliseconds since the epoch) at which clocks show `local`; the later one when they are put back. */
export function instantOf(local: number, clock: LocalClock): number {
  // The offset of a nearby instant first, then that of the instant it leads to.
  const guess = local - (clock(local) - local)
  return local - (clock(guess) - guess)
}

/** Offsets change on the minute, so that each is worked out once a minute and not for each request. */
function createLocalClock(name: string): LocalClock | undefined {
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' })
  } catch {
    return undefined
  }
  let minute = Number.NaN
  let offset = 0
  return (epoch) => {
    const asked = Math.floor(epoch / MINUTE)
    if (asked !== minute) {
      offset = readOffset(format.format(asked * MINUTE))
      minute = asked
    }
    return epoch + offset
  }
}

/** `1/31/2026, GMT+05:30`, or `GMT` alone. */
function readOffset(text: string): number {
  const [, sign, hours = 0, minutes = 0, seconds = 0] = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text) ?? []
  const size = Number(hours) * 60 * MINUTE + Number(minutes) * MINUTE + Number(seconds) * 1000
  return sign === '-' ? -size : size
}
