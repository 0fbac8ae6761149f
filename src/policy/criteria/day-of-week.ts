import { epochMillis } from '../../lib/time.ts'
import { describe, invalid, isMap, unknownOperators } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'
import { DAY, localClock } from '../zone.ts'
import { EXPECTED_ZONE } from './time-of-day.ts'

const DAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const
const EXPECTED = 'expected days such as mon-fri or sat,sun, or {is: mon-fri, timezone: Europe/Berlin}'
/** 1 January 1970. */
const THURSDAY = 4

/** The day of the week in a place, UTC unless said: `mon-fri`, `sat,sun`, `*`; `fri-mon` passes the end of the week. */
export const dayOfWeek: CriterionRow = {
  needs: 'nothing',
  ok: 'day-of-week-ok',
  no: 'day-of-week-unauthorized',
  compile(data) {
    const written = isMap(data) ? data : { is: data }
    const unknown = unknownOperators(written, ['is', 'timezone'])
    if (unknown) return unknown
    const { is, timezone = 'UTC' } = written
    const days = typeof is === 'string' ? parseDays(is) : undefined
    if (!days) return invalid(EXPECTED, ...(isMap(data) && is !== undefined ? ['is'] : []))
    const clock = typeof timezone === 'string' ? localClock(timezone) : undefined
    if (!clock) return invalid(EXPECTED_ZONE, 'timezone')
    return {
      kind: 'ok',
      test({ now }) {
        const day = Math.floor(clock(epochMillis(now)) / DAY) + THURSDAY
        return days.has(((day % 7) + 7) % 7)
      },
      describe: describe(Object.entries(written)),
    }
  },
}

function parseDays(text: string): ReadonlySet<number> | undefined {
  if (text.trim() === '*') return new Set(DAYS.keys())
  const days = new Set<number>()
  for (const part of text.split(',')) {
    const [first, last, ...more] = part.split('-').map(parseDay)
    if (first === undefined || more.length > 0 || (last === undefined && part.includes('-'))) return undefined
    const end = last ?? first
    for (let day = first; ; day = (day + 1) % 7) {
      days.add(day)
      if (day === end) break
    }
  }
  return days
}

function parseDay(text: string): number | undefined {
  const word = text.trim().toLowerCase()
  const index = DAYS.findIndex((day) => day === word || day.slice(0, 3) === word)
  return index === -1 ? undefined : index
}
