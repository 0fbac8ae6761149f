import { expect, test } from 'vitest'
import { describeDuration } from '../../../src/lib/duration.ts'

const [SECOND, MINUTE, HOUR, DAY] = [1000, 60_000, 3_600_000, 86_400_000]

test.each([
  [0, 'less than a second'],
  [900, 'less than a second'],
  [1400, '1 second'],
  [1.6 * SECOND, '2 seconds'],
  [59 * SECOND, '1 minute'],
  [MINUTE, '1 minute'],
  [80 * SECOND, '80 seconds'],
  [90 * MINUTE, '90 minutes'],
  [14 * HOUR - 1, '14 hours'],
  [14 * HOUR - 40 * MINUTE, '13 hours'],
  [1.5 * DAY, '36 hours'],
  [30 * DAY - 1, '30 days'],
])('%d ms are %s', (milliseconds, words) => {
  expect(describeDuration(milliseconds)).toBe(words)
})
