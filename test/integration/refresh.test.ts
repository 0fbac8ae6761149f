/** Tokens of the provider that end while people work: two processes on one store, the emulator as the provider. */
import { get, type RequestListener } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { Browser } from '../support/browser.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { timePasses, whileTimePasses } from '../support/passing-time.ts'
import { createTestWorld, type World } from '../support/world.ts'

const ENGINEERING = 'http://engineering.localhost/'
const EVERYONE = 'http://everyone.localhost/'
const TOKEN = '/oauth2/v1/token'
const MINUTE = 60_000
const JSON_ASK = { headers: { accept: 'application/json' } }

let clock: ManualClock
let world: World
afterEach(() => world.close())

async function start(config: Readonly<Record<string, unknown>> = {}, upstream?: RequestListener): Promise<Browser> {
  clock = manualClock()
  // Groups come from claims: what a refresh brings counts.
  world = await createTestWorld({
    clock,
    config: { idp_service_account: undefined, ...config },
    ...(upstream && { upstream }),
  })
  const alice = world.browser()
  expect((await whileTimePasses(clock, world.signIn(alice, ENGINEERING, 'alice@example.com'))).status).toBe(200)
  expect((await alice.go(EVERYONE)).status).toBe(200)
  world.okta.clearCalls()
  return alice
}

const status = async (browser: Browser, url = ENGINEERING): Promise<number> => (await browser.ask(url, JSON_ASK)).status
/** With the clock running, so that whatever is waited for comes. */
const eventually = (browser: Browser, url?: string) => whileTimePasses(clock, status(browser, url))
/** A provider that was away is asked again with GET, whether it is back: no refresh. */
const isQuestion = ({ path, method }: { readonly path: string; readonly method: string }) =>
  path === TOKEN && method === 'GET'
const callsTo = (path: string) => world.okta.calls().filter((call) => call.path === path && !isQuestion(call))
const events = () =>
  world.log().flatMap(({ event, reason }) => (String(event).startsWith('session') ? [[event, reason]] : []))

describe('a token that has ended', () => {
  test('is refreshed once by 50 requests to two processes, though the provider takes six seconds and rotates', async () => {
    const alice = await start()
    world.okta.updateApp(DEMO.clientId, { refreshToken: { rotation: 'ROTATE', leeway: 0 } })
    const there = await world.another()
    const elsewhere = there.browser()
    const cookie = `postern=${alice.cookies.get('engineering.localhost')?.get('postern')}`
    const askElsewhere = async () =>
      (await elsewhere.ask(ENGINEERING, { headers: { ...JSON_ASK.headers, cookie } })).status
    for (const _ of [1, 2, 3]) {
      clock.advance(61 * MINUTE)
      world.okta.clearCalls()
      world.okta.fault({ path: TOKEN, act: { kind: 'slow', by: 6000 }, times: 5 })
      const asked = Array.from({ length: 50 }, (_unused, i) => (i % 2 ? status(alice) : askElsewhere()))
      expect(new Set(await whileTimePasses(clock, Promise.all(asked)))).toEqual(new Set([200]))
      expect(callsTo(TOKEN).map((call) => call.status)).toEqual([200])
      world.okta.clearFaults()
    }
    expect(events()).toEqual([['session-begin', undefined]])
  })

  test('is not waited for while it is good: the refresh runs beside the requests', async () => {
    const alice = await start()
    clock.advance(54 * MINUTE)
    expect(await status(alice)).toBe(200)
    expect(callsTo(TOKEN)).toEqual([])
    clock.advance(2 * MINUTE)
    world.okta.fault({ path: TOKEN, act: { kind: 'slow', by: 6000 } })
    // No time passes here: the provider cannot have answered.
    expect(await status(alice)).toBe(200)
    await timePasses(clock, async () => callsTo('/oauth2/v1/userinfo').length > 0)
    world.okta.clearFaults()
    clock.advance(30 * MINUTE)
    expect(await status(alice)).toBe(200)
    expect(callsTo(TOKEN)).toHaveLength(1)
  })

  test('that the provider takes no more ends the session, with its reason in the log', async () => {
    const alice = await start()
    world.okta.endSessions('alice@example.com', true)
    clock.advance(61 * MINUTE)
    expect(await eventually(alice)).toBe(401)
    expect(events()).toEqual([
      ['session-begin', undefined],
      ['session-end', 'refresh-refused'],
    ])
    expect(callsTo(TOKEN).map((call) => call.status)).toEqual([400])
    expect(await eventually(alice)).toBe(401)
    expect(callsTo(TOKEN)).toHaveLength(1)
  })

  test.each([
    [
      '429 in the words of invalid_grant',
      {
        kind: 'status',
        status: 429,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ error: 'invalid_grant', error_description: 'API call exceeded rate limit' }),
      },
    ],
    ['503', { kind: 'status', status: 503 }],
    ['a gateway’s page', { kind: 'html' }],
  ] as const)(
    'goes on with %s, is asked for later and later, and refreshed when the provider is back',
    async (_, act) => {
      const alice = await start()
      clock.advance(59 * MINUTE)
      world.okta.fault({ path: TOKEN, act })
      clock.advance(2 * MINUTE)
      for (let i = 0; i < 30; i++) {
        expect(await eventually(alice, EVERYONE)).toBe(200)
        await clock.advanceAsync(10_000)
      }
      // Not with GET: whether the provider answers again is asked apart from any session.
      const refreshes = callsTo(TOKEN).filter(({ method }) => method === 'POST')
      expect(refreshes.length).toBeGreaterThan(3)
      expect(refreshes.length).toBeLessThan(9)
      // Groups that were told too long ago are unknown, which is not "no".
      expect(await eventually(alice)).toBe(503)
      world.okta.clearFaults()
      await timePasses(clock, async () => (await status(alice)) === 200, 10_000)
      expect(events()).toEqual([['session-begin', undefined]])
      expect(world.log().find(({ level, msg }) => level === 'warn' && String(msg).includes('refreshed'))).toMatchObject(
        {
          provider: 'default',
        },
      )
    },
  )
})

