/**
 * Section A: two readers of one path. The proxy judges one spelling and the application serves another: dot segments
 * (CVE-2026-33494 Oathkeeper, CVE-2019-9901 Envoy, CVE-2023-33189 Pomerium), their escapes (CVE-2025-32431 Traefik),
 * escaped slashes (CVE-2021-29492 Envoy), backslashes, fragments (CVE-2026-41059 oauth2-proxy, CVE-2021-32779 Envoy),
 * a query inside a path regex (CVE-2025-54576 oauth2-proxy), malformed escapes (CVE-2021-32637 Authelia), stripped
 * prefixes (CVE-2026-48020 Traefik, CVE-2021-21321 fastify), health-check agents (CVE-2026-34457 oauth2-proxy).
 */
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet, request } from '../support/gauntlet.ts'

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet()
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

/** Nothing was passed on, and the answer is this one. */
async function expectRefused(target: string, status: number, ...headers: readonly string[]): Promise<void> {
  const { statuses, received, lines } = await gauntlet.get(target, ...headers)
  expect({ target, statuses, reached: received.map((one) => one.target) }).toEqual({
    target,
    statuses: [status],
    reached: [],
  })
  expect(lines).toHaveLength(status === 400 && lines.length === 0 ? 0 : 1)
}

/** Passed on as exactly this target, by this route (I8: the log's path is the one that was judged). */
async function expectPassed(
  target: string,
  upstream: string,
  route: string,
  ...headers: readonly string[]
): Promise<void> {
  const { statuses, received, lines } = await gauntlet.get(target, ...headers)
  expect({ target, statuses, reached: received.map((one) => one.target) }).toEqual({
    target,
    statuses: [200],
    reached: [upstream],
  })
  expect(lines).toEqual([expect.objectContaining({ decision: 'allow', route, status: 200 })])
  if (route !== 'R7') expect(lines[0]?.['path']).toBe(upstream.replace(/\?.*$/s, ''))
}

/** One spelling of /admin: nobody gets in without being asked, and who gets in arrives at /admin. */
async function expectAdmin(target: string, upstream: string): Promise<void> {
  await expectRefused(target, 401)
  await expectRefused(target, 403, `Cookie: ${gauntlet.cookies['bob']}`)
  await expectPassed(target, upstream, 'R3', `Cookie: ${gauntlet.cookies['alice']}`)
}

describe('A01 A02 A07 A11 A16 other spellings of /admin are authorized and forwarded as /admin', () => {
  test.each([
    ['/public/../admin', '/admin'],
    ['/public/./../admin', '/admin'],
    ['/user/../admin/x', '/admin/x'],
    ['/public/%2e%2e/admin', '/admin'],
    ['/public/.%2e/admin', '/admin'],
    ['/public/%2E./admin', '/admin'],
    ['/public/%2E%2E/admin/', '/admin/'],
    ['//admin', '/admin'],
    ['///admin', '/admin'],
    ['/public//..//admin', '/admin'],
    ['/.//admin', '/admin'],
    ['/%61dmin', '/admin'],
    ['/%61%64%6D%69%6e?x', '/admin?x'],
    ['/.postern/../admin', '/admin'],
    ['/.postern/%2e%2e/admin', '/admin'],
    ['/.well-known/postern/../../admin', '/admin'],
    ['/healthz/../admin', '/admin'],
    ['/ping/%2e%2e/admin', '/admin'],
    ['/../../admin', '/admin'],
  ])('%s', expectAdmin)
})

