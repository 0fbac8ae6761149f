import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { instantOf, localClock } from '../../../src/policy/zone.ts'

const zones = fc.constantFrom(
  'UTC',
  'Europe/Berlin',
  'America/St_Johns',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Apia',
)
const instants = fc.integer({ min: Date.UTC(1990, 0), max: Date.UTC(2040, 0) })

test('a local clock shows what Intl shows', () => {
  fc.assert(
    fc.property(zones, instants, (timeZone, epoch) => {
      const shown = new Date(localClock(timeZone)?.(epoch) ?? Number.NaN).toISOString().slice(0, 19)
      const expected = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' }).format(
        epoch,
      )
      expect(shown.replace('T', ' ')).toBe(expected)
    }),
  )
})

test('an instant is found again by what the clock shows, but for the hour that is there twice', () => {
  fc.assert(
    fc.property(zones, instants, (timeZone, epoch) => {
      const clock = localClock(timeZone)
      if (!clock) throw new Error('a zone')
      const local = clock(epoch)
      const found = instantOf(local, clock)
      expect(clock(found)).toBe(local)
    }),
  )
})

test.each(['', 'Berlin', '+02:00', 'Europe/Nowhere', '__proto__'])('%j is no zone', (name) => {
  expect(localClock(name)).toBeUndefined()
})
