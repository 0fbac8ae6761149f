/** Sign-ins at Okta, which offers pushed authorization requests (RFC 9126) and does not require them. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://app.localhost/'
const ALICE = 'alice@example.com'

let clock: ManualClock
let world: World
beforeEach(async () => {
  clock = manualClock()
  world = await createTestWorld({
    clock,
    // A busy machine may need longer than the default.
    config: { idp_timeout: '60s' },
    routes: [{ from: 'http://app.localhost', allow_any_authenticated_user: true }],
  })
})
afterEach(() => world.close())

/** Keys of the query with which a browser comes to Okta. */
async function carried(): Promise<readonly string[]> {
  const { url } = await world.browser().go(APP, ({ origin }) => origin === world.okta.url)
  return [...url.searchParams.keys()].toSorted()
}

const callsTo = (name: string): number => world.okta.calls().filter(({ path }) => path === `/oauth2/v1/${name}`).length

test('the browser carries a reference, and whoever signs in has a session that is refreshed', async () => {
  expect(await carried()).toEqual(['client_id', 'request_uri'])
  const browser = world.browser()
  expect((await world.signIn(browser, APP, ALICE)).status).toBe(200)
  expect([callsTo('par'), callsTo('token')]).toEqual([2, 1])
  clock.advance(59 * 60_000 + 30_000)
  expect((await browser.ask(APP)).status).toBe(200)
  await expect.poll(() => callsTo('token')).toBe(2)
  expect((await browser.ask(APP)).status).toBe(200)
})

test('where Okta is at its rate limit, somebody is signed in all the same', async () => {
  world.okta.fault({ path: '/oauth2/v1/par', act: { kind: 'status', status: 429 } })
  expect((await world.signIn(world.browser(), APP, ALICE)).status).toBe(200)
  expect(await carried()).toContain('code_challenge')
  expect(callsTo('par')).toBe(1)
})

test('a flood of anonymous sign-ins is no flood of calls to Okta', async () => {
  const kinds = await Promise.all(Array.from({ length: 60 }, carried))
  expect(kinds.filter((keys) => keys.includes('request_uri'))).toHaveLength(10)
  expect(callsTo('par')).toBe(10)
  expect((await world.signIn(world.browser(), APP, ALICE)).status).toBe(200)
})

test('where it is configured, a push that fails is an error page with a way to try again', async () => {
  await world.restart({ idp_pushed_requests: true })
  world.okta.fault({ path: '/oauth2/v1/par', times: 1, act: { kind: 'status', status: 503 } })
  const answer = await world.browser().go(APP)
  expect([answer.status, answer.url.origin]).toEqual([503, 'http://authenticate.localhost'])
  expect(answer.body).toContain(APP)
  expect((await world.signIn(world.browser(), APP, ALICE)).status).toBe(200)
})

test('off, it calls Okta for no sign-in that is only begun', async () => {
  await world.restart({ idp_pushed_requests: false })
  expect(await carried()).toContain('code_challenge')
  expect(callsTo('par')).toBe(0)
})