describe('A03 A04 A08 A12 a path that two servers could read differently is 400 for everybody', () => {
  test.each([
    '/public%2f..%2fadmin',
    '/public/..%2fadmin',
    '/public/..%2Fadmin',
    '/admin%2fx',
    '/public/x%2fy',
    '/public\\..\\admin',
    '/public/..%5cadmin',
    '/public/%5C',
    '/\\admin',
    '/admin#/public',
    '/public#/../admin',
    '/public/#',
    '/public?x#y',
    '/admin%00',
    '/public/%00.png',
    '/%zz',
    '/%',
    '/public/%2',
    '/public/%0d%0aX-A:%20b',
    '/public/%0A',
    '/public/%7f',
    '/.postern/%2e%2e%2fadmin',
    '/public/..;/admin',
    '/public/.;x=1/../admin',
    '/api/;x/status',
    '/api/%253bx/status',
    '/public/..%3b/admin',
    '/public/..%3Bx=1/admin',
    '/public/%252e%252e/admin',
    '/public/..%252fadmin',
    '/public/..%255cadmin',
    '/public/..%253b/admin',
    '/public/%252F..%3b/admin',
    '/public/%25252e%25252e/admin',
  ])('%s', async (target) => {
    await expectRefused(target, 400)
    await expectRefused(target, 400, `Cookie: ${gauntlet.cookies['alice']}`)
  })

  test('bytes beyond ASCII and control characters in a path or query are 400', async () => {
    for (const byte of ['\x00', '\x01', '\x09', '\x0b', '\x1f', '\x7f', '\x80', '\xe9', '\xff']) {
      for (const target of [`/public/${byte}`, `/public?${byte}`, `/adm${byte}in`]) {
        const { answers, received } = await gauntlet.get(target)
        expect({ target, status: answers[0]?.status, received }).toEqual({ target, status: 400, received: [] })
      }
    }
  })
})

describe('A07 a path that begins with // is not read as a host', () => {
  test.each([
    '//evil.test/admin',
    '//evil.test',
    '/.//evil.test',
    '///evil.test/%2e%2e',
    '//evil.test:80@app.localhost/',
  ])('%s', async (target) => {
    const { answers, received } = await gauntlet.get(target, 'Accept: text/html')
    expect(received).toEqual([])
    expect(answers.map(({ status }) => status)).toEqual([404])
    expect(answers[0]?.header('location')).toBeUndefined()
  })

  test('a sign-in for such a path returns to our own host', async () => {
    const { answers } = await gauntlet.get('//evil.test/..//user', 'Accept: text/html')
    const location = new URL(answers[0]?.header('location') ?? '')
    expect(location.origin).toBe('http://authenticate.localhost')
    expect(location.searchParams.get('return_to')).toBe('http://app.localhost/user')
  })
})

describe('A08 A09 A18 a query does not decide and is forwarded byte for byte', () => {
  test.each([
    ['/api/private/secret?path=/status', 404],
    ['/api/private?x=/../status', 404],
    ['/api/private/%23/status', 404],
    ['/api/a/b/status', 404],
    ['/api/x/status/', 404],
    ['/x/api/x/status', 404],
  ])('%s does not match the public regex', (target, status) => expectRefused(target, status))

  test.each([
    ['/api/x/status?', '/api/x/status?', 'R4'],
    ['/api/x/status?/../../../admin', '/api/x/status?/../../../admin', 'R4'],
    ['/api/%23/status', '/api/%23/status', 'R4'],
    ['/api/%3f/status', '/api/%3F/status', 'R4'],
    ['/api/private%3fpath=/status', '/api/private%3Fpath=/status', 'R4'],
    ['/public/secret%23/endpoint', '/public/secret%23/endpoint', 'R1'],
    ['/public?a=1&a=2', '/public?a=1&a=2', 'R1'],
    ['/public?a=1;b=2', '/public?a=1;b=2', 'R1'],
    ['/public?a=%26b&%00%zz', '/public?a=%26b&%00%zz', 'R1'],
    ['/public??', '/public??', 'R1'],
    ['/public/?//../\\%2f', '/public/?//../\\%2f', 'R1'],
    ['/public/a%252Fb', '/public/a%252Fb', 'R1'],
  ])('%s', (target, upstream, route) => expectPassed(target, upstream, route))
})

describe('A11 A14 a path in another case or with a longer segment is another path', () => {
  test.each([
    '/ADMIN',
    '/Admin',
    '/publicadmin',
    '/public.evil',
    '/public;admin',
    '/administrator',
    '/admin../x',
    '/admin.',
    '/user%20',
  ])('%s matches no route', async (target) => {
    await expectRefused(target, 404)
    await expectRefused(target, 404, `Cookie: ${gauntlet.cookies['alice']}`)
  })
})

