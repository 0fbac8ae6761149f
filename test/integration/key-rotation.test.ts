/** `shared_secret` and `signing_key` are replaced while people work, as docs/secrets.md says. */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { afterEach, expect, test } from 'vitest'
import { type ManualClock, manualClock } from '../support/clock.ts'
import type { Browser } from '../support/browser.ts'
import { signInWith } from '../support/okta-sign-in.ts'
import { whileTimePasses } from '../support/passing-time.ts'
import { startRedis } from '../support/redis.ts'
import { startTokenMaker } from '../support/service-tokens.ts'
import { createTestWorld, SHARED_SECRET as OLD, type World } from '../support/world.ts'

const APP = 'http://everyone.localhost/'
const ALICE = 'alice@example.com'
const MINUTE = 60_000
const NEW = createHash('sha256').update('the next secret').digest('base64')
const key = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

let world: World
let clock: ManualClock
afterEach(() => world.close())

async function createWorld(config: Readonly<Record<string, unknown>> = {}): Promise<void> {
  clock = manualClock()
  world = await createTestWorld({ clock, config: { idp_service_account: undefined, ...config } })
}

const soon = <T>(work: Promise<T>): Promise<T> => whileTimePasses(clock, work)
const ask = async (browser: Browser) => soon(browser.ask(APP, { headers: { accept: 'application/json' } }))

async function signedIn(): Promise<Browser> {
  const browser = world.browser()
  expect((await soon(world.signIn(browser, APP, ALICE))).status).toBe(200)
  return browser
}

/** What the application got, and the keys that it finds to verify it. */
async function assertion(browser: Browser): Promise<string> {
  const { headers } = JSON.parse((await ask(browser)).body) as { headers: Record<string, string> }
  return headers['x-postern-jwt-assertion'] ?? ''
}

async function keys(): Promise<JSONWebKeySet> {
  return JSON.parse((await soon(world.browser().ask(`${APP}.well-known/postern/jwks.json`))).body) as JSONWebKeySet
}

const verified = async (jwt: string) =>
  (await jwtVerify(jwt, createLocalJWKSet(await keys()), { currentDate: new Date(clock.now()) })).payload['email']

test('the shared secret: nobody signs in anew, and a replica that reads its file late is met by nothing of the new one', async () => {
  await createWorld({ idp_pushed_requests: false })
  const alice = await signedIn()
  const before = await assertion(alice)
  // A sign-in that waits for the person at the provider.
  const waiting = world.browser()
  const link = (await soon(waiting.ask(APP))).headers.location ?? ''
  const atProvider = new URL((await soon(waiting.ask(link))).headers.location ?? '')

  const late = await world.another()
  world.reload({ shared_secret: `${NEW}\n${OLD}` })
  expect(world.log().findLast(({ msg }) => msg === 'configuration reloaded')).toMatchObject({
    changed: ['shared_secret'],
  })
  const bob = await signedIn()
  const cookieOf = (browser: Browser): string =>
    [...(browser.cookies.get('everyone.localhost') ?? [])].map(([name, value]) => `${name}=${value}`).join('; ')
  const atLate = async (browser: Browser) =>
    (await soon(late.browser().ask(APP, { headers: { cookie: cookieOf(browser), accept: 'application/json' } }))).status
  expect([await atLate(alice), await atLate(bob)]).toEqual([200, 200])
  expect(await verified(before)).toBe(ALICE)

  await clock.advanceAsync(10 * MINUTE)
  await expect.poll(() => world.logText()).toContain('all that is kept is sealed with the first')
  const carol = await signedIn()
  expect([await atLate(alice), await atLate(bob), await atLate(carol)]).toEqual([200, 200, 401])
  expect([(await ask(alice)).status, (await ask(bob)).status]).toEqual([200, 200])
  await late.close()
  const callback = await soon(signInWith(world.okta.url, atProvider, ALICE))
  expect((await soon(waiting.go(callback))).status).toBe(200)
  const [old, current] = [decodeProtectedHeader(before).kid, decodeProtectedHeader(await assertion(alice)).kid]
  expect(current).not.toBe(old)
  expect(await verified(await assertion(alice))).toBe(ALICE)

  world.reload({ shared_secret: NEW })
  expect([(await ask(alice)).status, (await ask(carol)).status, (await ask(waiting)).status]).toEqual([401, 200, 200])
  expect((await keys()).keys.map(({ kid }) => kid)).toEqual([current])
  await world.restart()
  expect((await ask(carol)).status).toBe(200)
  expect(world.logText()).not.toContain(NEW)
})

