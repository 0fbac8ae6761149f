/**
 * Section C and G02, G04: whom is the request for, over what, and from where. Target and Host that differ (RFC 9112
 * §3.2.2), two Hosts, spellings of one host (CVE-2026-27588 Caddy, GHSA-j748-h363-wqj8 Authelia), forwarded headers
 * from anybody (CVE-2026-40575 and CVE-2026-76835 oauth2-proxy: the default trusted set was everyone), a Host that
 * ends up in redirect_uri (CVE-2024-21498 caddy-security).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet, request } from '../support/gauntlet.ts'
import { sendRaw } from '../support/wire.ts'

let gauntlet: Gauntlet
beforeAll(async () => {
  // The parameters of a sign-in are looked at.
  gauntlet = await createGauntlet({ config: { idp_pushed_requests: false } })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

const alice = () => `Cookie: ${gauntlet.cookies['alice']}`

async function expectStatus(bytes: string, status: number, reached: readonly string[] = []): Promise<void> {
  const { statuses, received } = await gauntlet.send(bytes)
  expect({
    bytes,
    statuses,
    reached: received.map((one) => `${one.values('x-forwarded-host')[0]} ${one.target}`),
  }).toEqual({
    bytes,
    statuses: [status],
    reached,
  })
}

describe('C01 C02 a request that names two hosts', () => {
  test.each([
    ['http://admin.localhost/admin', 'app.localhost'],
    ['http://app.localhost/admin', 'admin.localhost'],
    ['https://app.localhost/public', 'app.localhost'],
    ['http://app.localhost@evil.test/public', 'app.localhost'],
    ['http://app.localhost:8080/public', 'app.localhost'],
    ['http://evil.test/public', 'app.localhost'],
    ['http:///public', 'app.localhost'],
    ['http:app.localhost/public', 'app.localhost'],
    ['ftp://app.localhost/public', 'app.localhost'],
    ['app.localhost/public', 'app.localhost'],
    ['*', 'app.localhost'],
    ['public', 'app.localhost'],
    ['?public', 'app.localhost'],
  ])('target %s with Host %s is 400', async (target, host) => {
    await expectStatus(request('GET', target, `Host: ${host}`, alice()), 400)
  })

  test('a target in absolute form that agrees with Host is served', async () => {
    await expectStatus(request('GET', 'http://APP.localhost./public?x'), 200, ['app.localhost /public?x'])
    await expectStatus(request('GET', 'http://app.localhost:80/admin', alice()), 200, ['app.localhost /admin'])
    await expectStatus(request('GET', 'http://app.localhost'), 404)
  })

  test.each([
    ['two', 'Host: app.localhost\r\nHost: admin.localhost'],
    ['the same twice', 'Host: app.localhost\r\nhost: app.localhost'],
    ['a list', 'Host: app.localhost, admin.localhost'],
    ['an empty one', 'Host:'],
  ])('%s is 400', async (_, host) => {
    await expectStatus(`GET /public HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`, 400)
  })

  test('C08 no Host, HTTP/0.9 and unknown versions are refused', async () => {
    await expectStatus('GET /public HTTP/1.1\r\nConnection: close\r\n\r\n', 400)
    await expectStatus('GET /public HTTP/1.0\r\n\r\n', 404)
    await expectStatus('GET /public HTTP/1.2\r\nHost: app.localhost\r\n\r\n', 400)
    await expectStatus('GET /public HTTP/2.0\r\nHost: app.localhost\r\n\r\n', 400)
    for (const bytes of ['GET /public\r\n\r\n', 'GET /admin\r\nHost: app.localhost\r\n\r\n']) {
      const { statuses, received } = await gauntlet.send(bytes)
      expect({ statuses, received }).toEqual({ statuses: [400], received: [] })
    }
  })
})

describe('C03 C04 spellings of a host', () => {
  test.each([
    'APP.LOCALHOST',
    'app.localhost.',
    'App.localhost:80',
    'app.localhost:',
    'app.localhost:080',
    'app.localhost:65535',
  ])('%s is served as app.localhost', async (host) => {
    const { statuses, received, lines } = await gauntlet.get('/admin', `Host: ${host}`, alice())
    expect(statuses).toEqual([200])
    expect(received).toHaveLength(1)
    expect(lines[0]).toMatchObject({ host: 'app.localhost', route: 'R3' })
    await expectStatus(request('GET', '/admin', `Host: ${host}`), 401)
    await expectStatus(request('GET', '/admin', `Host: ${host}`, `Cookie: ${gauntlet.cookies['bob']}`), 403)
  })

  test.each([
    'app.localhost:99999',
    'app.localhost:0',
    'app.localhost:-1',
    'app.localhost:8080x',
    'app.localhost@evil.test',
    'app.localhost/evil',
    'app.localhost#.evil',
    'app.localhost?x',
    'app.localhost\\.evil',
    'app..localhost',
    '.app.localhost',
    'app.localhost..',
    '[::1',
    '[::1]x',
    'app\tlocalhost',
    'app localhost',
    'äpp.localhost',
    'app.localhost%00',
    'app.localhost%2eevil.test',
    `${'a'.repeat(8000)}.test`,
  ])('%s is 400', async (host) => {
    await expectStatus(request('GET', '/public', `Host: ${Buffer.from(host).toString('latin1')}`), 400)
  })

  test.each([
    'evil.test',
    'localhost',
    '127.0.0.1',
    '[::1]',
    'xapp.localhost',
    'app.localhost.evil.test',
    'app',
    'xn--pp-uia.localhost',
  ])('%s is an unknown host: 404', async (host) => {
    await expectStatus(request('GET', '/public', `Host: ${host}`, alice()), 404)
  })

  test('the host of the sign-in service serves no application', async () => {
    await expectStatus(request('GET', '/public', 'Host: authenticate.localhost', alice()), 404)
    await expectStatus(request('GET', '/admin', 'Host: authenticate.localhost', alice()), 404)
  })
})

const FORWARDED = [
  'X-Forwarded-Uri: /public',
  'X-Original-URL: /public',
  'X-Original-Uri: /public',
  'X-Rewrite-URL: /public',
  'X-Forwarded-Host: authenticate.localhost',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Port: 443',
  'X-Forwarded-Prefix: /public',
  'X-Forwarded-Method: OPTIONS',
  'X-Forwarded-For: 10.0.0.1',
  'X-Real-IP: 10.0.0.1',
  'X-HTTP-Method-Override: GET',
  'X-Host: authenticate.localhost',
  'Forwarded: for=10.0.0.1;host=evil.test;proto=https',
]

describe('C06 C09 forwarded headers of an untrusted peer', () => {
  test('do not change the route or the decision', async () => {
    await expectStatus(request('GET', '/admin', ...FORWARDED), 401)
    await expectStatus(request('GET', '/admin', ...FORWARDED, `Cookie: ${gauntlet.cookies['bob']}`), 403)
    await expectStatus(request('GET', '/nothing', ...FORWARDED, alice()), 404)
  })

  test('do not change redirects or cookies, whatever the Host', async () => {
    const { answers, received } = await gauntlet.get('/admin', 'Accept: text/html', ...FORWARDED)
    const location = new URL(answers[0]?.header('location') ?? '')
    expect(location.origin).toBe('http://authenticate.localhost')
    expect(location.searchParams.get('return_to')).toBe('http://app.localhost/admin')
    expect(answers[0]?.header('set-cookie')).not.toContain('Secure')
    expect(received).toEqual([])

    const foreign = await gauntlet.get('/admin', 'Host: evil.test', 'Accept: text/html', ...FORWARDED)
    expect(foreign.statuses).toEqual([404])
    expect(foreign.answers[0]?.body).not.toContain('evil')
    expect(foreign.answers[0]?.header('location')).toBeUndefined()
  })

  test('the redirect_uri is the configured one on every host and port', async () => {
    const first = await gauntlet.get('/admin', 'Host: app.localhost:8123', 'Accept: text/html', ...FORWARDED)
    const signIn = new URL(first.answers[0]?.header('location') ?? '')
    const second = await gauntlet.get(
      signIn.pathname + signIn.search,
      'Host: authenticate.localhost:9999',
      'Accept: text/html',
      ...FORWARDED,
    )
    const authorize = new URL(second.answers[0]?.header('location') ?? '')
    expect(authorize.origin).toBe(gauntlet.world.okta.url)
    expect(authorize.searchParams.get('redirect_uri')).toBe('http://authenticate.localhost/oauth2/callback')
  })

  test('are replaced upstream by what we saw ourselves', async () => {
    const { received } = await gauntlet.get('/public', ...FORWARDED)
    const [upstream] = received
    expect(upstream?.values('x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(upstream?.values('x-forwarded-proto')).toEqual(['http'])
    expect(upstream?.values('x-forwarded-host')).toEqual(['app.localhost'])
    expect(upstream?.values('x-forwarded-port')).toEqual(['80'])
    for (const gone of [
      'forwarded',
      'x-original-url',
      'x-rewrite-url',
      'x-forwarded-uri',
      'x-forwarded-prefix',
      'x-real-ip',
    ]) {
      expect(upstream?.values(gone)).toEqual([])
    }
  })

  test('source_ip is the address that connected, unless the peer is trusted', async () => {
    const strict = { policy: [{ allow: { and: [{ source_ip: '10.0.0.0/8' }] } }] }
    const from10 = 'X-Forwarded-For: 10.0.0.1'
    for (const [trusted_proxies, status] of [
      [undefined, 403],
      [['127.0.0.1/32'], 200],
    ] as const) {
      const other = await createGauntlet({
        people: ['alice'],
        moreRoutes: [{ prefix: '/internal-net', ...strict }],
        config: { trusted_proxies },
      })
      const cookie = `Cookie: ${other.cookies['alice']}`
      expect((await other.get('/internal-net', from10, cookie)).statuses).toEqual([status])
      expect((await other.get('/internal-net', 'X-Forwarded-For: 10.0.0.1, 192.0.2.1', cookie)).statuses).toEqual([403])
      expect((await other.get('/internal-net', cookie)).statuses).toEqual([403])
      await other.close()
    }
  })
})

describe('G02 G04 our own answers', () => {
  test.each([
    ['401', '/admin', [], 401],
    ['403', '/admin', ['bob'], 403],
    ['404', '/nothing', [], 404],
    ['400', '/public\\', [], 400],
  ])('a %s allows no other origin and no cache', async (_, target, people, status) => {
    const cookie = people.map((login) => `Cookie: ${gauntlet.cookies[login]}`)
    const { answers } = await gauntlet.get(target, 'Origin: https://evil.test', ...cookie)
    expect(answers[0]?.status).toBe(status)
    expect(answers[0]?.header('access-control-allow-origin')).toBeUndefined()
    expect(answers[0]?.header('access-control-allow-credentials')).toBeUndefined()
    expect(answers[0]?.header('cache-control')).toBe('no-store')
    expect(answers[0]?.header('set-cookie')).toBeUndefined()
  })

  test.each([
    ['a fetch', ['Sec-Fetch-Mode: cors', 'Accept: text/html']],
    ['an image', ['Sec-Fetch-Mode: no-cors', 'Accept: image/png,*/*']],
    ['an API client', ['Accept: application/json']],
    ['an XMLHttpRequest', ['X-Requested-With: XMLHttpRequest', 'Accept: text/html']],
    ['a client without Accept', []],
  ])('%s gets 401 JSON with a way to sign in, no redirect and no state', async (_, headers) => {
    const { answers, received } = await gauntlet.get('/user', ...headers)
    const [answer] = answers
    expect(answer?.status).toBe(401)
    expect(answer?.header('location')).toBeUndefined()
    expect(answer?.header('set-cookie')).toBeUndefined()
    expect(JSON.parse(answer?.body ?? '')).toMatchObject({
      error: 'unauthenticated',
      login_url: 'http://app.localhost/.postern/sign_in',
    })
    // RFC 9110 §15.5.2. Of a scheme that makes no browser ask for a password, and RFC 6750 §3.1: no error.
    expect(answer?.header('www-authenticate')).toBe(
      'Bearer realm="http://app.localhost", resource_metadata="http://app.localhost/.postern/oauth-protected-resource"',
    )
    expect(received).toEqual([])
  })

  test('I10 an unauthenticated POST gets 401 whatever it accepts, and is never replayed', async () => {
    for (const body of ['', 'a=1&b=2']) {
      const bytes = `${request('POST', '/user', 'Accept: text/html', 'Sec-Fetch-Mode: navigate', 'Content-Type: application/x-www-form-urlencoded', `Content-Length: ${body.length}`)}${body}`
      await expectStatus(bytes, 401)
    }
  })

  test('HEAD is answered without a body', async () => {
    for (const [target, status] of [
      ['/admin', 401],
      ['/nothing', 404],
      ['/public', 200],
    ] as const) {
      const answers = await sendRaw(gauntlet.world.port, request('HEAD', target), { methods: ['HEAD'] })
      expect(answers.map((answer) => answer.status)).toEqual([status])
    }
    // Counted here, because they were not sent through the gauntlet.
    await gauntlet.send(request('GET', '/nothing'), { moreLines: 3 })
  })
})