describe('A15 no path leaves a rewritten prefix', () => {
  test.each([
    ['/strip/x', '/internal/x'],
    ['/strip/x/../y', '/internal/y'],
    ['/strip//..//strip/z', '/internal/z'],
    ['/%73trip/secret', '/internal/secret'],
    ['/strip/%3fx', '/internal/%3Fx'],
    ['/strip/%23', '/internal/%23'],
    ['/strip/%41?q=/../..', '/internal/A?q=/../..'],
    ['/strip/', '/internal/'],
  ])('%s', (target, upstream) => expectPassed(target, upstream, 'R7'))

  test.each([
    ['/strip/../admin', 401],
    ['/strip/..%2fadmin', 400],
    ['/strip%2fx', 400],
    ['/strip//..', 404],
    ['/strip/..', 404],
    ['/strip../admin', 404],
    ['/stripx', 404],
    ['/strip/..;/admin', 400],
    ['/internal/x', 404],
  ])('%s', (target, status) => expectRefused(target, status))
})

describe('A16 A17 control and health paths match exactly and give no access', () => {
  test.each([
    ['/.postern/nothing', 404],
    ['/.postern/user/x', 404],
    ['/.posternx/user', 404],
    ['/.POSTERN/user', 404],
    ['/healthz/', 404],
    ['/healthz;/admin', 404],
    ['/ping/x', 404],
    ['/.well-known/postern/x', 404],
    ['/foo/%2e%2e/.postern/user', 401],
  ])('%s', (target, status) => expectRefused(target, status))

  test.each(['GoogleHC/1.0', 'kube-probe/1.30', 'ELB-HealthChecker/2.0', 'Amazon CloudFront'])(
    'the agent %s is judged like any other',
    async (agent) => {
      await expectRefused('/admin', 401, `User-Agent: ${agent}`)
      await expectRefused('/', 404, `User-Agent: ${agent}`)
    },
  )

  test('the health path answers a constant to everybody', async () => {
    const [anonymous, alice] = await Promise.all(
      [[], [`Cookie: ${gauntlet.cookies['alice']}`]].map((headers) =>
        fetchRaw(request('GET', '/healthz', 'Host: nowhere.localhost', 'X-Forwarded-Uri: /admin', ...headers)),
      ),
    )
    expect(anonymous).toEqual(alice)
    expect(anonymous).toMatchObject({ status: 200, body: 'OK\n' })
  })
})

/** Tomcat, WSGI, PHP and IIS at their worst: decodes twice, `\` is `/`, parameters dropped, slashes and dots collapsed, no case. */
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
  return `/${kept.join('/')}`.toLowerCase()
}

test('what is served without a session stays below the public prefixes, however an upstream reads the path', async () => {
  expect(worstReading('/public/..%253b/ADMIN;x')).toBe('/admin')
  const pieces =
    '/ // . .. %2e %2E %252e %2f %252F %5c %255c \\ ; ;x %3b %253B ? %3f # %23 %25 %2525 %00 %20 %c0%ae ~ x %61 ' +
    'public admin Admin strip api status user .postern'
  const piece = fc.constantFrom(...pieces.split(' '))
  const target = fc
    .tuple(fc.constantFrom('/public/', '/strip/', '/api/', '/'), fc.array(piece, { maxLength: 9 }))
    .map(([prefix, rest]) => prefix + rest.join(''))
  await fc.assert(
    fc.asyncProperty(fc.array(target, { minLength: 20, maxLength: 20 }), async (targets) => {
      for (const one of targets) {
        const { received } = await gauntlet.get(one)
        for (const { target: reached } of received) {
          expect({ one, reached, reads: worstReading(reached) }).toEqual({
            one,
            reached,
            reads: expect.stringMatching(/^\/(?:public|internal)(?:\/|$)|^\/api\/[^/]+\/status$/),
          })
        }
      }
    }),
    { numRuns: 25 },
  )
})

async function fetchRaw(bytes: string) {
  const { answers } = await gauntlet.send(bytes, { moreLines: -1 })
  const [answer] = answers
  return { status: answer?.status, body: answer?.body, names: answer?.headers.map(([name]) => name) }
}

test('a path of 30 KiB is matched as a whole', async () => {
  await expectPassed(`/public/${'a/../'.repeat(5000)}x`, '/public/x', 'R1')
  const { statuses, received } = await gauntlet.get(`/public/${'a'.repeat(40_000)}`)
  expect({ statuses, received }).toEqual({ statuses: [431], received: [] })
})
