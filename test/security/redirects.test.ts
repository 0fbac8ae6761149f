/**
 * Section H and G05: where a redirect may lead and what a page may show. Every parameter that names an address, with
 * the spellings by which browsers and parsers have disagreed (CVE-2020-5233, CVE-2020-11053 and CVE-2020-4037
 * oauth2-proxy, CVE-2019-14857, CVE-2019-20479 and CVE-2021-32786 mod_auth_openidc); suffix confusion (H03,
 * CVE-2021-21291); sign-out redirects (H06); markup in parameters (H07, CVE-2017-6059, CVE-2021-32792); sign-out by
 * a foreign page (G05).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { signInWith } from '../support/okta-sign-in.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://app.localhost'
const AUTH = 'http://authenticate.localhost'

let world: World
beforeAll(async () => {
  world = await createTestWorld({
    routes: [
      { name: 'app', from: APP, allow_any_authenticated_user: true },
      { name: 'wild', from: 'http://*.wild.localhost', allow_any_authenticated_user: true },
      { name: 'secure', from: 'https://secure.corp.example', allow_any_authenticated_user: true },
    ],
    // The parameters of a sign-in are looked at.
    config: { insecure_server: true, idp_pushed_requests: false },
  })
})
afterAll(async () => {
  expect((await world.signIn(world.browser(), `${APP}/`, 'alice@example.com')).status).toBe(200)
  await world.close()
})

const EVIL = 'evil.test'
const PAYLOADS = [
  `//${EVIL}`,
  `///${EVIL}`,
  `////${EVIL}/%2e%2e`,
  `/\\${EVIL}`,
  `/\\/${EVIL}`,
  `\\\\${EVIL}`,
  `\\/${EVIL}`,
  `/%5c${EVIL}`,
  `/%09/${EVIL}`,
  `/\t/${EVIL}`,
  `\t//${EVIL}`,
  ` //${EVIL}`,
  `/\n/${EVIL}`,
  `/\r\n/${EVIL}`,
  `/%0a/${EVIL}`,
  `/\v\\${EVIL}`,
  `/./\\${EVIL}`,
  `/.//${EVIL}`,
  `/..//${EVIL}`,
  `.//${EVIL}`,
  `http:${EVIL}`,
  `https:${EVIL}`,
  `https:/${EVIL}`,
  `https:///${EVIL}`,
  `http:\\\\${EVIL}`,
  `http://${EVIL}`,
  `HtTp://${EVIL}`,
  `http://app.localhost@${EVIL}`,
  `http://app.localhost:80@${EVIL}`,
  `http://app.localhost%40${EVIL}`,
  `http://app.localhost%2e${EVIL}`,
  `http://app.localhost.${EVIL}`,
  `http://app.localhost\\@${EVIL}`,
  `http://app.localhost#@${EVIL}`,
  `http://${EVIL}#app.localhost`,
  `http://${EVIL}?app.localhost`,
  `http://${EVIL}/app.localhost`,
  `http://${EVIL}\\.app.localhost`,
  `http://${EVIL}%00.app.localhost`,
  `//app.localhost:80@${EVIL}`,
  '//[::1]',
  'http://127.0.0.1',
  'http://[::ffff:127.0.0.1]',
  `〱${EVIL}`,
  `/〱${EVIL}`,
  `http://evil。test`,
  `//%65vil.test`,
  'javascript:alert(1)',
  'JaVaScRiPt:alert(1)',
  'java\tscript:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  'blob:http://app.localhost/x',
  'view-source:http://app.localhost',
  'file:///etc/passwd',
  'http://user:password@app.localhost/',
  'http://xapp.localhost/',
  'http://app.localhost.localhost/',
  'http://localhost/',
  'https://app.localhost/',
  'http://app.localhost:8080/',
  'http://secure.corp.example/',
  'https://secure.corp.example:8443/',
  'http://wild.localhost/',
  'http://x.wild.localhost.evil.test/',
  '',
  '/',
  'x',
  '?x',
  '#x',
]

/** An address of ours by the browser's own reading. */
function expectOurs(location: string | undefined, base: string): URL {
  const url = new URL(location ?? '', base)
  expect(url.origin).toBe(APP)
  expect(url.username + url.password).toBe('')
  return url
}

