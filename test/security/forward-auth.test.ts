/** Another proxy asks whether a request may pass: what it says must be whole, once, and of a proxy that is trusted. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP, createGauntlet, type Gauntlet, only } from '../support/gauntlet.ts'
import { startTokenMaker } from '../support/service-tokens.ts'

let g: Gauntlet
let stranger: Gauntlet
beforeAll(async () => {
  g = await createGauntlet({
    config: { trusted_proxies: ['127.0.0.1'], pass_identity_headers: true, jwt_claims_headers: ['email', 'groups'] },
    moreRoutes: [
      {
        name: 'redirect',
        to: undefined,
        prefix: '/old',
        redirect: { path_redirect: '/user' },
        allow_public_unauthenticated_access: true,
      },
      {
        name: 'respond',
        to: undefined,
        prefix: '/hello',
        response: { status: 200, body: 'x' },
        allow_public_unauthenticated_access: true,
      },
      { name: 'tokens', prefix: '/tokens', allowed_groups: ['Engineering'], service_tokens: true },
      { name: 'merge', prefix: '/files', merge_slashes: false, allowed_groups: ['Engineering'] },
    ],
  })
  stranger = await createGauntlet({ people: ['alice'] })
})
afterAll(async () => {
  for (const gauntlet of [g, stranger]) await gauntlet.close()
})

const ENDPOINT = '/.postern/forward-auth'
const described = (uri: string, method = 'GET'): Record<string, string> => ({
  'X-Forwarded-Method': method,
  'X-Forwarded-Proto': 'http',
  'X-Forwarded-Host': APP,
  'X-Forwarded-Uri': uri,
})
const lines = (headers: Readonly<Record<string, string>>): string[] =>
  Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
const cookie = (who: string): string => `Cookie: ${g.cookies[who]}`

async function ask(uri: string, ...more: readonly string[]) {
  const outcome = await g.get(ENDPOINT, ...lines(described(uri)), ...more)
  return { ...outcome, answer: only(outcome.answers) }
}

describe('who may pass', () => {
  test('a member of the group, with the headers that say who it is, and nobody asks the upstream', async () => {
    const { answer, received, lines: logged } = await ask('/admin?x=1', cookie('alice'))
    expect([answer.status, answer.body]).toEqual([200, ''])
    expect(answer.header('x-postern-claim-email')).toBe('alice@example.com')
    expect(answer.header('x-postern-jwt-assertion')).toMatch(/^ey/)
    expect(answer.header('cache-control')).toBe('no-store')
    expect(answer.header('set-cookie')).toBeUndefined()
    expect(received).toEqual([])
    expect(only(logged)).toMatchObject({
      forward_auth: true,
      path: '/admin',
      route: 'R3',
      decision: 'allow',
      status: 200,
    })
  })

  test('not somebody else, with the reason for a script and the page for a browser', async () => {
    const { answer } = await ask('/admin', cookie('bob'))
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([403, { reason: 'groups-unauthorized' }])
    const page = (await ask('/admin', cookie('bob'), 'Accept: text/html')).answer
    expect([page.status, page.header('content-type')]).toEqual([403, 'text/html; charset=utf-8'])
  })

  test('a public route, without any identity', async () => {
    const { answer } = await ask('/public')
    expect([answer.status, answer.header('x-postern-jwt-assertion')]).toEqual([200, undefined])
  })

  test('nobody: a browser is sent to the sign-in, a script gets 401', async () => {
    const { answer } = await ask('/user?a=b', 'Accept: text/html')
    expect(answer.status).toBe(302)
    expect(new URL(answer.header('location') ?? '').pathname).toBe('/.postern/sign_in')
    expect(answer.header('set-cookie')).toMatch(/^postern/)
    expect((await ask('/user')).answer.status).toBe(401)
  })

  test('for a proxy that cannot pass on a redirect, 401 for a browser, too', async () => {
    const outcome = await g.get(`${ENDPOINT}?unauthenticated=401`, ...lines(described('/user')), 'Accept: text/html')
    expect(outcome.statuses).toEqual([401])
    expect(only(outcome.answers).header('www-authenticate')).toBeDefined()
  })

  test('the method that is judged is the one of the request', async () => {
    const post = await g.get(ENDPOINT, ...lines(described('/user', 'POST')), 'Accept: text/html')
    expect(post.statuses).toEqual([401])
    expect(only(post.lines)).toMatchObject({ method: 'POST', path: '/user' })
  })

  test('a question by another method, with the length of a body that is not sent', async () => {
    const question = `PUT ${ENDPOINT} HTTP/1.1\r\nHost: postern\r\nContent-Length: 0\r\n${lines(described('/admin')).join('\r\n')}\r\n${cookie('alice')}\r\nConnection: close\r\n\r\n`
    expect((await g.send(question)).statuses).toEqual([200])
  })

  test('an address that is appended to ours, as Envoy asks, or its query alone, as Caddy does', async () => {
    const good = await g.get(`${ENDPOINT}/admin?x=1`, ...lines(described('/admin?x=1')), cookie('alice'))
    expect(good.statuses).toEqual([200])
    const query = await g.get(`${ENDPOINT}?x=1`, ...lines(described('/admin?x=1')), cookie('alice'))
    expect(query.statuses).toEqual([200])
    const other = await g.get(`${ENDPOINT}/public`, ...lines(described('/admin')), cookie('alice'))
    expect(other.statuses).toEqual([400])
  })

  test('what a route answers itself is passed on, and is never a yes', async () => {
    const redirect = (await ask('/old')).answer
    expect([redirect.status, redirect.header('location')]).toEqual([301, `http://${APP}/user`])
    expect((await ask('/hello')).answer.status).toBe(404)
  })

  test.each(['/.postern/', '/.postern/user', '/.postern/forward-auth', '/.well-known/postern/jwks.json', '/none'])(
    'not %s, which no application has',
    async (uri) => {
      expect((await ask(uri, cookie('alice'))).answer.status).toBe(404)
    },
  )

  test('a WebSocket from a page of another origin may not, by the one header that every proxy leaves', async () => {
    const socket = ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13', cookie('alice')]
    expect((await ask('/ws', ...socket, `Origin: http://${APP}`)).answer.status).toBe(200)
    expect((await ask('/ws', ...socket, 'Origin: http://evil.example')).answer.status).toBe(403)
    // No browser.
    expect((await ask('/ws', ...socket)).answer.status).toBe(200)
    expect((await ask('/nows', ...socket, `Origin: http://${APP}`)).answer.status).toBe(403)
  })

  test('a cookie of another host is nobody', async () => {
    const foreign = { ...described('/'), 'X-Forwarded-Host': 'admin.localhost' }
    expect((await g.get(ENDPOINT, ...lines(foreign), cookie('alice'))).statuses).toEqual([401])
  })
})

test('a program with a token passes only when the proxy keeps the token from the application', async () => {
  const maker = await startTokenMaker(g.world)
  const token = await maker.create('--name', 'ci', '--group', 'Engineering')
  const asked = [...lines(described('/tokens')), `Authorization: Bearer ${token}`]
  const kept = await g.get(ENDPOINT, ...asked)
  expect(kept.statuses).toEqual([403])
  expect(only(kept.lines)['detail']).toContain('authorization=removed')
  for (const query of ['?authorization=removed', '?unauthenticated=401&authorization=removed']) {
    const removed = await g.get(ENDPOINT + query, ...asked)
    expect(removed.statuses).toEqual([200])
    expect(only(removed.lines)).toMatchObject({ auth: 'service', service_account: 'ci' })
  }
  // The application's own.
  const own = await g.get(ENDPOINT, ...lines(described('/tokens')), cookie('alice'), 'Authorization: Bearer of-the-app')
  expect(own.statuses).toEqual([200])
  await maker.close()
})

/** The proxy forwards what it was asked about: no token may go where Postern itself would take it out. */
test.each([
  ['a service token on a public route', '/public', `pst_${'a'.repeat(32)}`, false],
  ['the token of a program on a public route', '/public', 'psl_v1.of.another-host', false],
  ['the token of a program for another host, beside a session', '/user', 'psl_v1.of.another-host', true],
])('%s is kept from the application', async (_, uri, token, signedIn) => {
  const basic = Buffer.from(`git:${token}`).toString('base64')
  for (const shown of [`Bearer ${token}`, `bearer\t${token}`, `Basic ${basic}`]) {
    const asked = [...lines(described(uri)), `Authorization: ${shown}`, ...(signedIn ? [cookie('alice')] : [])]
    const kept = await g.get(ENDPOINT, ...asked)
    expect([shown, kept.statuses]).toEqual([shown, [403]])
    expect(only(kept.lines)['detail']).toContain('authorization=removed')
    expect((await g.get(`${ENDPOINT}?authorization=removed`, ...asked)).statuses).toEqual([200])
  }
  const own = await g.get(ENDPOINT, ...lines(described(uri)), cookie('alice'), 'Authorization: Bearer of-the-app')
  expect(own.statuses).toEqual([200])
})

