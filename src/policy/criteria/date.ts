import { epochMillis } from '../../lib/time.ts'
import { describe, invalid, isMap, unknownOperators } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'
import { instantOf, type LocalClock, localClock } from '../zone.ts'
import { EXPECTED_ZONE } from './time-of-day.ts'

const EXPECTED = 'expected an object such as {after: 2026-01-01, before: 2026-07-01, timezone: Europe/Berlin}'
const EXPECTED_DATE = 'expected a date such as 2026-01-31, 2026-01-31T16:20:00 or 2026-01-31T16:20:00Z'

/** The instant of the request. A date without an offset is one in `timezone`, UTC unless said; `after` counts, `before` does not. */
export const date: CriterionRow = {
  needs: 'nothing',
  ok: 'date-ok',
  no: 'date-unauthorized',
  compile(data) {
    if (!isMap(data)) return invalid(EXPECTED)
    const unknown = unknownOperators(data, ['after', 'before', 'timezone'])
    if (unknown) return unknown
    const { after, before, timezone = 'UTC' } = data
    if (after === undefined && before === undefined) return invalid(EXPECTED)
    const clock = typeof timezone === 'string' ? localClock(timezone) : undefined
    if (!clock) return invalid(EXPECTED_ZONE, 'timezone')
    const from = after === undefined ? Number.NEGATIVE_INFINITY : parseInstant(after, clock)
    if (from === undefined) return invalid(EXPECTED_DATE, 'after')
    const to = before === undefined ? Number.POSITIVE_INFINITY : parseInstant(before, clock)
    if (to === undefined) return invalid(EXPECTED_DATE, 'before')
    if (from >= to) return invalid('expected a date later than that of `after`', 'before')
    return {
      kind: 'ok',
      test({ now }) {
        const instant = epochMillis(now)
        return instant >= from && instant < to
      },
      describe: describe(Object.entries(data)),
    }
  },
}

/** ISO 8601 as milliseconds since the epoch. */
function parseInstant(text: unknown, clock: LocalClock): number | undefined {
  if (typeof text !== 'string') return undefined
  const [, day, time = '00:00', seconds = ':00', offset] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/.exec(text.trim()) ?? []
  if (day === undefined) return undefined
  const local = Date.parse(`${day}T${time}${seconds}Z`)
  // 30 February is another day to Date.
  if (Number.isNaN(local) || !new Date(local).toISOString().startsWith(day)) return undefined
  if (offset === undefined) return instantOf(local, clock)
  const [, sign, hours = '', minutes = ''] = /^([+-])(\d\d):?(\d\d)$/.exec(offset) ?? []
  const shift = (Number(hours) * 60 + Number(minutes)) * 60_000
  return sign === undefined ? local : sign === '-' ? local + shift : local - shift
}
