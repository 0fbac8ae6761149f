/**
 * A rotation of `shared_secret` (new one first, old one behind it) in the middle of everything that a secret of ours
 * signs or seals: the first secret signs, all of them verify. Without the old one everything made with it is void.
 */
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Browser } from '../support/browser.ts'
import { signInWith } from '../support/okta-sign-in.ts'
import { createTestWorld, SHARED_SECRET, type World } from '../support/world.ts'

const APP = 'http://app.localhost/'
const NEXT = createHash('sha256').update('the next secret').digest('base64')
const ROTATED = { shared_secret: `${NEXT}\n${SHARED_SECRET}` }

let world: World
let browser: Browser
beforeEach(async () => {
  world = await createTestWorld({
    routes: [{ name: 'app', from: 'http://app.localhost', allow_any_authenticated_user: true }],
  })
  browser = world.browser()
})
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
