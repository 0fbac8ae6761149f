/** What an upstream receives of a request whose route rewrites it, byte for byte; and what policies judged. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'

const open = { allow_public_unauthenticated_access: true }
let gauntlet: Gauntlet
let upstream: string

/** Routes on hosts of their own; `to` is a path behind the echo's address. */
const routes = (url: string): readonly Readonly<Record<string, unknown>>[] => [
  { from: 'http://plain.localhost', ...open },
  { from: 'http://off.localhost', preserve_host_header: false, ...open },
  { from: 'http://fixed.localhost', host_rewrite: 'app.internal:81', preserve_host_header: true, ...open },
  { from: 'http://header.localhost', host_rewrite_header: 'X-Tenant', ...open },
  {
    from: 'http://set.localhost',
    host_rewrite_header: 'X-Tenant',
    set_request_headers: { 'X-Tenant': 'set.internal' },
    ...open,
  },
  {
    from: 'http://bypath.localhost',
    host_path_regex_rewrite_pattern: '^/([^/]+)(/.*)?$',
    host_path_regex_rewrite_substitution: '\\1.internal',
    ...open,
  },
  { from: 'http://mcp.localhost', to: `${url}/mcp`, ...open },
  { from: 'http://strip.localhost', prefix: '/foo/', to: `${url}/`, ...open },
  {
    from: 'http://regex.localhost',
    regex_rewrite_pattern: '^/(\\w+)/(.*)$',
    regex_rewrite_substitution: '/\\2/of/\\1',
    ...open,
  },
  {
    from: 'http://judged.localhost',
    prefix: '/public',
    prefix_rewrite: '/admin',
    policy: { allow: { or: [{ http_path: { starts_with: '/public' } }] }, deny: { or: [{ http_path: '/public/no' }] } },
  },
]

/** Routes without an upstream, each on a host of its own. */
const ANSWERS: readonly Readonly<Record<string, unknown>>[] = [
  { from: 'http://old.localhost', redirect: { host_redirect: 'new.localhost', response_code: 308 }, ...open },
  { from: 'http://*.moved.localhost', prefix: '/a', redirect: { prefix_rewrite: '/b', strip_query: true }, ...open },
  { from: 'http://same.localhost', redirect: { path_redirect: '/welcome?from=old' }, ...open },
  { from: 'http://secure.localhost', redirect: { https_redirect: true }, allow_any_authenticated_user: true },
  { from: 'http://gone.localhost', response: { status: 410, body: 'gone\n' }, ...open },
]

beforeAll(async () => {
  gauntlet = await createGauntlet({ people: [] })
  upstream = gauntlet.echo.url.replace('http://', '')
  const { url } = gauntlet.echo
  gauntlet.world.reload({ routes: [...routes(url).map((route) => ({ to: url, ...route })), ...ANSWERS] })
})
afterAll(() => gauntlet.close())

async function sent(host: string, target: string, ...headers: readonly string[]) {
  const { received } = await gauntlet.get(target, `Host: ${host}`, ...headers)
  const one = only(received)
  return { target: one.target, host: only(one.values('host')), forwarded: only(one.values('x-forwarded-host')) }
}

