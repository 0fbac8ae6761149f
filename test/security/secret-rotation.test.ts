/**
 * A rotation of `shared_secret` (new one first, old one behind it) in the middle of everything that a secret of ours
 * signs or seals: the first secret signs, all of them verify. Without the old one everything made with it is void.
 */
import { createHash, randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { Browser } from '../support/browser.ts'
import { signInWith } from '../support/okta-sign-in.ts'
import { startRedis } from '../support/redis.ts'
import { createTestWorld, SHARED_SECRET, type World, type WorldOptions } from '../support/world.ts'

const APP = 'http://app.localhost/'
const NEXT = createHash('sha256').update('the next secret').digest('base64')
const ROTATED = { shared_secret: `${NEXT}\n${SHARED_SECRET}` }

let world: World
let browser: Browser
async function start(options?: WorldOptions): Promise<void> {
  world = await createTestWorld({
    routes: [{ name: 'app', from: 'http://app.localhost', allow_any_authenticated_user: true }],
    ...options,
  })
  browser = world.browser()
}
beforeEach(() => start())
afterEach(() => world.close())

const csrfOf = (body: string) => /name="csrf" value="([^"]+)"/.exec(body)?.[1] ?? ''

function signOut(csrf: string, host = 'app.localhost') {
  return browser.ask(`http://${host}/.postern/sign_out`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: `csrf=${csrf}`,
  })
}

async function step(url: string | URL): Promise<URL> {
  return new URL((await browser.ask(url)).headers.location ?? '')
}

describe.each([
  ['a restart', () => world.restart(ROTATED)],
  ['a reload', async () => world.reload(ROTATED)],
])('made before a rotation of shared_secret by %s, accepted after it', (_, rotate) => {
  test('a sign-out page, still bound to its session and host', async () => {
    await world.signIn(browser, APP, 'alice@example.com')
    const csrf = csrfOf((await browser.ask(`${APP}.postern/sign_out`)).body)
    const atAuth = csrfOf((await browser.ask('http://authenticate.localhost/.postern/sign_out')).body)
    const stranger = world.browser()
    await world.signIn(stranger, APP, 'bob@example.com')
    const foreign = csrfOf((await stranger.ask(`${APP}.postern/sign_out`)).body)
    await rotate()
    expect((await signOut(foreign)).status).toBe(400)
    expect((await signOut(atAuth)).status).toBe(400)
    expect((await signOut(csrf, 'authenticate.localhost')).status).toBe(400)
    expect((await browser.ask(APP)).status).toBe(200)
    expect((await signOut(csrf)).status).toBe(303)
    expect((await browser.ask(APP)).status).toBe(302)
  })

  test('a session cookie', async () => {
    await world.signIn(browser, APP, 'alice@example.com')
    await rotate()
    expect((await browser.ask(APP)).status).toBe(200)
  })

  test('the link to the sign-in service', async () => {
    const link = await step(APP)
    await rotate()
    expect((await step(link)).origin).toBe(world.okta.url)
  })

  test('a pending sign-in', async () => {
    const callback = await signInWith(world.okta.url, await step(await step(APP)), 'alice@example.com')
    await rotate()
    expect((await browser.go(callback)).status).toBe(200)
  })

  test('a hand-off code', async () => {
    const callback = await signInWith(world.okta.url, await step(await step(APP)), 'alice@example.com')
    const handOff = await step(callback)
    expect(handOff.pathname).toBe('/.postern/callback')
    await rotate()
    expect((await browser.go(handOff)).status).toBe(200)
  })

  test('the tokens of a session: the sign-out still ends the session at the provider', async () => {
    await world.signIn(browser, APP, 'alice@example.com')
    await rotate()
    const csrf = csrfOf((await browser.ask(`${APP}.postern/sign_out`)).body)
    const end = new URL((await signOut(csrf)).headers.location ?? '')
    expect(end.origin).toBe(world.okta.url)
    expect(end.searchParams.get('id_token_hint')).toMatch(/^eyJ/)
  })

  test('the key of an assertion is still published', async () => {
    const keys = async () =>
      (
        JSON.parse((await browser.ask(`${APP}.well-known/postern/jwks.json`)).body) as { keys: { kid: string }[] }
      ).keys.map(({ kid }) => kid)
    const [before] = await keys()
    await rotate()
    const after = await keys()
    expect(after).toHaveLength(2)
    expect(after).toContain(before)
  })
})

