/** What is let in by a token ends with it, and what was read by old keys does not outlive them. */
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { epochMillis } from '../../src/lib/time.ts'
import { manualClock } from '../support/clock.ts'
import { createGauntlet, type Gauntlet } from '../support/gauntlet.ts'
import { createIssuerServer, type IssuerServer } from '../support/token-issuer.ts'

const AUDIENCE = 'https://app.corp.example'
const clock = manualClock(Date.now())
const now = (): number => Math.floor(epochMillis(clock.now()) / 1000)
let gauntlet: Gauntlet
let issuer: IssuerServer
beforeAll(async () => {
  issuer = await createIssuerServer({ now })
  gauntlet = await createGauntlet({
    clock,
    config: { token_issuers: { ci: { issuer: issuer.url, audience: AUDIENCE } } },
    moreRoutes: [{ prefix: '/jobs', bearer_token_format: 'jwt', allow_any_authenticated_user: true }],
  })
})
afterAll(async () => {
  await gauntlet.close()
  await issuer.close()
})

const job = (claims: object = {}) => issuer.sign({ sub: 'job', aud: AUDIENCE, ...claims })

/** A WebSocket that stays open until the server ends it. */
async function openSocket(token: string): Promise<{ readonly socket: Socket; readonly closed: () => boolean }> {
  const socket = connect(gauntlet.world.port, '127.0.0.1')
  let closed = false
  socket.on('error', () => {})
  socket.on('close', () => (closed = true))
  socket.write(
    `GET /jobs HTTP/1.1\r\nHost: app.localhost\r\nAuthorization: Bearer ${token}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  )
  const answer = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString('latin1'))))
  expect(answer).toMatch(/^HTTP\/1\.1 101 /)
  return { socket, closed: () => closed }
}

test('a WebSocket that a token opened ends with the token', async () => {
  const { closed } = await openSocket(await job({ exp: now() + 120 }))
  clock.advance(60_000)
  await gauntlet.skip()
  expect(closed()).toBe(false)
  // What a request of this minute is let in with ends nothing either: two clocks may be so far apart.
  clock.advance(61_000)
  const late = await openSocket(await job({ exp: now() - 30 }))
  clock.advance(2000)
  await gauntlet.skip()
  expect([closed(), late.closed()]).toEqual([false, false])
  clock.advance(60_000)
  for (const each of [closed, late.closed]) await expect.poll(each, { timeout: 60_000 }).toBe(true)
})

test('a session that ends while a token beside it is looked at lets nobody in', async () => {
  const { world } = gauntlet
  const browser = world.browser()
  await world.signIn(browser, 'http://app.localhost/user', 'alice@example.com')
  const cookie = `postern=${browser.cookies.get('app.localhost')?.get('postern')}`
  await gauntlet.skip()
  clock.advance(11_000)
  const reached = issuer.hold()
  const answer = gauntlet.get('/jobs', `Cookie: ${cookie}`, `Authorization: Bearer ${await job()}`.slice(0, -8))
  const letGo = await reached
  const page = await browser.ask('http://app.localhost/.postern/sign_out')
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
  await browser.ask('http://app.localhost/.postern/sign_out', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: `csrf=${csrf}`,
  })
  letGo()
  expect((await answer).statuses).toEqual([401])
})

test('a new key signs at once, and an old one for no longer than it is published and remembered', async () => {
  const old = await job({ exp: now() + 3600 })
  expect((await gauntlet.get('/jobs', `Authorization: Bearer ${old}`)).statuses).toEqual([200])
  clock.advance(11_000)
  await issuer.rotate()
  const fresh = await job()
  expect((await gauntlet.get('/jobs', `Authorization: Bearer ${fresh}`)).statuses).toEqual([200])
  // Remembered for a minute.
  clock.advance(61_000)
  expect((await gauntlet.get('/jobs', `Authorization: Bearer ${old}`)).statuses).toEqual([401])
})
