/** What an operator may change of our pages, seen from outside; and what nobody can smuggle into them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestWorld, type World } from '../support/world.ts'

const ENGINEERING = 'http://engineering.localhost/'
const NOWHERE = 'http://nowhere.localhost/'
const HOSTILE = `"><script>alert(1)</script>' onload=x`
const HTML = { accept: 'text/html', 'sec-fetch-mode': 'navigate' }

const PAGES = {
  idp_pushed_requests: false,
  product_name: `Corp ${HOSTILE}`.slice(0, 40),
  support_url: 'mailto:help@corp.example',
  troubleshooting_url: 'https://docs.corp.example/codes?v=1',
  error_message_first_paragraph: `First ${HOSTILE}`,
  logo_url: 'https://static.corp.example/logo.svg?a=1&b=2',
  favicon_url: 'https://icons.corp.example/icon.png',
  primary_color: '#ffd400',
}

let world: World
beforeAll(async () => {
  world = await createTestWorld({
    config: PAGES,
    routes: [
      { name: 'Engineering', from: 'http://engineering.localhost', allowed_groups: [HOSTILE] },
      {
        name: 'Quiet',
        from: 'http://quiet.localhost',
        allowed_groups: ['Top-Secret-Group'],
        show_error_details: false,
      },
      { name: 'Everyone', from: 'http://everyone.localhost', allow_any_authenticated_user: true },
    ],
  })
})
afterAll(() => world.close())

const policyOf = (headers: Readonly<Record<string, unknown>>): readonly string[] =>
  String(headers['content-security-policy']).split('; ')

describe('a page that says that something does not work', () => {
  test('has the name, the first paragraph, whom to tell, and a code that leads to its section', async () => {
    const { body, headers } = await world.browser().go(NOWHERE)
    expect(body).toContain('First &quot;>&lt;script>')
    expect(body).not.toContain('<script')
    expect(body).toContain('<a href="https://docs.corp.example/codes?v=1#err_not_found"><code>ERR_NOT_FOUND</code></a>')
    const id = /Request <code>([^<]+)<\/code>/.exec(body)?.[1] ?? 'none'
    expect(body).toContain(
      `<a href="mailto:help@corp.example?subject=${encodeURIComponent(`ERR_NOT_FOUND, request ${id}`)}">help@corp.example</a>`,
    )
    expect(body).toContain('<img src="https://static.corp.example/logo.svg?a=1&amp;b=2" alt/>')
    expect(policyOf(headers)).toContain("img-src 'self' data: https://static.corp.example https://icons.corp.example")
    expect(policyOf(headers)).toContain("style-src 'self'")
  })

  test('names of groups with markup are text', async () => {
    const page = await world.signIn(world.browser(), ENGINEERING, 'alice@example.com')
    expect(page.status).toBe(403)
    expect(page.body).toContain('&quot;>&lt;script>alert(1)')
    expect(page.body).not.toContain('<script')
  })

  test('what the provider says is text, and no header', async () => {
    const browser = world.browser()
    const { url } = await browser.go('http://everyone.localhost/', ({ origin }) => origin === world.okta.url)
    const state = url.searchParams.get('state') ?? ''
    const description = `${HOSTILE}\r\nSet-Cookie: a=b`
    const query = new URLSearchParams({ error: 'access_denied', error_description: description, state })
    const answer = await browser.ask(`http://authenticate.localhost/oauth2/callback?${query}`, { headers: HTML })
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('&lt;script>alert(1)')
    expect(answer.body).not.toContain('<script')
    expect(answer.body).toContain('<code>ERR_IDP_REJECTED</code>')
    expect(String(answer.headers['set-cookie'])).not.toContain('a=b')
  })
})

test('a page that says that all is well has neither first paragraph nor code', async () => {
  const { body } = await world.browser().go('http://authenticate.localhost/.postern/signed_out')
  expect(body).toContain('You are signed out')
  expect(body).not.toMatch(/First |ERR_|mailto:/)
})

test('the stylesheet has the colours, moved until they can be read, under an address of its own', async () => {
  const browser = world.browser()
  const { body } = await browser.go(NOWHERE)
  const href = /<link rel="stylesheet" href="([^"]+)"/.exec(body)?.[1] ?? ''
  const before = (await browser.ask(`http://nowhere.localhost${href}`)).body
  expect(before).toContain(':root { --accent: #a68a00;')
  world.reload({ primary_color: '#aa0000' })
  const after = /<link rel="stylesheet" href="([^"]+)"/.exec((await browser.go(NOWHERE)).body)?.[1] ?? ''
  expect(after).not.toBe(href)
  expect((await browser.ask(`http://nowhere.localhost${after}`)).body).toContain(':root { --accent: #aa0000;')
})

test('without details a refusal names neither groups nor the reason, to people and to programs', async () => {
  const browser = world.browser()
  const page = await world.signIn(browser, 'http://quiet.localhost/', 'alice@example.com')
  expect(page.status).toBe(403)
  expect(page.body).toContain('You cannot open Quiet')
  expect(page.body).not.toMatch(/Top-Secret-Group|Engineering|in a group/)
  const json = await browser.ask('http://quiet.localhost/', { headers: { accept: 'application/json' } })
  expect(JSON.parse(json.body)).toEqual({ error: 'denied', request_id: expect.any(String) as string })
  // The log still says it.
  expect(world.log()).toContainEqual(expect.objectContaining({ route: 'Quiet', reasons: ['groups-unauthorized'] }))
})
