/**
 * Paths that some servers read another way than others: escaped slashes (CVE-2021-29492 Envoy) and repeated ones. A route
 * may keep them for applications that need them; no policy is passed by because of it.
 */
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'

const PUBLIC = { allow_public_unauthenticated_access: true }
const KEEP = { path_with_escaped_slashes_action: 'keep' }
const UNMERGED = { merge_slashes: false }

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet({
    people: ['alice'],
    moreRoutes: [
      { name: 'gitlab', prefix: '/gitlab', ...KEEP, ...PUBLIC },
      { name: 'one name', regex: '/one/[^/]+', ...KEEP, ...PUBLIC },
      { name: 'exact', path: '/queues/%2F/q', ...KEEP, ...PUBLIC },
      { name: 'stripped', prefix: '/cut/', prefix_rewrite: '/to/', ...KEEP, ...UNMERGED, ...PUBLIC },
      {
        name: 'judged',
        prefix: '/judged',
        ...KEEP,
        ...UNMERGED,
        policy: [
          {
            allow: { or: [{ accept: true }] },
            deny: {
              or: [{ http_path: '/judged/a%2Fb' }, { http_path: '/judged/x/y' }, { http_path: '/judged//deny' }],
            },
          },
        ],
      },
      { name: 'web', prefix: '/web', ...UNMERGED, ...PUBLIC },
      { name: 'web user', prefix: '/mine', ...UNMERGED, ...KEEP, allow_any_authenticated_user: true },
      { name: 'root admin', from: 'http://root.localhost', prefix: '/admin', allowed_groups: ['Engineering'] },
      { name: 'root', from: 'http://root.localhost', ...KEEP, ...UNMERGED, ...PUBLIC },
      { name: 'down', from: 'http://down.localhost', to: 'http://127.0.0.1:9', ...UNMERGED, ...PUBLIC },
    ],
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

async function expectPassed(target: string, upstream: string, ...headers: readonly string[]): Promise<void> {
  const { statuses, received, lines } = await gauntlet.get(target, ...headers)
  expect({ target, statuses, reached: received.map((one) => one.target) }).toEqual({
    target,
    statuses: [200],
    reached: [upstream],
  })
  expect(only(lines)['decision']).toBe('allow')
}

async function expectRefused(target: string, status: number, ...headers: readonly string[]): Promise<void> {
  const { statuses, received } = await gauntlet.get(target, ...headers)
  expect({ target, statuses, received }).toEqual({ target, statuses: [status], received: [] })
}

describe('path_with_escaped_slashes_action: keep', () => {
  test.each([
    ['/gitlab/api/v4/projects/a%2Fb', '/gitlab/api/v4/projects/a%2Fb'],
    ['/gitlab/a%2fb%5cc?q=%2F', '/gitlab/a%2Fb%5Cc?q=%2F'],
    ['/gitlab/%2F/q', '/gitlab/%2F/q'],
    ['/gitlab/@corp%2Ftool', '/gitlab/@corp%2Ftool'],
    ['/gitlab//a%2Fb', '/gitlab/a%2Fb'],
    ['/gitlab/a%2F', '/gitlab/a%2F'],
    ['/one/a%2Fb', '/one/a%2Fb'],
    ['/queues/%2F/q', '/queues/%2F/q'],
    ['/queues/%2f/q', '/queues/%2F/q'],
    ['/cut/a%2Fb', '/to/a%2Fb'],
  ])('%s is judged and forwarded as %s', (target, upstream) => expectPassed(target, upstream))

  test.each([
    '/gitlab/..%2fadmin',
    '/gitlab/..%2Fadmin',
    '/gitlab/%2e%2e%2fadmin',
    '/gitlab/x%2f..',
    '/gitlab/x%2f../admin',
    '/gitlab/x%2F%2E%2E%2Fadmin',
    '/gitlab/a%2Fb/../c',
    '/gitlab/./a%2Fb',
    '/gitlab/a%5c..%5cadmin',
    '/gitlab/..%5Cadmin',
    '/gitlab/a%2F..;x/b',
    '/gitlab/a%2F;x/b',
    '/gitlab/a%2F%252e%252e/b',
    '/gitlab/a%2F..%252fadmin',
    '/gitlab/a\\b%2F',
    '/gitlab/a%2F%00',
    '/gitlab/a%2F%zz',
    '/cut/..%2Fadmin',
  ])('%s stays refused', (target) => expectRefused(target, 400, `Cookie: ${gauntlet.cookies['alice']}`))

  test('a policy sees what is forwarded', async () => {
    await expectRefused('/judged/a%2fb', 403)
    await expectPassed('/judged/a%2Fc', '/judged/a%2Fc')
  })

  test.each(['/judged/x%2Fy', '/judged/x%5cy', '/judged//x%2Fy', '/judged/x%2F%2Fy', '/judged%2Fx/y'])(
    '%s: a policy sees what an upstream that decodes it reads, too',
    (target) => expectRefused(target, target.startsWith('/judged%') ? 400 : 403),
  )

  test.each(['/admin%2Fx', '/x%2F..%2Fadmin', '/%2Fadmin', '/%5cadmin', '/.postern%2Fuser', '//admin%2Fx'])(
    '%s of a route for everything: another route, or we, have the path that a server may read',
    (target) => expectRefused(target, 400, 'Host: root.localhost'),
  )

  test('a route without the key refuses, whoever asks', async () => {
    await expectRefused('/public/a%2Fb', 400)
    await expectRefused('/admin/a%5Cb', 400, `Cookie: ${gauntlet.cookies['alice']}`)
    await expectRefused('/nothing/a%2Fb', 400)
    await expectRefused('/x%2Fy', 400, 'Host: nowhere.localhost')
  })
})

describe('merge_slashes: false', () => {
  test.each([
    ['/web/2020/http://site.example/x', '/web/2020/http://site.example/x'],
    ['/web//a///b//', '/web//a///b//'],
    ['/web/a/../b//c', '/web/b//c'],
    ['/web/a//../b', '/web/a/b'],
    ['/cut//a', '/to//a'],
    ['/public//a', '/public/a'],
  ])('%s is forwarded as %s', (target, upstream) => expectPassed(target, upstream))

  test('a deny on either reading wins', async () => {
    await expectRefused('/judged//x//y', 403)
    await expectRefused('/judged//deny', 403)
    await expectPassed('/judged//x//z', '/judged//x//z')
  })

  test.each(['//admin', '///admin/x', '/x//..//admin', '//.postern/user', '//.postern/../admin'])(
    '%s: merged, the path is of another route or ours',
    (target) => expectRefused(target, 400, 'Host: root.localhost', `Cookie: ${gauntlet.cookies['alice']}`),
  )

  test.each([
    ['/judged/%252F..//..', '/judged/'],
    ['/judged/%252e%252e//../x', '/judged/x'],
    ['/judged/;x//../y', '/judged/y'],
  ])('%s hides a dot segment when its slashes are kept: they are merged', (target, upstream) =>
    expectPassed(target, upstream),
  )

  test('two readings that different routes serve are refused', async () => {
    await expectRefused('//web/x', 400)
    await expectRefused('/web//../public', 400)
  })

  test('after the sign-in the person is back at the address that was asked', async () => {
    const address = `http://app.localhost/mine/http://site.example/a%2Fb?q=//`
    const landed = await gauntlet.world.signIn(gauntlet.world.browser(), address, 'bob@example.com')
    expect(landed.status).toBe(200)
    expect(JSON.parse(landed.body)).toMatchObject({ target: '/mine/http://site.example/a%2Fb?q=//' })
    await gauntlet.skip()
  })

  test('a WebSocket opens at the path that was asked', async () => {
    const { received } = await gauntlet.send(
      request(
        'GET',
        '/web//a',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ).replace('Connection: close\r\n', ''),
      { until: /\r\n\r\n/ },
    )
    expect(only(received).target).toBe('/web//a')
  })
})

describe('a refused path', () => {
  test('names the key to whoever runs the application, and the log has method, host and path', async () => {
    const scripted = await gauntlet.get('/public/a%2Fb?secret=1')
    expect(JSON.parse(only(scripted.answers).body)).toMatchObject({
      error: 'bad-request',
      detail: 'escaped slash (%2F or %5C) in the path',
      advice: 'path_with_escaped_slashes_action: keep',
    })
    expect(only(scripted.lines)).toMatchObject({
      method: 'GET',
      host: 'app.localhost',
      path: '/public/a%2Fb',
      status: 400,
      detail: 'escaped slash (%2F or %5C) in the path',
    })
    const page = only((await gauntlet.get('/public/a%2Fb', 'Accept: text/html', 'Sec-Fetch-Mode: navigate')).answers)
    expect(page.status).toBe(400)
    expect(page.header('content-type')).toContain('text/html')
    expect(page.body).toContain('path_with_escaped_slashes_action: keep')
  })
})

test('an error page links to the host that was asked, never to the first segment behind two slashes', async () => {
  const page = ['Host: down.localhost', 'Accept: text/html', 'Sec-Fetch-Mode: navigate']
  for (const target of ['//evil.test/x', '///evil.test/x', '//evil.test//x?q']) {
    const answer = only((await gauntlet.get(target, ...page)).answers)
    expect(answer.status).toBe(502)
    const links = Array.from(answer.body.matchAll(/<a [^>]*href="([^"]*)"/g), ([, href = '']) =>
      href.replaceAll('&#x2F;', '/'),
    )
    const addresses = links.map((link) => new URL(link, `http://down.localhost${target}`).href)
    expect(addresses).toContain(`http://down.localhost${target}`)
    expect(addresses.filter((address) => !address.startsWith('http://down.localhost/'))).toEqual([])
  }
})

/** As the worst of servers: decodes twice, backslashes, parameters, repeated slashes, dots. */
function worstReading(target: string): string {
  let path = target.replace(/\?.*$/s, '')
  for (let i = 0; i < 2; i++)
    path = path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  const kept: string[] = []
  for (const segment of path
    .replaceAll('\\', '/')
    .split('/')
    .map((part) => part.replace(/;.*$/s, ''))) {
    if (segment === '..') kept.pop()
    else if (segment !== '' && segment !== '.') kept.push(segment)
  }
  return `/${kept.join('/')}`
}

test('what is kept stays below the prefix of its route, however an upstream reads it', async () => {
  const pieces = '/ // . .. %2e %2E %252e %2f %2F %252F %5c %5C \\ ; ;x %3b ? %23 %25 %00 ~ x admin .postern'.split(' ')
  const target = fc
    .tuple(
      fc.constantFrom('/gitlab/', '/cut/', '/web/', '/judged/', '/'),
      fc.array(fc.constantFrom(...pieces), { maxLength: 8 }),
    )
    .map(([prefix, rest]) => prefix + rest.join(''))
  await fc.assert(
    fc.asyncProperty(fc.array(target, { minLength: 20, maxLength: 20 }), async (targets) => {
      for (const one of targets) {
        for (const { target: reached } of (await gauntlet.get(one)).received) {
          expect({ one, reached, reads: worstReading(reached) }).toEqual({
            one,
            reached,
            reads: expect.stringMatching(/^\/(?:gitlab|to|web|judged|one)(?:\/|$)/),
          })
        }
      }
    }),
    { numRuns: 15, examples: [[['/judged/%252F..//..']]] },
  )
})