describe('groups from claims', () => {
  test('are as old as the last refresh, so that the session lives until cookie_expire', async () => {
    const alice = await start({ cookie_expire: '10h' })
    for (let hour = 1; hour < 10; hour++) {
      clock.advance(60 * MINUTE)
      expect(await eventually(alice)).toBe(200)
    }
    clock.advance(60 * MINUTE)
    expect(await eventually(alice)).toBe(401)
    expect(callsTo(TOKEN).length).toBeGreaterThan(7)
  })

  test('are those of the refresh', async () => {
    const alice = await start()
    world.okta.removeMember('Engineering', 'alice@example.com')
    expect(await status(alice)).toBe(200)
    clock.advance(61 * MINUTE)
    expect(await eventually(alice)).toBe(403)
    world.okta.addMember('Engineering', 'alice@example.com')
    clock.advance(61 * MINUTE)
    expect(await eventually(alice)).toBe(200)
  })

  test('without a refresh token are those of the sign-in, and the session ends when they are too old', async () => {
    const alice = await start({ idp_scopes: ['openid', 'email', 'groups'] })
    clock.advance(59 * MINUTE)
    expect(await status(alice)).toBe(200)
    clock.advance(2 * MINUTE)
    expect(await status(alice)).toBe(401)
    expect(callsTo(TOKEN)).toEqual([])
  })
})

test('a session whose person signs in again, and gets no refresh token any more, ends when its groups are too old', async () => {
  const alice = await start()
  world.okta.updateApp(DEMO.clientId, { grantTypes: ['authorization_code'] })
  const route = { from: 'http://engineering.localhost', to: world.upstreamUrl, allowed_groups: ['Engineering'] }
  world.reload({ routes: [{ ...route, max_session_age: '5m' }] })
  clock.advance(10 * MINUTE)
  expect((await whileTimePasses(clock, world.signIn(alice, ENGINEERING, 'alice@example.com'))).status).toBe(200)
  expect(events()).toEqual([
    ['session-begin', undefined],
    ['session-renewed', undefined],
  ])
  world.reload({ routes: [route] })
  clock.advance(59 * MINUTE)
  expect(await status(alice)).toBe(200)
  clock.advance(2 * MINUTE)
  // 503 would go on for as long as the session.
  expect(await status(alice)).toBe(401)
})

test('a session with nothing but an open stream is refreshed, and the stream judged by what the refresh says', async () => {
  const alice = await start({}, (req, res) => {
    if (req.url === '/events') res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
    else res.end('ok')
  })
  const cookie = `postern=${alice.cookies.get('engineering.localhost')?.get('postern')}`
  const closed = { engineering: false }
  const headers = { host: 'engineering.localhost', cookie, accept: 'text/event-stream' }
  const stream = get({ port: world.port, path: '/events', headers }, (res) => {
    res.on('error', () => {}).on('close', () => (closed.engineering = true))
    res.resume()
  }).on('error', () => {})
  await expect.poll(() => world.received.some(({ url }) => url === '/events'), { timeout: 20_000 }).toBe(true)
  for (let hour = 0; hour < 3; hour++) {
    await clock.advanceAsync(56 * MINUTE)
    await timePasses(clock, () => callsTo(TOKEN).length > hour, 30_000)
  }
  expect(closed.engineering).toBe(false)
  world.okta.removeMember('Engineering', 'alice@example.com')
  await clock.advanceAsync(56 * MINUTE)
  await timePasses(clock, () => closed.engineering, 10_000)
  stream.destroy()
})

describe('a refresh token', () => {
  test('is revoked at the provider when its session ends', async () => {
    const alice = await start()
    const page = await alice.ask(`${ENGINEERING}.postern/sign_out`)
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
    await alice.ask(`${ENGINEERING}.postern/sign_out`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `csrf=${csrf}`,
    })
    await expect.poll(() => callsTo('/oauth2/v1/revoke').map((call) => call.status), { timeout: 20_000 }).toEqual([200])
  })
})
