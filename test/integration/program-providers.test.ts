/** A program of somebody who is signed in with two identity providers gets the session that its host takes. */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser } from '../support/browser.ts'
import { createTwoOrgs, PARTNERS_ONLY, STAFF_ONLY, type TwoOrgs } from '../support/two-orgs.ts'

const ALICE = 'alice@example.com'
const VERIFIER = 'v'.repeat(43)
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url')
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

let world: TwoOrgs
beforeAll(async () => {
  world = await createTwoOrgs({ config: { allow_device_login: true } })
})
afterAll(() => world.close())

/** What the program would open. */
async function begin(origin: string): Promise<string> {
  const query = new URLSearchParams({ code_challenge: CHALLENGE, code_challenge_method: 'S256' })
  const answer = await world.browser().ask(`${origin}.postern/api/v1/login?${query.toString()}`)
  expect(answer.status, answer.body).toBe(200)
  return answer.body.trim()
}

async function tokenFrom(browser: Browser, origin: string): Promise<string> {
  const address = await begin(origin)
  const csrf = /name="csrf" value="([^"]+)"/.exec((await browser.ask(address)).body)?.[1] ?? ''
  const body = new URLSearchParams({ csrf, answer: 'allow' }).toString()
  const allowed = await browser.ask(address, { method: 'POST', headers: FORM, body })
  const code = /<code>([\w-]{43})<\/code>/.exec(allowed.body)?.[1] ?? ''
  const spent = await world.browser().ask(`${origin}.postern/api/v1/token`, {
    method: 'POST',
    headers: FORM,
    body: new URLSearchParams({ grant_type: 'authorization_code', code, code_verifier: VERIFIER }).toString(),
  })
  return (JSON.parse(spent.body) as { readonly access_token: string }).access_token
}

test.each([STAFF_ONLY, PARTNERS_ONLY])('at %s', async (origin) => {
  const browser = world.browser()
  await world.signIn(browser, STAFF_ONLY, ALICE)
  await world.signInAtPartners(browser, PARTNERS_ONLY, ALICE)
  const authorization = `Bearer ${await tokenFrom(browser, origin)}`
  expect((await world.browser().ask(origin, { headers: { authorization } })).status).toBe(200)
})

test('a browser that is signed in with another one only is asked for the right one', async () => {
  const browser = world.browser()
  await world.signIn(browser, STAFF_ONLY, ALICE)
  const asked = await browser.go(await begin(PARTNERS_ONLY), ({ origin }) => origin === world.partners.url)
  expect(asked.url.origin).toBe(world.partners.url)
})

test('a device code is one of a provider that the host takes', async () => {
  const answer = await world
    .browser()
    .ask(`${PARTNERS_ONLY}.postern/api/v1/device`, { method: 'POST', headers: FORM, body: '' })
  expect(answer.status, answer.body).toBe(200)
  expect(JSON.parse(answer.body)).toMatchObject({ verification_uri: expect.stringContaining(world.partners.url) })
})
