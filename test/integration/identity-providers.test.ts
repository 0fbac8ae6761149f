/** Two Okta orgs beside one another: who is asked, whose sessions count where, and that equal ids are two people. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import {
  ANYBODY,
  AUTH,
  createTwoOrgs,
  ENGINEERING,
  PARTNERS_ONLY,
  STAFF_ONLY,
  type TwoOrgs,
} from '../support/two-orgs.ts'

const ALICE = 'alice@example.com'
const SCRIPT = { headers: { accept: 'application/json' } }

let world: TwoOrgs
beforeEach(async () => {
  world = await createTwoOrgs()
})
afterEach(() => world.close())

describe('who is asked', () => {
  test('where a route names no provider, the person chooses on a page', async () => {
    const browser = world.browser()
    const page = await browser.go(ANYBODY)
    expect(page.status).toBe(200)
    expect(page.body).toContain('How do you want to sign in?')
    const choices = world.choices(page)
    expect([...choices.keys()]).toEqual(['Staff', 'Partners'])
    const answer = await world.signInAtPartners(browser, choices.get('Partners') ?? '', ALICE)
    expect([answer.status, answer.url.href]).toEqual([200, ANYBODY])
    expect(world.received).toHaveLength(1)
  })

  test('where a route names one, it is asked at once, at a redirect URI of its own', async () => {
    const atPartners = await world.browser().go(PARTNERS_ONLY, ({ origin }) => origin === world.partners.url)
    expect(atPartners.url.searchParams.get('redirect_uri')).toBe(`${AUTH}/oauth2/callback/partners`)
    const atStaff = await world.browser().go(STAFF_ONLY, ({ origin }) => origin === world.okta.url)
    expect(atStaff.url.searchParams.get('redirect_uri')).toBe(`${AUTH}/oauth2/callback`)
  })

  test('the sign-in service by itself lets choose, and shows who is signed in with either', async () => {
    const browser = world.browser()
    const choices = world.choices(await browser.go(`${AUTH}/.postern/sign_in`))
    const answer = await world.signInAtPartners(browser, choices.get('Partners') ?? '', ALICE)
    expect([answer.status, answer.url.href]).toEqual([200, `${AUTH}/`])
    expect(answer.body).toContain('Your applications')
    expect((await browser.go(`${AUTH}/.postern/account`)).body).toContain(world.partners.url)
  })
})

describe('whose sessions count', () => {
  test('a session of another provider leads to a sign-in with the right one, and is kept', async () => {
    const browser = world.browser()
    expect((await world.signIn(browser, STAFF_ONLY, ALICE)).status).toBe(200)
    const refused = await browser.ask(PARTNERS_ONLY)
    expect(refused.status).toBe(302)
    expect((await world.signInAtPartners(browser, PARTNERS_ONLY, ALICE)).status).toBe(200)
    // Both, in turn, and nobody is asked again.
    for (const url of [STAFF_ONLY, PARTNERS_ONLY, STAFF_ONLY, ANYBODY]) expect((await browser.go(url)).status).toBe(200)
  })

  test('two parts of one host that take another provider each change places without a sign-in or a loop', async () => {
    const browser = world.browser()
    const [staff, partners] = ['http://shared.localhost/staff', 'http://shared.localhost/partners']
    expect((await world.signIn(browser, staff, ALICE)).status).toBe(200)
    expect((await world.signInAtPartners(browser, partners, ALICE)).status).toBe(200)
    for (const url of [staff, partners, staff]) {
      const answer = await browser.go(url)
      expect([answer.status, answer.url.href]).toEqual([200, url])
    }
  })

  test('a browser that takes no cookie any more gets a page, and does not go round with the session that does not count', async () => {
    const browser = world.browser()
    expect((await world.signIn(browser, 'http://shared.localhost/staff', ALICE)).status).toBe(200)
    expect((await world.signInAtPartners(browser, PARTNERS_ONLY, ALICE)).status).toBe(200)
    const kept = new Map(browser.cookies.get('shared.localhost'))
    const forgetful = world.browser()
    let url = new URL('http://shared.localhost/partners')
    for (let hops = 0; ; hops++) {
      expect(hops).toBeLessThan(5)
      const cookies = url.hostname === 'shared.localhost' ? kept : browser.cookies.get('authenticate.localhost')
      const cookie = [...(cookies ?? [])].map((pair) => pair.join('=')).join('; ')
      const answer = await forgetful.ask(url, {
        headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate', cookie },
      })
      const { location } = answer.headers
      if (location === undefined) {
        expect([answer.status, answer.body]).toEqual([400, expect.stringContaining('Start again')])
        return
      }
      url = new URL(location, url)
    }
  })

  test('a script is told that the session is of another provider, and where to sign in', async () => {
    const browser = world.browser()
    await world.signIn(browser, 'http://shared.localhost/staff', ALICE)
    const answer = await browser.ask('http://shared.localhost/partners', SCRIPT)
    expect(answer.status).toBe(401)
    const told = JSON.parse(answer.body) as { reason: string; login_url: string }
    expect(told.reason).toBe('other-identity-provider')
    const next = await browser.go(told.login_url, ({ origin }) => origin === world.partners.url)
    expect(next.url.origin).toBe(world.partners.url)
    const [line] = world.log().filter(({ decision, status }) => decision === 'sign-in' && status === 401)
    expect(line?.['reasons']).toEqual(['user-unauthenticated', 'other-identity-provider'])
  })

  test('a form that is sent with a session of another provider gets a page that says so', async () => {
    const browser = world.browser()
    await world.signIn(browser, 'http://shared.localhost/staff', ALICE)
    const answer = await browser.ask('http://shared.localhost/partners', {
      method: 'POST',
      headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate', origin: 'http://shared.localhost' },
      body: 'a=b',
    })
    expect(answer.status).toBe(401)
    expect(answer.body).toContain('an identity provider that does not count there')
    expect(world.received.filter(({ method }) => method === 'POST')).toEqual([])
  })

  test('a provider that is configured no more vouches for nobody', async () => {
    const browser = world.browser()
    const choices = world.choices(await browser.go(ANYBODY))
    expect((await world.signInAtPartners(browser, choices.get('Partners') ?? '', ALICE)).status).toBe(200)
    await world.restart({
      identity_providers: {},
      routes: [{ from: 'http://anybody.localhost', to: world.upstreamUrl, allow_any_authenticated_user: true }],
    })
    const answer = await browser.go(ANYBODY, ({ origin }) => origin === world.okta.url)
    expect(answer.url.origin).toBe(world.okta.url)
    expect((await browser.ask(ANYBODY, SCRIPT)).status).toBe(401)
  })

  test('a route that a reload has given a provider of the next start ends at a page, not in a loop', async () => {
    const next = { url: 'https://next.example', client_id: 'postern' }
    world.reload({
      identity_providers: { next },
      routes: [
        {
          from: 'http://next.localhost',
          to: world.upstreamUrl,
          identity_provider: 'next',
          allow_any_authenticated_user: true,
        },
      ],
    })
    const answer = await world.browser().go('http://next.localhost/')
    expect(answer.status).toBeGreaterThanOrEqual(500)
    expect(answer.body).toContain('ERR_IDP_UNUSABLE')
  })
})

describe('equal ids of two orgs', () => {
  test('have the groups of their own org', async () => {
    const [staff, partner] = [world.browser(), world.browser()]
    const choices = world.choices(await staff.go(ENGINEERING))
    expect((await world.signIn(staff, choices.get('Staff') ?? '', ALICE)).status).toBe(200)
    const theirs = world.choices(await partner.go(ENGINEERING))
    const refused = await world.signInAtPartners(partner, theirs.get('Partners') ?? '', ALICE)
    expect(refused.status).toBe(403)
    expect((await staff.go(ENGINEERING)).status).toBe(200)
  })

  test('a suspension of one ends the sessions of one', async () => {
    const [staff, partner] = [world.browser(), world.browser()]
    await world.signIn(staff, STAFF_ONLY, ALICE)
    await world.signInAtPartners(partner, PARTNERS_ONLY, ALICE)
    world.partners.setStatus(DEMO.people.alice, 'SUSPENDED')
    await expect
      .poll(async () => (await partner.ask(PARTNERS_ONLY, SCRIPT)).status, { timeout: 60_000, interval: 200 })
      .toBeGreaterThanOrEqual(401)
    expect((await staff.ask(STAFF_ONLY, SCRIPT)).status).toBe(200)
  })
})

test('a sign-out at an application tells that the session with another provider goes on, and where it ends', async () => {
  const browser = world.browser()
  await world.signIn(browser, STAFF_ONLY, ALICE)
  await world.signInAtPartners(browser, PARTNERS_ONLY, 'bob@example.com')
  const user = JSON.parse((await browser.ask(`${STAFF_ONLY}.postern/user`, SCRIPT)).body) as Record<string, string>
  const { sign_out_url: url = '', csrf_token: csrf = '' } = user
  const out = await browser.ask(url, { method: 'POST', headers: { 'x-postern-csrf': csrf } })
  expect(out.status).toBe(200)
  const onward = await browser.go((JSON.parse(out.body) as { redirect_to: string }).redirect_to)
  expect(onward.body).toContain('still signed in as <strong>bob@example.com')
  expect(onward.body).toContain(`href="${AUTH}/.postern/sign_out?return_to=${encodeURIComponent(STAFF_ONLY)}"`)
  expect(/href="([^"]*)"[^>]*>Sign in again/.exec(onward.body)?.[1]).toBe(STAFF_ONLY)
  const end = await browser.go(`${AUTH}/.postern/signed_out`)
  expect(end.body).toContain('still signed in as <strong>bob@example.com')
  expect(end.body).toContain(`href="${AUTH}/.postern/sign_out"`)
  expect(end.body).toContain(`href="${AUTH}/.postern/sign_in"`)
  expect((await world.browser().go(`${AUTH}/.postern/signed_out`)).body).toContain('You are signed out')
})

test('the own page lists, and ends, the sessions of everybody that this browser is signed in as', async () => {
  const [browser, elsewhere, another] = [world.browser(), world.browser(), world.browser()]
  for (const each of [browser, elsewhere, another]) {
    await world.signIn(each, STAFF_ONLY, ALICE)
    await world.signInAtPartners(each, PARTNERS_ONLY, 'bob@example.com')
  }
  const page = await browser.ask(`${AUTH}/.postern/account`)
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
  const tags = [...page.body.matchAll(/name="session" value="([^"]+)"/g)].map(([, tag = '']) => tag)
  expect(tags).toHaveLength(4)
  const post = (path: string, fields: Readonly<Record<string, string>>) =>
    browser.ask(`${AUTH}/.postern/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html' },
      body: new URLSearchParams({ csrf, ...fields }).toString(),
    })
  const live = async (url: string) =>
    (await Promise.all([browser, elsewhere, another].map((each) => each.ask(url, SCRIPT)))).map(({ status }) => status)
  for (const session of tags) await post('end_session', { session })
  for (const url of [STAFF_ONLY, PARTNERS_ONLY]) expect(await live(url)).toEqual([200, 401, 401])

  await world.signInAtPartners(elsewhere, PARTNERS_ONLY, 'bob@example.com')
  await post('sign_out', { scope: 'everywhere' })
  for (const url of [STAFF_ONLY, PARTNERS_ONLY]) expect(await live(url)).toEqual([401, 401, 401])
})

test('a sign-out at the sign-in service ends the sessions of every provider in this browser', async () => {
  const browser = world.browser()
  await world.signIn(browser, STAFF_ONLY, ALICE)
  await world.signInAtPartners(browser, PARTNERS_ONLY, ALICE)
  const page = await browser.go(`${AUTH}/.postern/sign_out`)
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
  const out = await browser.ask(`${AUTH}/.postern/sign_out`, {
    method: 'POST',
    headers: {
      accept: 'text/html',
      'sec-fetch-mode': 'navigate',
      origin: AUTH,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({ csrf }).toString(),
  })
  expect(out.status).toBe(303)
  for (const url of [STAFF_ONLY, PARTNERS_ONLY]) expect((await browser.ask(url, SCRIPT)).status).toBe(401)
})