test('a restart amid it: the old one seals on, and the new one ten minutes later', async () => {
  await createWorld()
  const alice = await signedIn()
  // Applications may have the keys of before in memory.
  const signs = async (browser: Browser) => decodeProtectedHeader(await assertion(browser)).kid
  const before = await signs(alice)
  await world.restart({ shared_secret: `${NEW}\n${OLD}` })
  const bob = await signedIn()
  expect(await signs(bob)).toBe(before)
  expect((await keys()).keys).toHaveLength(2)
  await clock.advanceAsync(10 * MINUTE)
  await expect.poll(() => world.logText()).toContain('all that is kept is sealed with the first')
  expect(await signs(bob)).not.toBe(before)
  const carol = await signedIn()
  world.reload({ shared_secret: NEW })
  expect([(await ask(alice)).status, (await ask(bob)).status, (await ask(carol)).status]).toEqual([401, 401, 200])
})

test('the signing key: applications verify what they get before, during and after', async () => {
  const [first, second, third] = [key(), key(), key()]
  await createWorld({ signing_key: first })
  const alice = await signedIn()
  const kid = async () => decodeProtectedHeader(await assertion(alice)).kid
  const old = await kid()
  // Published before it signs.
  world.reload({ signing_key: second + first })
  expect(await kid()).toBe(old)
  expect((await keys()).keys).toHaveLength(2)
  await clock.advanceAsync(10 * MINUTE)
  // One that was handed out just before is handed out for another minute.
  await clock.advanceAsync(MINUTE)
  const next = await kid()
  expect(next).not.toBe(old)
  const jwt = await assertion(alice)
  // Without overlap: at once.
  world.reload({ signing_key: third })
  expect(await kid()).not.toBe(next)
  expect(await verified(await assertion(alice))).toBe(ALICE)
  await clock.advanceAsync(3 * MINUTE)
  expect(await verified(jwt)).toBe(ALICE)
  await clock.advanceAsync(10 * MINUTE)
  expect((await keys()).keys.map(({ kid: published }) => published)).toEqual([await kid()])
})

test('a leaked secret that is taken out at once: what is kept in a shared store goes on without it', async () => {
  const server = await startRedis()
  world = await createTestWorld({
    config: { storage: { type: 'redis', url: `redis://127.0.0.1:${server.port}` } },
    routes: [
      { name: 'everyone', from: 'http://everyone.localhost', allow_any_authenticated_user: true, service_tokens: true },
    ],
  })
  const tokens = await startTokenMaker(world)
  try {
    const token = (await tokens.create('--name', 'ci', '--route', 'everyone', '--expires', '90d')).trim()
    const headers = { authorization: `Bearer ${token}`, accept: 'application/json' }
    const alice = world.browser()
    await world.signIn(alice, APP, ALICE)
    world.reload({ shared_secret: `${NEW}\n${OLD}` })
    world.reload({ shared_secret: NEW })
    expect((await alice.ask(APP, { headers: { accept: 'application/json' } })).status).toBe(401)
    await expect.poll(() => world.logText()).toContain('all that is kept is sealed with the first')
    await world.restart()
    expect((await world.browser().ask(APP, { headers })).status).toBe(200)
    expect((await tokens.run('list')).out).toContain('ci')
  } finally {
    await tokens.close()
    await world.restart({ storage: { type: 'memory' } })
    await server.close()
  }
})