test('once the old secret is gone, by two reloads, nothing made with it is accepted', async () => {
  await world.signIn(browser, APP, 'alice@example.com')
  const csrf = csrfOf((await browser.ask(`${APP}.postern/sign_out`)).body)
  const link = await step('http://app.localhost/.postern/sign_in')
  world.reload(ROTATED)
  world.reload({ shared_secret: NEXT })
  expect((await browser.ask(APP)).status).toBe(302)
  expect((await signOut(csrf)).status).toBe(303)
  expect((await world.browser().ask(link)).status).toBe(400)
  await expect.poll(() => world.logText()).toContain('shared_secret: all that is kept is sealed with the first')
  await world.restart()
  expect((await world.signIn(world.browser(), APP, 'alice@example.com')).status).toBe(200)
})

test('a reload that would sign everybody out is refused, and nothing of it is in force', async () => {
  await world.signIn(browser, APP, 'alice@example.com')
  expect(() => world.reload({ shared_secret: NEXT, cookie_name: 'gate' })).toThrow(
    /write the old one below the new one/,
  )
  expect((await browser.ask(APP)).status).toBe(200)
})

describe('on a server whose records are sealed, what is under way when a leaked secret is taken out is void, and no fault', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>
  beforeEach(async () => {
    redis = await startRedis()
    await world.close()
    await start({ config: { storage: { type: 'redis', url: `redis://127.0.0.1:${redis.port}`, prefix: 'leak' } } })
  })
  afterEach(() => redis.close())

  async function takeOut(): Promise<void> {
    world.reload(ROTATED)
    world.reload({ shared_secret: NEXT })
    await expect.poll(() => world.logText()).toContain('shared_secret: all that is kept is sealed with the first')
  }

  test('a hand-off: a page that begins anew', async () => {
    const callback = await signInWith(world.okta.url, await step(await step(APP)), 'alice@example.com')
    const handOff = await step(callback)
    await takeOut()
    const page = await browser.ask(handOff)
    expect([page.status, page.body]).toEqual([400, expect.stringContaining(`href="${APP}"`)])
    expect((await world.signIn(browser, APP, 'alice@example.com')).status).toBe(200)
  })

  test('a long address: the front page', async () => {
    const link = await step(`${APP}?${'q'.repeat(2000)}`)
    const back = link.searchParams.get('return_to') ?? ''
    expect(back).toContain('/.postern/return?to=')
    await takeOut()
    expect((await step(back)).href).toBe(APP)
  })

  test('the code of a program: invalid_grant', async () => {
    await world.signIn(browser, APP, 'alice@example.com')
    const verifier = randomBytes(32).toString('base64url')
    const code_challenge = createHash('sha256').update(verifier).digest('base64url')
    const asked = new URLSearchParams({ code_challenge, code_challenge_method: 'S256' })
    const address = (await browser.ask(`${APP}.postern/api/v1/login?${asked}`)).body.trim()
    const post = (url: string, form: Record<string, string>) =>
      browser.ask(url, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form).toString(),
      })
    const csrf = csrfOf((await browser.ask(address)).body)
    const [, code = ''] = /<code[^>]*>([\w-]{43})</.exec((await post(address, { csrf, answer: 'allow' })).body) ?? []
    expect(code).not.toBe('')
    await takeOut()
    const answer = await post(`${APP}.postern/api/v1/token`, {
      grant_type: 'authorization_code',
      code,
      code_verifier: verifier,
    })
    expect([answer.status, JSON.parse(answer.body)]).toEqual([400, expect.objectContaining({ error: 'invalid_grant' })])
  })

  test('a message of the provider that comes again: worked on once more', async () => {
    const iat = Math.floor(Date.now() / 1000)
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
    const claims = { iss: world.okta.url, aud: DEMO.clientId, sub: 'x', jti: 'once', iat, exp: iat + 120, events }
    const token = await world.okta.signals.sign({ typ: 'logout+jwt' }, claims)
    const send = () =>
      browser.ask('http://authenticate.localhost/.postern/backchannel_logout', {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: `logout_token=${token}`,
      })
    expect((await send()).status).toBe(200)
    expect((await send()).status).toBe(400)
    await takeOut()
    expect((await send()).status).toBe(200)
  })
})
