/** Two Posterns that share a Redis. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser } from '../support/browser.ts'
import { askRedis, type Redis, startRedis } from '../support/redis.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://engineering.localhost/'

let redis: Redis
let world: World
let other: Awaited<ReturnType<World['another']>>
beforeAll(async () => {
  redis = await startRedis()
  world = await createTestWorld({
    config: { storage: { type: 'redis', url: `redis://127.0.0.1:${redis.port}`, prefix: 'gate' } },
  })
  other = await world.another()
})
afterAll(async () => {
  await world.close()
  await redis.close()
})

/** The answer to a script that has the cookie of this browser. */
const statusAt = async (at: { browser(): Browser }, cookie: string): Promise<number> =>
  (await at.browser().ask(APP, { headers: { cookie, accept: 'application/json' } })).status

const cookieOf = (browser: Browser): string =>
  [...(browser.cookies.get('engineering.localhost') ?? [])].map(([name, value]) => `${name}=${value}`).join('; ')

test('who signs in at one is known to the other, and who signs out there is out at the first within a second', async () => {
  const browser = world.browser()
  expect((await world.signIn(browser, APP, 'alice@example.com')).status).toBe(200)
  const cookie = cookieOf(browser)
  for (let i = 0; i < 3; i++) expect([await statusAt(world, cookie), await statusAt(other, cookie)]).toEqual([200, 200])

  const there = other.browser()
  const page = await there.ask(`${APP}.postern/sign_out`, { headers: { cookie, accept: 'text/html' } })
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
  await there.ask(`${APP}.postern/sign_out`, {
    method: 'POST',
    headers: { cookie, 'content-type': 'application/x-www-form-urlencoded', origin: 'http://engineering.localhost' },
    body: new URLSearchParams({ csrf }).toString(),
  })
  await expect.poll(() => statusAt(other, cookie), { timeout: 1000, interval: 20 }).toBe(401)
  await expect.poll(() => statusAt(world, cookie), { timeout: 1000, interval: 20 }).toBe(401)
})

test('Redis holds nothing that says who is signed in, and every key is in one slot', async () => {
  const browser = world.browser()
  await world.signIn(browser, APP, 'alice@example.com')
  const keys = (await askRedis(redis.port, 'KEYS', '*')).split('\r\n').filter((line) => /^[^*$]/.test(line))
  expect(keys.length).toBeGreaterThan(5)
  for (const key of keys) expect(key).toMatch(/^\{gate\}(?:changes|x|[rtil]:)/)
  const values = await Promise.all(
    keys.filter((key) => key.startsWith('{gate}r:')).map((key) => askRedis(redis.port, 'GET', key)),
  )
  const all = [...values, await askRedis(redis.port, 'XRANGE', '{gate}changes', '-', '+'), ...keys].join('\n')
  expect(all).not.toMatch(/alice|example\.com|00u|localhost|Engineering/)
})
