/** Rules about time on the running program: requests, and what is open when the time comes. */
import { get, type IncomingMessage } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { manualClock } from '../support/clock.ts'
import { createTestWorld, type World } from '../support/world.ts'

const clock = manualClock(Date.UTC(2026, 10, 20, 11, 58, 10))
let world: World
beforeAll(async () => {
  world = await createTestWorld({
    clock,
    routes: [
      {
        from: 'http://office.localhost',
        policy: {
          allow: { and: [{ time_of_day: { timezone: 'Europe/Berlin', before: '13:00' } }, { day_of_week: 'fri' }] },
        },
      },
    ],
    upstream: (_, res) => void res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n'),
  })
})
afterAll(() => world.close())

function ask(): Promise<IncomingMessage> {
  return new Promise((resolve, reject) =>
    get({ port: world.port, headers: { host: 'office.localhost' }, agent: false }, resolve).on('error', reject),
  )
}

test('a request is judged by the time in the place that the rule names, and an open stream ends on the minute', async () => {
  const stream = await ask()
  expect(stream.statusCode).toBe(200)
  const ended = new Promise<string>((resolve) =>
    stream
      .once('error', () => resolve('cut'))
      .once('end', () => resolve('ended'))
      .resume(),
  )
  await clock.advanceAsync(109_999)
  const late = await ask()
  expect(late.statusCode).toBe(200)
  late.once('error', () => {}).resume()
  await clock.advanceAsync(1)
  expect(await ended).toBe('cut')
  await expect.poll(() => world.log().find(({ cut }) => cut !== undefined)).toMatchObject({ cut: 'no-longer-allowed' })
  const refused = await ask()
  expect(refused.statusCode).toBe(403)
  refused.resume()
})