describe('H01 H02 H03 return_to', () => {
  test.each(PAYLOADS)('of a sign-in stays on the host of the application: %j', async (payload) => {
    const at = `${APP}/.postern/sign_in?${new URLSearchParams({ return_to: payload })}`
    const answer = await world.browser().ask(at)
    expect(answer.status).toBe(302)
    const location = new URL(answer.headers.location ?? '')
    expect(location.origin).toBe(AUTH)
    const wanted = location.searchParams.get('return_to') ?? ''
    // As written it is absolute and ours: nothing is left to be read in two ways.
    expect(wanted).toMatch(/^http:\/\/app\.localhost\/[!-~]*$/)
    expectOurs(wanted, APP)
  })

  test.each([
    `//${EVIL}`,
    `/\\${EVIL}`,
    `/.//${EVIL}`,
    `http://app.localhost@${EVIL}`,
    'javascript:alert(1)',
    '/\r\nSet-Cookie:a=b',
  ])('a sign-in with %j ends at the application', async (payload) => {
    const browser = world.browser()
    const at = `${APP}/.postern/sign_in?${new URLSearchParams({ return_to: payload })}`
    const { url: authorize } = await browser.go(at, (next) => next.origin === world.okta.url)
    const callback = await signInWith(world.okta.url, authorize, 'alice@example.com')
    const handOff = await browser.ask(callback)
    const last = await browser.ask(handOff.headers.location ?? '')
    expect(last.status).toBe(302)
    expectOurs(last.headers.location, APP)
    expect(last.headers['set-cookie']?.some((line) => line.startsWith('a=b'))).toBe(false)
  })

  test('a signed return address with a changed value, nonce, time or signature is refused', async () => {
    const start = await world.browser().ask(`${APP}/x`)
    const signed = new URL(start.headers.location ?? '')
    const changes: readonly ((query: URLSearchParams) => void)[] = [
      ...PAYLOADS.map((payload) => (query: URLSearchParams) => query.set('return_to', payload)),
      (query) => query.set('return_to', `${APP}/y`),
      (query) => query.set('return_to', `${APP}/x/`),
      (query) => query.append('return_to', `http://${EVIL}`),
      (query) => query.append('return_to', query.get('return_to') ?? ''),
      (query) => query.set('expires', String(Number(query.get('expires')) + 1)),
      (query) => query.set('expires', 'Infinity'),
      (query) => query.set('nonce', 'A'.repeat(43)),
      (query) => query.set('signature', ''),
      (query) => query.set('signature', 'A'.repeat(43)),
      (query) => query.delete('signature'),
      (query) => query.delete('return_to'),
      (query) => query.delete('nonce'),
      (query) => query.delete('expires'),
    ]
    for (const change of changes) {
      const forged = new URL(signed)
      change(forged.searchParams)
      const answer = await world.browser().ask(forged)
      expect({ forged: forged.search, status: answer.status }).toEqual({ forged: forged.search, status: 400 })
      expect(answer.headers.location).toBeUndefined()
      expect(answer.body).not.toContain(EVIL)
      expect(answer.body).toContain('Start again')
    }
    expect((await world.browser().ask(signed)).status).toBe(302)
  })

  test('a signed return address of another host, scheme or port is refused; a host of a wildcard route is accepted', async () => {
    for (const [host, url] of [
      ['a.wild.localhost', 'http://a.wild.localhost/x'],
      ['b.c.wild.localhost', 'http://b.c.wild.localhost/x'],
    ] as const) {
      const answer = await world.browser().ask(url)
      expect(new URL(answer.headers.location ?? '').searchParams.get('return_to')).toBe(`http://${host}/x`)
    }
    for (const host of ['wild.localhost', 'xwild.localhost', '.wild.localhost']) {
      const answer = await world.browser().ask('http://app.localhost/x', { headers: { accept: 'text/html', host } })
      expect([400, 404]).toContain(answer.status)
    }
  })
})

