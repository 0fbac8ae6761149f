/** The whole path on the running program: sign in with Okta, read the groups, decide per route, forward. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { createTestWorld, type World } from '../support/world.ts'

const ENGINEERING = 'http://engineering.localhost/'
const EVERYONE = 'http://everyone.localhost/'
const JSON_ASK = { headers: { accept: 'application/json' } }

let world: World
beforeEach(async () => {
  world = await createTestWorld()
})
afterEach(() => world.close())

describe('sign-in', () => {
  test('a person in the group reaches the application with a signed identity, at the address that was asked for', async () => {
    const answer = await world.signIn(world.browser(), `${ENGINEERING}wiki?a=1&b=%2F`, 'alice@example.com')
    expect(answer.status).toBe(200)
    expect(answer.url.href).toBe(`${ENGINEERING}wiki?a=1&b=%2F`)
    const seen = JSON.parse(answer.body) as { url: string; headers: Record<string, string> }
    expect(seen.url).toBe('/wiki?a=1&b=%2F')
    expect(seen.headers['x-postern-claim-email']).toBe('alice@example.com')
    expect(seen.headers['x-postern-jwt-assertion']).toMatch(/^eyJ/)
    expect(seen.headers['cookie']).toBeUndefined()
  })

  test('somebody outside the group gets a page that says who, which groups, how fresh and what to do', async () => {
    const answer = await world.signIn(world.browser(), ENGINEERING, 'bob@example.com')
    expect(answer.status).toBe(403)
    expect(world.received).toHaveLength(0)
    for (const words of ['Engineering', 'bob@example.com', 'Sales', 'Read from Okta', 'ask'])
      expect(answer.body.toLowerCase()).toContain(words.toLowerCase())
    const [line] = world.log().filter(({ decision }) => decision === 'deny')
    expect(line).toMatchObject({
      status: 403,
      reasons: ['groups-unauthorized'],
      email: 'bob@example.com',
      route: 'Engineering',
    })
    expect(answer.body).toContain(String(line?.['request_id']))
  })

  test('the second application costs no second sign-in', async () => {
    const browser = world.browser()
    await world.signIn(browser, ENGINEERING, 'alice@example.com')
    const second = await browser.go(EVERYONE)
    expect(second.status).toBe(200)
    expect(second.url.href).toBe(EVERYONE)
  })

  test('a suspended person is told so by the provider and gets no session', async () => {
    const browser = world.browser()
    const answer = await world.signIn(browser, EVERYONE, 'carol@example.com')
    expect(answer.url.origin).toBe(world.okta.url)
    expect(browser.cookies.get('authenticate.localhost')?.has('postern')).toBe(false)
  })

  test('somebody who is not assigned to the app gets a page that says what to do', async () => {
    world.okta.unassignApp(DEMO.clientId, 'Everyone')
    const answer = await world.signIn(world.browser(), EVERYONE, 'dave@example.com')
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('not been given access')
  })

  test('what is not a navigation gets 401 and a way to sign in, never a redirect', async () => {
    const answer = await world.browser().ask(`${ENGINEERING}api`, JSON_ASK)
    expect(answer.status).toBe(401)
    expect(answer.headers['set-cookie']).toBeUndefined()
    const { login_url, error } = JSON.parse(answer.body) as Record<string, string>
    expect(error).toBe('unauthenticated')
    const browser = world.browser()
    const signedIn = await world.signIn(browser, `${login_url}?return_to=/after`, 'alice@example.com')
    expect(signedIn.url.href).toBe(`${ENGINEERING}after`)
  })

  test('five tabs that began before any finished all arrive', async () => {
    const browser = world.browser()
    const starts = await Promise.all(
      [1, 2, 3, 4, 5].map((tab) => browser.go(`${EVERYONE}tab${tab}`, (url) => url.origin === world.okta.url)),
    )
    for (const [i, start] of starts.entries()) {
      const answer = await world.signIn(browser, start.url.href, 'alice@example.com')
      expect(answer.status).toBe(200)
      expect(answer.url.href).toBe(`${EVERYONE}tab${i + 1}`)
    }
    const sessions = world.log().filter(({ msg }) => msg === 'signed in')
    expect(sessions.map(({ event, user_id }) => [event, user_id])).toEqual([['session-begin', DEMO.people.alice]])
    expect(world.log().filter(({ event }) => event === 'session-renewed')).toHaveLength(4)
  })

  test('sessions survive a restart', async () => {
    const browser = world.browser()
    await world.signIn(browser, ENGINEERING, 'alice@example.com')
    await world.restart()
    expect((await browser.ask(ENGINEERING)).status).toBe(200)
  })
})

describe('sign-out', () => {
  test('a page with a button on GET; POST ends the session on every host and at the provider', async () => {
    const browser = world.browser()
    await world.signIn(browser, ENGINEERING, 'alice@example.com')
    await browser.go(EVERYONE)
    const stolen = browser.cookies.get('everyone.localhost')?.get('postern') ?? ''
    const page = await browser.ask(`${ENGINEERING}.postern/sign_out`)
    expect(page.status).toBe(200)
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
    const post = (body: string, headers: Record<string, string> = {}) =>
      browser.ask(`${ENGINEERING}.postern/sign_out`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body,
      })

    expect((await post('csrf=wrong')).status).toBe(400)
    expect((await post(`csrf=${csrf}`, { origin: 'http://evil.localhost' })).status).toBe(400)
    expect((await browser.ask(ENGINEERING)).status).toBe(200)

    const out = await post(`csrf=${csrf}`)
    expect(out.status).toBe(303)
    expect(new URL(out.headers.location ?? '').pathname).toBe('/oauth2/v1/logout')
    const end = await browser.go(out.headers.location ?? '')
    expect(end.url.href).toMatch('http://authenticate.localhost/.postern/signed_out?state=')
    expect(end.body).toContain('signed out')

    // A kept cookie opens nothing, on any host.
    const replay = await world
      .browser()
      .ask(EVERYONE, { headers: { ...JSON_ASK.headers, cookie: `postern=${stolen}` } })
    expect(replay.status).toBe(401)
    const again = await browser.go(EVERYONE)
    expect(again.url.origin).toBe(world.okta.url)
  })

  test('an application that was never opened asks where the session is, and does not claim that it ended', async () => {
    const browser = world.browser()
    await world.signIn(browser, ENGINEERING, 'alice@example.com')
    const page = await browser.go(`${EVERYONE}.postern/sign_out`)
    expect([page.status, page.url.href]).toEqual([
      200,
      `http://authenticate.localhost/.postern/sign_out?${new URLSearchParams({ return_to: EVERYONE })}`,
    ])
    expect(page.body).toContain('Do you want to sign out?')
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
    const out = await browser.ask(page.url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `csrf=${csrf}`,
    })
    expect((await browser.go(out.headers.location ?? '')).body).toContain('You are signed out')
    expect((await browser.go(ENGINEERING)).url.origin).toBe(world.okta.url)
  })
})

describe('the own pages', () => {
  test('ping answers on the host of the sign-in service and on hosts without a route', async () => {
    for (const host of ['nowhere', 'authenticate']) {
      expect(await world.browser().ask(`http://${host}.localhost/ping`)).toMatchObject({ status: 200, body: 'OK\n' })
    }
    expect((await world.browser().ask('http://nowhere.localhost/')).status).toBe(404)
  })

  test('the account page and its JSON show the person, the session and the groups', async () => {
    const browser = world.browser()
    await world.signIn(browser, ENGINEERING, 'alice@example.com')
    const page = await browser.ask(`${ENGINEERING}.postern/account`)
    expect(page.status).toBe(200)
    expect(page.body).toContain('alice@example.com')
    const json = JSON.parse((await browser.ask(`${ENGINEERING}.postern/user`, JSON_ASK)).body) as Record<
      string,
      unknown
    >
    expect(json).toMatchObject({ sub: DEMO.people.alice, groups_source: 'okta' })
    expect(JSON.stringify(json['groups'])).toContain(DEMO.groups.engineering)
  })

  test('the keys that verify identities are public', async () => {
    const keys = await world.browser().ask(`${ENGINEERING}.well-known/postern/jwks.json`, JSON_ASK)
    expect(keys.headers['access-control-allow-origin']).toBe('*')
    const { keys: published } = JSON.parse(keys.body) as { keys: Record<string, string>[] }
    expect(published[0]).toMatchObject({ kty: 'EC', alg: 'ES256' })
    expect(published[0]).not.toHaveProperty('d')
    expect(keys.headers['cache-control']).toBe('public, max-age=300')
  })

  test('an application finds these keys under whatever name it reaches Postern by, and nothing else', async () => {
    const at = (path: string) => world.browser().ask(`http://postern.internal${path}`, JSON_ASK)
    const known = await world.browser().ask(`${ENGINEERING}.well-known/postern/jwks.json`, JSON_ASK)
    const inner = await at('/.well-known/postern/jwks.json')
    expect([inner.status, inner.body]).toEqual([200, known.body])
    for (const path of ['/', '/.postern/user', '/.postern/sign_in', '/.well-known/postern']) {
      expect([path, (await at(path)).status]).toEqual([path, 404])
    }
  })
})
