import { expect, test } from 'vitest'
import type { AppError } from '../../../src/errors.ts'
import { createDeadlines } from '../../../src/lib/deadlines.ts'
import { BodyPatience } from '../../../src/server/body-patience.ts'
import { manualClock } from '../../support/clock.ts'

function waiting() {
  const clock = manualClock()
  const late: AppError[] = []
  const idle = { span: 30_000, key: 'client_body_timeout' }
  const patience = new BodyPatience({ idle, minRate: 100, deadlines: createDeadlines(clock), clock }, (error) =>
    late.push(error),
  )
  patience.wait()
  return { clock, late, patience }
}

test('what a client sends fast buys it no more than the idle limit: one that drips afterwards is ended', () => {
  const { clock, late, patience } = waiting()
  patience.earn(1_000_000)
  for (let drips = 0; drips < 3; drips++) {
    expect(late).toEqual([])
    clock.advance(10_000)
    patience.earn(1)
  }
  clock.advance(10_000)
  patience.earn(1)
  expect(late).toMatchObject([
    { code: 'ERR_CLIENT_TIMEOUT', message: expect.stringContaining('client_body_min_rate (100 bytes a second)') },
  ])
})

test('one that keeps to the rate may send for ever', () => {
  const { clock, late, patience } = waiting()
  for (let pieces = 0; pieces < 1000; pieces++) {
    clock.advance(10_000)
    patience.earn(1000)
  }
  expect(late).toEqual([])
})