describe('H01 H06 other parameters', () => {
  test.each(['redirect_uri', 'post_logout_redirect_uri', 'return_to', 'rd', 'url'])(
    '%s moves no sign-out',
    async (name) => {
      for (const host of [APP, AUTH]) {
        const url = `${host}/.postern/sign_out?${new URLSearchParams({ [name]: `https://${EVIL}` })}`
        const answer = await world.browser().ask(url)
        const front = new URLSearchParams({ return_to: `${APP}/` })
        expect(answer.headers.location).toBe(`${AUTH}/.postern/${host === AUTH ? 'signed_out' : `sign_out?${front}`}`)
      }
    },
  )

  test.each(['redirect_uri', 'return_to', 'next', 'callback'])(
    '%s moves no callback and no sign-in at the service',
    async (name) => {
      const query = `${new URLSearchParams({ [name]: `https://${EVIL}` })}`
      for (const path of ['/oauth2/callback', '/.postern/sign_in']) {
        const answer = await world.browser().ask(`${AUTH}${path}?${query}`)
        expect(answer.status).toBe(400)
        expect(answer.body).not.toContain(EVIL)
      }
      const handOff = await world.browser().ask(`${APP}/.postern/callback?code=x&${query}`)
      expect(handOff.status).toBe(400)
      expect(handOff.body).not.toContain(EVIL)
    },
  )

  test('H05 a programmatic sign-in sends nothing anywhere (program-login.test.ts)', async () => {
    for (const path of ['/.postern/api/v1/login', '/.pomerium/api/v1/login']) {
      const url = `${APP}${path}?${new URLSearchParams({ pomerium_redirect_uri: `https://${EVIL}`, redirect_uri: `https://${EVIL}` })}`
      const answer = await world.browser().ask(url, { headers: { accept: 'application/json' } })
      expect([400, 401]).toContain(answer.status)
      expect(answer.body).not.toContain(EVIL)
      expect(answer.headers.location).toBeUndefined()
    }
  })
})

describe('H07 our pages', () => {
  const MARKUP = `"><svg onload=alert(1)><script>x</script>'`
  const expectEscaped = (answer: { readonly body: string; readonly headers: Record<string, unknown> }): void => {
    expect(answer.body).not.toMatch(/<svg onload|<script/)
    expect(String(answer.headers['content-security-policy'])).toContain("default-src 'none'")
    expect(String(answer.headers['content-security-policy'])).toContain("frame-ancestors 'none'")
    expect(String(answer.headers['content-security-policy'])).not.toContain('unsafe')
    expect(answer.headers['x-content-type-options']).toBe('nosniff')
    expect(answer.headers['cache-control']).toBe('no-store')
  }

  test('show what a provider says as text', async () => {
    const browser = world.browser()
    const { url } = await browser.go(`${APP}/`, (next) => next.origin === world.okta.url)
    const query = new URLSearchParams({
      error: MARKUP,
      error_description: MARKUP,
      state: url.searchParams.get('state') ?? '',
    })
    const answer = await browser.ask(`${AUTH}/oauth2/callback?${query}`)
    expect(answer.status).toBe(403)
    expectEscaped(answer)
    expect(answer.body).toContain('&lt;svg onload')
  })

  test('do not show parameters of a callback that nobody asked for', async () => {
    const query = new URLSearchParams({
      error: MARKUP,
      error_description: MARKUP,
      state: MARKUP,
      code: MARKUP,
      return_to: MARKUP,
    })
    for (const path of [
      `${AUTH}/oauth2/callback`,
      `${AUTH}/.postern/sign_in`,
      `${APP}/.postern/callback`,
      `${AUTH}/.postern/signed_out`,
    ]) {
      const answer = await world.browser().ask(`${path}?${query}`)
      expectEscaped(answer)
      expect(answer.body).not.toContain('onload')
    }
  })

  test('show people and groups with markup in their names as text', async () => {
    world.okta.addGroup(`<b>Group</b>`)
    world.okta.addUser({ login: 'mark@example.com', firstName: MARKUP, lastName: '<img src=x>' }, ['<b>Group</b>'])
    const browser = world.browser()
    expect((await world.signIn(browser, `${APP}/`, 'mark@example.com')).status).toBe(200)
    const page = await browser.ask(`${APP}/.postern/account`)
    expect(page.status).toBe(200)
    expectEscaped(page)
    expect(page.body).not.toMatch(/<b>Group|<img src=x>/)
    expect(page.body).toContain('&lt;b>Group')
  })

  test('no parameter or path can split a header line', async () => {
    for (const url of [
      `${APP}/%0d%0aSet-Cookie:a=b`,
      `${APP}/x?%0d%0aSet-Cookie:a=b`,
      `${APP}/.postern/sign_in?return_to=/%0d%0aSet-Cookie:a=b`,
      `${APP}/.postern/sign_in?return_to=%0d%0aLocation:http://evil.test`,
    ]) {
      const answer = await world.browser().ask(url)
      expect(answer.headers['set-cookie']?.every((line) => line.startsWith('postern')) ?? true).toBe(true)
      expect([302, 400]).toContain(answer.status)
    }
  })
})

