/** `session_idle_timeout`: what counts as use, on all processes, and what happens when it is over. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { get } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import type { Browser } from '../support/browser.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { timePasses } from '../support/passing-time.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://everyone.localhost/'
const MINUTE = 60_000

let clock: ManualClock
let world: World
afterEach(() => world.close())

async function start(config: Readonly<Record<string, unknown>> = {}): Promise<Browser> {
  clock = manualClock()
  world = await createTestWorld({
    clock,
    config: { session_idle_timeout: '20m', ...config },
    upstream(req: IncomingMessage, res: ServerResponse) {
      if (req.url === '/events') {
        res.writeHead(200, { 'content-type': 'text/event-stream' })
        res.write('data: hello\n\n')
      } else res.end('application')
    },
  })
  const browser = world.browser()
  expect((await world.signIn(browser, APP, 'alice@example.com')).status).toBe(200)
  return browser
}

const poll = async (browser: Browser) =>
  (await browser.ask(`${APP}poll`, { headers: { accept: 'application/json', 'sec-fetch-mode': 'cors' } })).status
const open = async (browser: Browser) =>
  (await browser.ask(APP, { headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate' } })).status
const send = async (browser: Browser) =>
  (await browser.ask(APP, { method: 'POST', body: '{}', headers: { accept: 'application/json' } })).status
/** Lets time pass at once, and what it began come to rest. */
async function after(span: number): Promise<void> {
  clock.advance(span)
  await clock.advanceAsync(200)
}
const ends = () => world.log().filter(({ event }) => event === 'session-end')

test('a session that is used goes on, by pages and by what is sent; one that only polls ends', async () => {
  const browser = await start()
  for (const use of [open, send, open, send, open]) {
    await after(15 * MINUTE)
    expect(await use(browser)).toBe(200)
    // The note is written beside the request.
    await after(1)
  }
  for (let minute = 0; minute < 18; minute++) {
    expect(await poll(browser)).toBe(200)
    await after(MINUTE)
  }
  await after(3 * MINUTE)
  expect(await poll(browser)).toBe(401)
  await timePasses(clock, () => ends().length > 0)
  expect(ends()).toMatchObject([{ reason: 'idle', user_id: expect.any(String) as string }])
  await timePasses(clock, async () => world.okta.calls().some(({ path }) => path === '/oauth2/v1/revoke'))
})

test('use never moves the end that cookie_expire sets, and the log tells the two apart', async () => {
  const browser = await start({ cookie_expire: '1h' })
  for (let i = 0; i < 5; i++) {
    await after(10 * MINUTE)
    expect(await open(browser)).toBe(200)
  }
  await after(11 * MINUTE)
  expect(await poll(browser)).toBe(401)
  await timePasses(clock, () => ends().length > 0)
  expect(ends()).toMatchObject([{ reason: 'expired' }])
})

test('use of one process counts at another', async () => {
  const browser = await start()
  const there = await world.another()
  const elsewhere = there.browser()
  const cookie = `postern=${browser.cookies.get('everyone.localhost')?.get('postern')}`
  for (let i = 0; i < 4; i++) {
    await after(15 * MINUTE)
    const answer = await elsewhere.ask(APP, { headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate', cookie } })
    expect(answer.status).toBe(200)
    await after(1000)
  }
  expect(await poll(browser)).toBe(200)
})

test('a stream that is under way is no use, and ends with the session', async () => {
  const browser = await start()
  const cookie = `postern=${browser.cookies.get('everyone.localhost')?.get('postern')}`
  const headers = { host: 'everyone.localhost', cookie, accept: 'text/event-stream' }
  let ended = false
  const stream = get({ port: world.port, path: '/events', headers }, (res) => {
    expect(res.statusCode).toBe(200)
    res.on('error', () => {})
    res.on('close', () => (ended = true))
    res.resume()
  })
  stream.on('error', () => (ended = true))
  await after(19 * MINUTE)
  await expect.poll(() => world.received.length, { timeout: 20_000 }).toBeGreaterThan(1)
  expect(ended).toBe(false)
  await timePasses(clock, () => ended, 5000)
  expect(await poll(browser)).toBe(401)
})
