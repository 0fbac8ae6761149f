import { expect, test } from 'vitest'
import type { LogFields } from '../../../src/lib/log-fields.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { createLink } from '../../../src/store/shared/link.ts'
import { manualClock } from '../../support/clock.ts'

test('a server that is away is one line, then how often it was tried every ten minutes, then that it is back', async () => {
  const clock = manualClock()
  const lines: string[] = []
  const say = ({ repeated }: LogFields, message: string): void =>
    void lines.push(repeated === undefined ? message : `${message} ${repeated}`)
  let isAway = true
  let lose: (reason: string) => void = () => {}
  const ended = new Promise<string>((resolve) => (lose = resolve))
  const link = createLink({
    connect: async () => {
      if (isAway) throw new Error('connect ECONNREFUSED')
      return { name: 'db', connection: undefined, ended, close: () => {} }
    },
    clock,
    logger: { ...silentLogger, error: say, info: say },
    product: 'Redis',
    purpose: 'calls',
  })
  await clock.advanceAsync(599_000)
  expect(lines).toEqual(['store: no connection to Redis'])
  await clock.advanceAsync(2000)
  expect(lines.splice(0)[1]).toMatch(/^store: no connection to Redis \d{4}$/)
  isAway = false
  await clock.advanceAsync(2000)
  expect(lines.splice(0)).toEqual(['store: connected to Redis'])
  // Another outage is told at once.
  isAway = true
  lose('it went away')
  await clock.advanceAsync(2000)
  expect(lines).toEqual(['store: no connection to Redis', 'store: no connection to Redis'])
  link.close()
})

test('what keeps it away is told, not only what it was lost by: each reason once in an outage', async () => {
  const clock = manualClock()
  const told: unknown[] = []
  const reasons = ['connect ECONNREFUSED', 'WRONGPASS invalid password']
  let lose: (reason: string) => void = () => {}
  const ended = new Promise<string>((resolve) => (lose = resolve))
  let attempts = 0
  const link = createLink({
    connect: async () => {
      if (attempts++ > 0) throw new Error(reasons[attempts % 2])
      return { name: 'db', connection: undefined, ended, close: () => {} }
    },
    clock,
    logger: { ...silentLogger, error: ({ error_message }) => void told.push(error_message) },
    product: 'Redis',
    purpose: 'calls',
  })
  await clock.advanceAsync(5000)
  lose('Socket closed unexpectedly')
  await clock.advanceAsync(60_000)
  // By whoever has just heard of it: there is no connection to be dropped.
  link.drop('store: no connection to Redis: Socket closed unexpectedly')
  expect(attempts).toBeGreaterThan(100)
  expect(told).toEqual(['Socket closed unexpectedly', ...reasons])
  expect(reasons).toContain(link.trouble()?.reason)
  link.close()
})