describe('G05 O02 a page of another site', () => {
  test('cannot sign people out or read who they are', async () => {
    const browser = world.browser()
    await world.signIn(browser, `${APP}/`, 'alice@example.com')
    const form = { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'cross-site' }
    const attempts: readonly (readonly [string, string, Record<string, string>])[] = [
      ['GET', '', { 'sec-fetch-mode': 'no-cors', accept: 'image/*' }],
      ['POST', '', form],
      ['POST', 'csrf=', form],
      ['POST', `csrf=${'A'.repeat(43)}`, { ...form, origin: APP }],
      ['POST', 'csrf=x&csrf=y', { ...form, origin: `http://${EVIL}` }],
      ['POST', '{"csrf":"x"}', { 'content-type': 'text/plain' }],
      ['POST', 'x'.repeat(100_000), form],
    ]
    for (const [method, body, headers] of attempts) {
      const answer = await browser.ask(`${APP}/.postern/sign_out`, {
        method,
        headers,
        ...(method === 'POST' && { body }),
      })
      expect([200, 400]).toContain(answer.status)
      expect(answer.headers['set-cookie']).toBeUndefined()
    }
    for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const answer = await browser.ask(`${APP}/.postern/sign_out`, { method, headers: {} })
      expect(answer.status).toBe(405)
    }
    expect((await browser.ask(`${APP}/`)).status).toBe(200)

    const json = await browser.ask(`${APP}/.postern/user`, {
      headers: { origin: `http://${EVIL}`, accept: 'application/json' },
    })
    expect(json.headers['access-control-allow-origin']).toBeUndefined()
    expect(json.headers['cache-control']).toBe('no-store')
  })

  test('O02 the account page and API hold no token and no secret', async () => {
    const browser = world.browser()
    await world.signIn(browser, `${APP}/`, 'alice@example.com')
    const [, id = '', mac = ''] = browser.cookies.get('app.localhost')?.get('postern')?.split('.') ?? []
    for (const path of ['/.postern/', '/.postern/account', '/.postern/user', '/.postern/sign_out']) {
      const { body } = await browser.ask(`${APP}${path}`)
      expect(body).toContain('alice@example.com')
      for (const secret of ['eyJ', id, mac, DEMO.clientSecret, DEMO.apiToken, 'sealedTokens', 'refresh']) {
        expect(body).not.toContain(secret)
      }
    }
  })

  test('O01 the public listener serves no operations page', async () => {
    for (const path of [
      '/metrics',
      '/debug/pprof',
      '/config_dump',
      '/stats',
      '/livez',
      '/readyz',
      '/startupz',
      '/.postern/metrics',
    ]) {
      for (const host of [AUTH, 'http://nowhere.localhost']) {
        expect((await world.browser().ask(`${host}${path}`)).status).toBe(404)
      }
      const atApp = await world.browser().ask(`${APP}${path}`, { headers: { accept: 'application/json' } })
      expect([401, 404]).toContain(atApp.status)
    }
  })
})
