/** Okta away for half an hour, and for longer, through the whole program: who is in stays in, for as long as groups may be old. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Browser } from '../support/browser.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { timePasses, whileTimePasses } from '../support/passing-time.ts'
import { createTestWorld, type World } from '../support/world.ts'

const ENGINEERING = 'http://engineering.localhost/'
const STRICT = 'http://strict.localhost/'
const EVERYONE = 'http://everyone.localhost/'
const JSON_ASK = { headers: { accept: 'application/json' } }
const MINUTE = 60_000

let clock: ManualClock
let world: World
let alice: Browser
let bob: Browser

beforeEach(async () => {
  clock = manualClock()
  world = await createTestWorld({
    clock,
    routes: [
      { name: 'engineering', from: ENGINEERING.slice(0, -1), allowed_groups: ['Engineering', 'Sales'] },
      { name: 'strict', from: STRICT.slice(0, -1), allowed_groups: ['Engineering'], max_directory_age: '10m' },
      { name: 'everyone', from: EVERYONE.slice(0, -1), allow_any_authenticated_user: true },
    ],
  })
  alice = await signedIn('alice@example.com')
  bob = await signedIn('bob@example.com')
  await alice.go(STRICT)
  await alice.go(EVERYONE)
  world.okta.clearCalls()
})
afterEach(() => world.close())

async function signedIn(login: string): Promise<Browser> {
  const browser = world.browser()
  await whileTimePasses(clock, world.signIn(browser, ENGINEERING, login))
  return browser
}

const statusOf = async (browser: Browser, url: string): Promise<number> => (await browser.ask(url, JSON_ASK)).status

/** Asks for each of them every half minute, one after the other, and gives each status that was answered until then. */
async function statusesFor(minutes: number, browsers: readonly Browser[], url: string): Promise<readonly number[]> {
  const until = clock.now() + minutes * MINUTE
  const seen = new Set<number>()
  await timePasses(
    clock,
    async () => {
      for (const browser of browsers) seen.add(await statusOf(browser, url))
      return clock.now() >= until
    },
    MINUTE / 2,
  )
  return [...seen]
}

test('Okta away for half an hour: nobody is signed out, known groups count, and it recovers without a restart', async () => {
  world.okta.fault({ path: '/', act: { kind: 'cut' } })
  world.okta.removeMember('Sales', 'bob@example.com')

  expect(await statusesFor(30, [alice, bob], ENGINEERING)).toEqual([200])
  expect(await statusOf(alice, EVERYONE)).toBe(200)

  world.okta.clearFaults()
  await timePasses(clock, async () => (await statusOf(bob, ENGINEERING)) !== 200)
  expect(await statusOf(bob, ENGINEERING)).toBe(403)
  expect(await statusOf(alice, ENGINEERING)).toBe(200)
})

test('the outage is over when the feed goes on, though nobody is read', async () => {
  world.okta.fault({ path: '/', act: { kind: 'cut' } })
  await statusesFor(3, [alice], ENGINEERING)
  const said = (msg: string): boolean => world.log().some((line) => line.msg === msg)
  expect(said('the group directory cannot be read: what is known stays')).toBe(true)

  // Nobody can be read yet.
  world.okta.clearFaults()
  world.okta.fault({ path: '/api/v1/users', act: { kind: 'cut' } })
  await timePasses(clock, async () => said('okta: changes are followed again'))
  expect(said('the group directory answers again')).toBe(true)
})

test('Okta away for longer than max_directory_age of a route: 503 with the reason there, and it recovers', async () => {
  expect(await statusOf(alice, STRICT)).toBe(200)
  world.okta.fault({ path: '/', act: { kind: 'cut' } })
  expect(await statusesFor(9, [alice], STRICT)).toEqual([200])
  expect(await statusesFor(3, [alice], STRICT)).toContain(503)

  const answer = await alice.ask(STRICT, JSON_ASK)
  expect(answer.status).toBe(503)
  expect(JSON.parse(answer.body)).toMatchObject({ error: 'unavailable', reason: 'groups-unknown' })
  expect(await statusOf(alice, ENGINEERING)).toBe(200)

  world.okta.clearFaults()
  await timePasses(clock, async () => (await statusOf(alice, STRICT)) === 200)
})

test('Okta away for longer than max_staleness: group rules answer 503 with the reason, sessions stay, and it recovers', async () => {
  world.okta.fault({ path: '/', act: { kind: 'cut' } })
  expect(await statusesFor(58, [alice], ENGINEERING)).toEqual([200])
  await timePasses(clock, async () => (await statusOf(alice, ENGINEERING)) !== 200, MINUTE / 2)

  const answer = await alice.ask(ENGINEERING, JSON_ASK)
  expect(answer.status).toBe(503)
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  expect(JSON.parse(answer.body)).toMatchObject({ error: 'unavailable', reason: 'groups-unknown' })
  expect(await statusOf(alice, EVERYONE)).toBe(200)
  expect(world.received.length).toBeGreaterThan(0)

  world.okta.clearFaults()
  await timePasses(clock, async () => (await statusOf(alice, ENGINEERING)) === 200)
  expect(world.log().filter(({ event }) => event === 'session-end')).toEqual([])
})