describe('what the proxy says', () => {
  const names = Object.keys(described('/'))
  test.each(names)('without %s is refused', async (name) => {
    const { [name]: _, ...others } = described('/public')
    const { statuses, lines: logged } = await g.get(ENDPOINT, ...lines(others))
    expect(statuses).toEqual([400])
    expect(only(logged)['detail']).toBe(`no ${name.toLowerCase()}`)
  })

  test.each(names)('with two %s is refused', async (name) => {
    for (const second of [described('/public')[name], '/admin', '']) {
      expect((await ask('/public', `${name}: ${second}`)).answer.status).toBe(400)
    }
  })

  test.each([
    ['X-Forwarded-Method', ['', 'get /', 'GET, POST', 'CONNECT', 'TRACE', 'FOO']],
    ['X-Forwarded-Proto', ['', 'ftp', 'http, https', 'https://', 'javascript']],
    ['X-Forwarded-Host', ['', 'a, b', `${APP}/x`, `user@${APP}`, `${APP}:0x50`, 'a b', `${APP}#`, '..']],
    [
      'X-Forwarded-Uri',
      [
        '',
        'admin',
        '*',
        'http://app.localhost/public',
        '/public, /admin',
        '/public/../admin',
        '/public/%2e%2e/admin',
        '/public/..%2fadmin',
        '/public/..;/admin',
        '/public//x',
        '/%70ublic',
        '/public\\..\\admin',
        '/public#x',
        '/public/%00',
        '/public /x',
        '/public?a=\u00e9',
        '/public%',
      ],
    ],
  ])('%s in a form that cannot be read, or in more than one way, is refused', async (name, values) => {
    for (const value of values) {
      const { answers } = await g.get(ENDPOINT, ...lines({ ...described('/public'), [name]: value }), cookie('alice'))
      const { status } = only(answers)
      // A host that nobody serves is lawful, and not there.
      expect([value, status >= 400 && status < 500]).toEqual([value, true])
      expect([400, 404]).toContain(status)
    }
  })

  test('repeated slashes where the route keeps them are judged in both ways', async () => {
    expect((await ask('/files//x', cookie('alice'))).answer.status).toBe(200)
    expect((await ask('/files//x', cookie('bob'))).answer.status).toBe(403)
    expect((await ask('//files/x', cookie('alice'))).answer.status).toBe(400)
  })

  test('escapes in lower case are the same address', async () => {
    expect((await ask('/public/caf%c3%a9')).answer.status).toBe(200)
  })

  test.each(['X-Original-URL', 'X-Original-URI', 'X-Rewrite-URL'])(
    'a differing %s is refused, the same is not',
    async (name) => {
      for (const same of ['/public?a', `http://${APP}/public?a`]) {
        expect((await ask('/public?a', `${name}: ${same}`)).answer.status).toBe(200)
      }
      for (const other of ['/admin', '/public', `https://${APP}/public?a`, 'http://evil/public?a', '']) {
        expect((await ask('/public?a', `${name}: ${other}`)).answer.status).toBe(400)
      }
      expect((await ask('/public', `${name}: /public`, `${name}: /public`)).answer.status).toBe(400)
    },
  )

  test('a differing X-Original-Method is refused', async () => {
    expect((await ask('/public', 'X-Original-Method: GET')).answer.status).toBe(200)
    expect((await ask('/public', 'X-Original-Method: POST')).answer.status).toBe(400)
  })

  test.each([
    '?unauthenticated=200',
    '?unauthenticated=401&x',
    '?unauthenticated=401&unauthenticated=302',
    '?authorization=kept',
    '?',
    '?rd=http://evil',
    '/',
    '/public/',
    '/./public',
  ])('the question itself must be known: %s', async (rest) => {
    const { statuses } = await g.get(ENDPOINT + rest, ...lines(described('/public')))
    expect(statuses).toEqual([400])
  })

  test('our own headers of the client change nothing', async () => {
    const { answer } = await ask('/public', 'X-Postern-Claim-Email: root@example.com', 'X_Forwarded_Uri: /admin')
    expect([answer.status, answer.header('x-postern-claim-email')]).toEqual([200, undefined])
  })
})

test('nobody but a trusted proxy may ask', async () => {
  const all = lines(described('/public'))
  const { answers, lines: logged } = await stranger.get(ENDPOINT, ...all)
  expect(only(answers).status).toBe(403)
  expect(only(logged)['detail']).toBe('forward-auth is for proxies that trusted_proxies names')
})

test('the program is unharmed', async () => {
  await g.expectUnharmed()
})
