import { epochMillis } from '../../lib/time.ts'
import { describe, invalid, isMap, unknownOperators } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'
import { DAY, localClock, MINUTE } from '../zone.ts'

const KEYS = ['timezone', 'after', 'before'] as const
const EXPECTED = 'expected an object such as {timezone: Europe/Berlin, after: "8:00", before: "18:00"}'
const EXPECTED_TIME = 'expected a time of day such as "17:30", "17:30:00" or "5:30 PM"'
export const EXPECTED_ZONE = 'expected an IANA time zone such as Europe/Berlin or UTC'

/**
 * The time of day in a place. `after` is the first moment, `before` the moment after the last one. When `after` is the
 * later of the two, the time between them passes midnight.
 */
export const timeOfDay: CriterionRow = {
  needs: 'nothing',
  ok: 'time-of-day-ok',
  no: 'time-of-day-unauthorized',
  compile(data) {
    if (!isMap(data)) return invalid(EXPECTED)
    const unknown = unknownOperators(data, KEYS)
    if (unknown) return unknown
    const { timezone, after, before } = data
    if (typeof timezone !== 'string')
      return invalid(timezone === undefined ? EXPECTED : EXPECTED_ZONE, ...at(data, 'timezone'))
    const clock = localClock(timezone)
    if (!clock) return invalid(EXPECTED_ZONE, 'timezone')
    if (after === undefined && before === undefined) return invalid(EXPECTED)
    const from = after === undefined ? 0 : parseTime(after)
    if (from === undefined) return invalid(EXPECTED_TIME, 'after')
    const to = before === undefined ? DAY : parseTime(before)
    if (to === undefined) return invalid(EXPECTED_TIME, 'before')
    if (from === to) return invalid('expected another time than that of `after`', 'before')
    const passesMidnight = from > to
    return {
      kind: 'ok',
      test({ now }) {
        const time = timeOf(clock(epochMillis(now)))
        return passesMidnight ? time >= from || time < to : time >= from && time < to
      },
      describe: describe(Object.entries(data)),
    }
  },
}

function at(data: Readonly<Record<string, unknown>>, key: string): readonly string[] {
  return Object.hasOwn(data, key) ? [key] : []
}

/** Also before 1970. */
function timeOf(local: number): number {
  return ((local % DAY) + DAY) % DAY
}

/** Since midnight: `17:30`, `17:30:15.5`, `5 PM`, `5:30PM`. */
function parseTime(text: unknown): number | undefined {
  if (typeof text !== 'string') return undefined
  const [, hour, minute = '0', second = '0', half] =
    /^(\d{1,2})(?::(\d\d)(?::(\d\d(?:\.\d{1,9})?))?)?\s*([AaPp][Mm])?$/.exec(text.trim()) ?? []
  if (hour === undefined || (half === undefined && !text.includes(':'))) return undefined
  const hours = half === undefined ? Number(hour) : (Number(hour) % 12) + (half.toLowerCase() === 'pm' ? 12 : 0)
  const fits = half === undefined ? hours < 24 : Number(hour) >= 1 && Number(hour) <= 12
  if (!fits || Number(minute) > 59 || Number(second) >= 60) return undefined
  return hours * 60 * MINUTE + Number(minute) * MINUTE + Number(second) * 1000
}
