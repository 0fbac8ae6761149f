/**
 * What people and scripts see while a shared Redis is away, and after it came back as it was, older, or empty
 * (attack-cases.md M06). Never a way in, never a sign-out, never a loop of sign-ins.
 */
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Answer, Browser } from '../support/browser.ts'
import { type Partition, startPartition } from '../support/partition.ts'
import { askRedis, type Redis, startRedis } from '../support/redis.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://engineering.localhost/'
const PUBLIC = 'http://public.localhost/'
const GRACE_MS = 4000
const patient = { timeout: 30_000, interval: 50 }

let redis: Redis
let partition: Partition
let world: World
/** Of `world` by a way that can be cut; the other reaches Redis directly. */
let other: Awaited<ReturnType<World['another']>>
/** Her cookie on a laptop. */
let alice: string
beforeEach(async () => {
  redis = await startRedis()
  partition = await startPartition(redis.port)
  const storage = (port: number) => ({ storage: { type: 'redis', url: `redis://127.0.0.1:${port}` } })
  world = await createTestWorld({ config: { ...storage(partition.port), store_grace: `${GRACE_MS}ms` } })
  // Only for the next that is started: the storage of one that runs does not change.
  world.reload(storage(redis.port))
  other = await world.another()
  alice = await signedIn()
})
afterEach(async () => {
  redis.resume()
  partition.heal()
  await world.close()
  await partition.close()
  await redis.close()
})

/** Alice, in another browser. */
async function signedIn(): Promise<string> {
  const browser = world.browser()
  expect((await world.signIn(browser, APP, 'alice@example.com')).status).toBe(200)
  const cookie = cookieOf(browser)
  // A process whose store came back a moment ago may not follow its changes yet.
  await expect.poll(() => statuses(cookie), patient).toEqual([200, 200])
  // Seen twice at each, lately.
  for (let i = 0; i < 2; i++) expect(await statuses(cookie)).toEqual([200, 200])
  return cookie
}

const cookieOf = (browser: Browser): string =>
  [...(browser.cookies.get('engineering.localhost') ?? [])].map(([name, value]) => `${name}=${value}`).join('; ')

const asked = (at: { browser(): Browser }, cookie: string, more: Record<string, string> = {}): Promise<Answer> =>
  at.browser().ask(APP, { headers: { cookie, accept: 'application/json', ...more } })

const statuses = async (cookie: string): Promise<readonly number[]> => [
  (await asked(world, cookie)).status,
  (await asked(other, cookie)).status,
]

async function signOut(at: { browser(): Browser }, cookie: string): Promise<void> {
  const browser = at.browser()
  const page = await browser.ask(`${APP}.postern/sign_out`, { headers: { cookie, accept: 'text/html' } })
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
  await browser.ask(`${APP}.postern/sign_out`, {
    method: 'POST',
    headers: { cookie, 'content-type': 'application/x-www-form-urlencoded', origin: 'http://engineering.localhost' },
    body: new URLSearchParams({ csrf }).toString(),
  })
}

/** Asks until the answer is no longer 200; every answer before it was 200. Gives the last, and when it came. */
async function untilRefused(at: { browser(): Browser }, cookie: string): Promise<{ answer: Answer; after: number }> {
  const begun = performance.now()
  for (;;) {
    const answer = await asked(at, cookie)
    if (answer.status !== 200) return { answer, after: performance.now() - begun }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** 503, also to a browser: neither a way to a sign-in nor a cookie taken away. */
async function expectUnavailable(at: { browser(): Browser }, cookie: string): Promise<void> {
  // Each process counts its grace from when it heard the store last.
  await expect.poll(async () => (await asked(at, cookie)).status, patient).toBe(503)
  for (const more of [{}, { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }]) {
    const { status, headers } = await asked(at, cookie, more)
    expect([status, headers.location, headers['set-cookie']]).toEqual([503, undefined, undefined])
    expect(headers['retry-after']).toBeDefined()
  }
}

test('paused: who was here goes on for the grace, then 503; what is public is served; all comes back by itself', async () => {
  redis.pause()
  const { answer, after } = await untilRefused(world, alice)
  expect(answer.status).toBe(503)
  // Less half a second, because Redis was heard so long ago; and what a loaded machine takes.
  expect(after).toBeGreaterThan(GRACE_MS - 1500)
  await expectUnavailable(world, alice)
  await expectUnavailable(other, alice)
  expect((await world.browser().ask(PUBLIC)).status).toBe(200)
  // A sign-in says so as well, and goes nowhere.
  const begun = await world.browser().go(APP)
  expect([503, 200]).toContain(begun.status)
  expect(world.log().some(({ msg }) => String(msg).startsWith('store: no connection to Redis'))).toBe(true)
  redis.resume()
  await expect.poll(() => statuses(alice), patient).toEqual([200, 200])
})

test('without a way to Redis: who is signed out elsewhere is out here after the grace, and at once when the way is there again', async () => {
  const onPhone = await signedIn()
  partition.cut()
  await signOut(other, alice)
  await expect.poll(async () => (await asked(other, alice)).status, patient).toBe(401)
  const { answer } = await untilRefused(world, alice)
  expect(answer.status).toBe(503)
  partition.heal()
  await expect.poll(async () => (await asked(world, alice)).status, patient).toBe(401)
  await expect.poll(() => statuses(onPhone), patient).toEqual([200, 200])
})

test('stopped, and started empty: 503 meanwhile, then everybody signs in again, once', async () => {
  await redis.kill()
  await expect.poll(async () => (await asked(world, alice)).status, patient).toBe(503)
  await expectUnavailable(world, alice)
  await redis.start()
  await expect.poll(() => statuses(alice), patient).toEqual([401, 401])
  const again = await signedIn()
  expect(await statuses(again)).toEqual([200, 200])
})

test('started with an older state: who was signed out stays out everywhere, the others are in', async () => {
  const onPhone = await signedIn()
  await askRedis(redis.port, 'SAVE')
  await signOut(other, alice)
  await expect.poll(() => statuses(alice), patient).toEqual([401, 401])
  await redis.kill()
  await redis.start()
  for (let i = 0; i < 20; i++) {
    for (const status of await statuses(alice)) expect([401, 503]).toContain(status)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await expect.poll(() => statuses(onPhone), patient).toEqual([200, 200])
  expect(await statuses(alice)).toEqual([401, 401])
  // Neither does one that was not there know it.
  const third = await world.another()
  expect((await asked(third, alice)).status).toBe(401)
  expect((await asked(third, onPhone)).status).toBe(200)
})
