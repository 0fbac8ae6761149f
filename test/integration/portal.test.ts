/** The portal on the running program: what each person sees of it, on which hosts, and what nobody can make of it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Browser } from '../support/browser.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://app.localhost'
const AUTH = 'http://authenticate.localhost'
const JSON_ASK = { headers: { accept: 'application/json' } }
const MARKUP = `"><script>alert(1)</script>`

let world: World
let alice: Browser
let bob: Browser
beforeAll(async () => {
  world = await createTestWorld({
    routes: [
      { name: 'App', from: APP, allow_any_authenticated_user: true, description: 'For everybody' },
      {
        name: 'Wiki',
        from: 'http://wiki.localhost',
        allowed_groups: ['Engineering'],
        description: `Knows <b>all</b> ${MARKUP}`,
        logo_url: 'https://img.wiki.example/logo.svg?a=1&b="2"',
      },
      {
        name: 'Sales desk',
        from: 'http://sales.localhost',
        allowed_groups: ['Sales'],
        logo_url: 'https://sales.example/x',
      },
      { name: MARKUP, from: 'http://odd.localhost', prefix: '/odd', allow_any_authenticated_user: true },
      { name: 'Status', from: 'http://status.localhost', allow_public_unauthenticated_access: true },
    ],
  })
  ;[alice, bob] = [await signedIn('alice'), await signedIn('bob')]
})
afterAll(() => world.close())

async function signedIn(name: string): Promise<Browser> {
  const browser = world.browser()
  expect((await world.signIn(browser, `${APP}/`, `${name}@example.com`)).status).toBe(200)
  return browser
}

interface Listed {
  readonly routes: readonly Readonly<Record<string, unknown>>[]
  readonly incomplete: boolean
}
const listed = async (browser: Browser, origin = APP, query = ''): Promise<Listed> =>
  JSON.parse((await browser.ask(`${origin}/.postern/api/v1/routes${query}`, JSON_ASK)).body) as Listed
const namesOf = async (...asked: Parameters<typeof listed>) =>
  (await listed(...asked)).routes.map(({ name }) => name).filter((name) => name !== MARKUP)

describe('each person', () => {
  test.each([
    ['an application', APP, '/.postern/'],
    ['an application, without the slash', APP, '/.postern'],
    ['an application, by Pomerium’s name', APP, '/.postern/routes'],
    ['the sign-in service', AUTH, '/'],
    ['the sign-in service, by the same path', AUTH, '/.postern/'],
  ])('sees what they may open, and no name of anything else, at %s', async (_, origin, path) => {
    const page = await alice.ask(origin + path)
    expect(page.status).toBe(200)
    for (const shown of [
      'App',
      'For everybody',
      'Wiki',
      'http://wiki.localhost/',
      'Status',
      'http://odd.localhost/odd',
    ])
      expect(page.body).toContain(shown)
    expect(page.body).not.toMatch(/sales/i)
    expect(JSON.stringify(page.headers)).not.toMatch(/sales/i)
    const theirs = await bob.ask(origin + path)
    expect(theirs.body).toContain('Sales desk')
    expect(theirs.body + JSON.stringify(theirs.headers)).not.toMatch(/wiki/i)
  })

  test('gets the same as JSON', async () => {
    const { routes, incomplete } = await listed(alice)
    expect(incomplete).toBe(false)
    expect(routes.find(({ name }) => name === 'Wiki')).toEqual({
      id: expect.stringMatching(/^[\w-]{16}$/),
      name: 'Wiki',
      type: 'http',
      from: 'http://wiki.localhost',
      url: 'http://wiki.localhost/',
      description: `Knows <b>all</b> ${MARKUP}`,
      logo_url: 'https://img.wiki.example/logo.svg?a=1&b=%222%22',
    })
    expect(await namesOf(alice)).toEqual(['App', 'Status', 'Wiki'])
    expect(await namesOf(alice, AUTH)).toEqual(['App', 'Status', 'Wiki'])
    expect(await namesOf(bob)).toEqual(['App', 'Sales desk', 'Status'])
  })
})

describe('the search', () => {
  test.each([
    ['wik', ['Wiki']],
    ['EVERYBODY', ['App']],
    ['knows wiki', ['Wiki']],
    ['status.localhost', ['Status']],
    ['  ', ['App', 'Status', 'Wiki']],
    ['nothing', []],
    // Of what this person may not open the search finds nothing either.
    ['sales', []],
  ])('for %j finds %j', async (words, names) => {
    const query = `?${new URLSearchParams({ q: words })}`
    expect(await namesOf(alice, APP, query)).toEqual(names)
    const { body } = await alice.ask(`${APP}/.postern/${query}`)
    for (const name of names) expect(body).toContain(`<strong>${name}</strong>`)
    if (names.length === 0) expect(body).toMatch(/Nothing that you may open is called .*Show all/)
  })

  test.each([
    MARKUP,
    `' onfocus=alert(1) autofocus x='`,
    '\u0000\u202e',
    '<img src=x onerror=alert(1)>',
    'x'.repeat(5000),
  ])('shows %j as text', async (words) => {
    const page = await alice.ask(`${APP}/.postern/?${new URLSearchParams({ q: words })}`)
    expect(page.status).toBe(200)
    expect(page.body).not.toMatch(/<script|<img src=x|<[^>]*\son(focus|error)=(?![^<]*")/i)
    expect(page.body.length).toBeLessThan(20_000)
    expect(page.headers['content-security-policy']).toContain("default-src 'none'")
  })
})

describe('what the configuration says', () => {
  test('is text, whatever it looks like', async () => {
    const { body } = await alice.ask(`${APP}/.postern/`)
    expect(body).not.toMatch(/<script|<b>all/)
    expect(body).toContain('Knows &lt;b>all&lt;/b>')
  })

  test('of images lets those of this page through, and those alone', async () => {
    const policyOf = async (url: string): Promise<string> =>
      String((await alice.ask(url)).headers['content-security-policy'])
    expect(await policyOf(`${APP}/.postern/`)).toContain("img-src 'self' data: https://img.wiki.example;")
    expect(await policyOf(`${APP}/.postern/?q=status`)).toContain("img-src 'self' data:;")
    expect(await policyOf(`${APP}/.postern/account`)).toContain("img-src 'self' data:;")
    expect((await alice.ask(`${APP}/.postern/`)).headers['cache-control']).toBe('no-store')
  })
})

describe('without a session', () => {
  test.each([APP, AUTH])('a person signs in, and comes back to %s', async (origin) => {
    const somebody = world.browser()
    const page = await world.signIn(somebody, `${origin}/.postern/?q=wiki`, 'alice@example.com')
    expect([page.status, page.url.href]).toEqual([200, `${origin}/.postern/?q=wiki`])
    expect(page.body).toContain('<strong>Wiki</strong>')
  })

  test.each([APP, AUTH])('a script gets 401 at %s, and no name', async (origin) => {
    for (const path of ['/.postern/', '/.postern/api/v1/routes']) {
      const answer = await world.browser().ask(origin + path, JSON_ASK)
      expect(answer.status).toBe(401)
      expect(answer.body).not.toMatch(/wiki|sales|status/i)
    }
  })

  test('a host without a route has no portal', async () => {
    expect((await alice.ask('http://nowhere.localhost/.postern/')).status).toBe(404)
  })

  test('a form cannot be sent to it', async () => {
    expect((await alice.ask(`${APP}/.postern/`, { method: 'POST', headers: { accept: 'text/html' } })).status).toBe(405)
  })
})

test('whoever signs in to see their account at the sign-in service sees it', async () => {
  const page = await world.signIn(world.browser(), `${AUTH}/.postern/account`, 'alice@example.com')
  expect([page.status, page.url.href]).toEqual([200, `${AUTH}/.postern/account`])
  expect(page.body).toContain('Where you are signed in')
})

test('a page that refuses leads to the portal', async () => {
  const refused = await bob.go('http://wiki.localhost/')
  expect(refused.status).toBe(403)
  const link = /href="([^"]*)"[^>]*>Your applications/.exec(refused.body)?.[1] ?? ''
  const portal = await bob.ask(new URL(link, refused.url))
  expect(portal.body).toContain('<strong>Sales desk</strong>')
})

test.each([
  ['an application, where no route has the path', 'http://odd.localhost/elsewhere', true],
  ['the sign-in service', `${AUTH}/elsewhere`, true],
  ['a host that nobody has configured', 'http://nowhere.localhost/', false],
])('what is not there leads to the portal, or not, at %s', async (_, url, leads) => {
  const page = await world.browser().ask(url)
  expect(page.status).toBe(404)
  expect(page.body.includes('href="/.postern/">Your applications')).toBe(leads)
  if (!leads) expect(page.body).not.toContain('authenticate.localhost')
})

test('a sign-in service alone lists the routes that others serve', async () => {
  const service = await world.another({ services: 'authenticate' })
  try {
    const somebody = service.browser()
    await world.signIn(somebody, `${AUTH}/`, 'alice@example.com')
    expect(await namesOf(somebody, AUTH)).toEqual(['App', 'Status', 'Wiki'])
  } finally {
    await service.close()
  }
})

test('a reload, and a lost group, are seen by the next look', async () => {
  expect(await namesOf(bob)).toContain('Sales desk')
  world.reload({ routes: [{ name: 'Other', from: APP, to: world.upstreamUrl, allow_any_authenticated_user: true }] })
  expect(await namesOf(bob)).toEqual(['Other'])
})