describe('Host', () => {
  test.each([
    ['plain.localhost', '/', 'plain.localhost'],
    ['plain.localhost:8080', '/', 'plain.localhost:8080'],
    ['fixed.localhost', '/', 'app.internal:81'],
    ['set.localhost', '/', 'set.internal'],
    ['bypath.localhost', '/shop/x', 'shop.internal'],
  ])('of a request to %s%s is sent as %s', async (host, path, expected) => {
    const { host: received, forwarded, target } = await sent(host, path)
    expect(received).toBe(expected)
    expect(forwarded).toBe(host)
    expect(target).toBe(path)
  })

  test("is the upstream's own with preserve_host_header: false", async () => {
    expect((await sent('off.localhost', '/')).host).toBe(upstream)
  })

  test('comes from a header, and is left alone without one', async () => {
    expect((await sent('header.localhost', '/', 'X-Tenant: One.internal')).host).toBe('one.internal')
    expect((await sent('header.localhost', '/')).host).toBe('header.localhost')
  })

  test('a header of the client does not replace one that the route sets', async () => {
    expect((await sent('set.localhost', '/', 'X-Tenant: evil.internal')).host).toBe('set.internal')
  })

  test.each([
    ['two of them', ['X-Tenant: a.internal', 'X-Tenant: b.internal']],
    ['a path', ['X-Tenant: a.internal/x']],
    ['a user', ['X-Tenant: user@a.internal']],
    ['nothing', ['X-Tenant:']],
  ])('a header that holds %s is refused', async (_, lines) => {
    const { statuses, received } = await gauntlet.get('/', 'Host: header.localhost', ...lines)
    expect(statuses).toEqual([400])
    expect(received).toEqual([])
  })

  test('a path of which no Host can be made is refused', async () => {
    const { statuses, received } = await gauntlet.get('/a%20b/x', 'Host: bypath.localhost')
    expect(statuses).toEqual([400])
    expect(received).toEqual([])
  })

  test.each([
    ['plain.localhost', 'plain.localhost'],
    ['fixed.localhost', 'app.internal:81'],
  ])('of a WebSocket to %s is sent as %s', async (host, expected) => {
    const bytes = [
      'GET /ws HTTP/1.1',
      `Host: ${host}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      `Origin: http://${host}`,
      '',
      '',
    ].join('\r\n')
    const { statuses, received } = await gauntlet.send(bytes, { until: /\r\n\r\n/ })
    expect(statuses).toEqual([101])
    expect(only(received).values('host')).toEqual([expected])
  })
})

describe('the path', () => {
  test.each([
    ['mcp.localhost', '/', '/mcp'],
    ['mcp.localhost', '/?a=%2F', '/mcp?a=%2F'],
    ['mcp.localhost', '/foo/%7Ebar?x', '/mcp/foo/~bar?x'],
    ['strip.localhost', '/foo/', '/'],
    ['strip.localhost', '/foo/bar', '/bar'],
    ['regex.localhost', '/shop/a/b?q=/c/d', '/a/b/of/shop?q=/c/d'],
  ])('of %s%s is sent as %s', async (host, path, expected) => {
    expect((await sent(host, path)).target).toBe(expected)
  })

  test('policies judge the path that was asked', async () => {
    expect((await sent('judged.localhost', '/public/yes')).target).toBe('/admin/yes')
    const { statuses } = await gauntlet.send(request('GET', '/public/no', 'Host: judged.localhost'))
    expect(statuses).toEqual([403])
  })
})

describe('a route without an upstream', () => {
  async function answered(host: string, target: string, ...lines: readonly string[]) {
    const { answers, received } = await gauntlet.get(target, `Host: ${host}`, ...lines)
    expect(received).toEqual([])
    const { status, header, body } = only(answers)
    return { status, location: header('location'), body }
  }

  test.each([
    ['old.localhost', '/x?y=%2F', 308, 'http://new.localhost/x?y=%2F'],
    ['old.localhost:8080', '/', 308, 'http://new.localhost/'],
    ['tenant.moved.localhost', '/a/x?y', 301, 'http://tenant.moved.localhost/b/x'],
    ['same.localhost', '/x?y', 301, 'http://same.localhost/welcome?from=old'],
  ])('redirects %s%s with %i to %s', async (host, target, status, location) => {
    expect(await answered(host, target)).toMatchObject({ status, location })
  })

  test('is judged like every other', async () => {
    expect(await answered('secure.localhost', '/')).toMatchObject({ status: 401, location: undefined })
  })

  test('sends nobody to the address that was asked', async () => {
    expect((await answered('same.localhost', '/welcome?from=old')).status).toBe(508)
  })

  test.each(['//evil.example/a', '/\\evil.example', '/a/..//evil.example'])(
    '%s leads to no other host',
    async (target) => {
      for (const host of ['old.localhost', 'tenant.moved.localhost']) {
        const { location } = await answered(host, target)
        expect(location ?? 'http://new.localhost/').toMatch(/^http:\/\/(?:new|tenant\.moved)\.localhost\//)
      }
    },
  )

  test('is not led elsewhere by Host or by forwarded headers', async () => {
    const { location } = await answered(
      'same.localhost',
      '/',
      'X-Forwarded-Host: evil.example',
      'X-Forwarded-Proto: ftp',
    )
    expect(location).toBe('http://same.localhost/welcome?from=old')
  })

  test('answers with what the configuration holds', async () => {
    expect(await answered('gone.localhost', '/x')).toEqual({ status: 410, location: undefined, body: 'gone\n' })
  })
})
