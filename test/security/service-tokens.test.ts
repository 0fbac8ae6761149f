/** Service tokens on the wire: what lets a program in, what is refused and how, and what the application never sees. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'
import { basic, startTokenMaker, type TokenMaker } from '../support/service-tokens.ts'

const GROUP = ['--group', 'Engineering']
const NEVER_MADE = `pst_${'A'.repeat(32)}`

let gauntlet: Gauntlet
let maker: TokenMaker
let token = ''
let id = ''
beforeAll(async () => {
  const takes = { service_tokens: true }
  gauntlet = await createGauntlet({
    moreRoutes: [
      { name: 'any', prefix: '/any', allow_any_authenticated_user: true, ...takes },
      { name: 'group', prefix: '/group', allowed_groups: ['Engineering'], ...takes },
      { name: 'people', prefix: '/people', allowed_domains: ['example.com'], ...takes },
      {
        name: 'looks',
        prefix: '/looks',
        policy: [
          { allow: { and: [{ authenticated_user: true }, { 'http_header/authorization': { contains: 'pst_' } }] } },
        ],
        ...takes,
      },
      { name: 'network', prefix: '/network', policy: [{ allow: { or: [{ source_ip: '127.0.0.0/8' }] } }], ...takes },
      {
        name: 'optional',
        prefix: '/optional',
        allow_public_unauthenticated_access: true,
        identity: 'optional',
        ...takes,
      },
    ],
  })
  maker = await startTokenMaker(gauntlet.world)
  token = await maker.create('--name', 'ci', ...GROUP)
  const [listed] = JSON.parse((await maker.run('list', '--json')).out) as readonly { readonly token: string }[]
  id = listed?.token ?? ''
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  expect(gauntlet.world.logText()).not.toContain(token.slice(4))
  await maker.close()
  await gauntlet.close()
})

const session = (login: string): string => `Cookie: ${gauntlet.cookies[login]}`
const bearer = (value: string): string => `Authorization: Bearer ${value}`

describe('a good token', () => {
  test.each<[what: string, header: (value: string) => string]>([
    ['bearer', bearer],
    ['a scheme in capitals', (value) => `AUTHORIZATION: BEARER   ${value}`],
    ['a password', (value) => basic('__token__', value)],
    ['a password of nobody', (value) => basic('', value)],
    ['a password of a name with odd characters', (value) => basic('ä\n', value)],
  ])('as %s lets the program in, and is gone then', async (_, header) => {
    const { answers, received, lines } = await gauntlet.get('/group/x', header(token))
    expect(only(answers).status).toBe(200)
    expect(only(received).values('authorization')).toEqual([])
    expect(JSON.stringify(only(received).headers)).not.toContain(token)
    expect(only(lines)).toMatchObject({ auth: 'service', service_account: 'ci', token: id, decision: 'allow' })
    expect(only(lines)).not.toHaveProperty('user_id')
  })

  test('tells the application who this is, as no person', async () => {
    const { received } = await gauntlet.get('/any', bearer(token))
    const forwarded = only(received)
    expect(forwarded.values('x-postern-claim-email')).toEqual([])
    expect(forwarded.values('x-postern-claim-groups')).toEqual(['Engineering'])
    const [assertion = ''] = forwarded.values('x-postern-jwt-assertion')
    const claims = JSON.parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString()) as object
    expect(claims).toMatchObject({ sub: 'service:ci', user: 'service:ci', kind: 'service', groups: ['Engineering'] })
    expect(claims).not.toHaveProperty('sid')
    expect(claims).not.toHaveProperty('email')
  })

  test('is in none of the domains that a rule names, nor seen by a rule about headers', async () => {
    for (const target of ['/people', '/looks']) {
      const { statuses, received } = await gauntlet.get(target, bearer(token))
      expect({ statuses, received }).toEqual({ statuses: [403], received: [] })
    }
  })

  test('in the query is nothing at all', async () => {
    const { answers, received } = await gauntlet.get(`/any?access_token=${NEVER_MADE}`)
    expect(only(answers).status).toBe(401)
    expect(received).toEqual([])
  })

  test.each(['/user', '/admin'])('is refused where none is taken (%s), and goes nowhere', async (target) => {
    const { answers, received, lines } = await gauntlet.get(target, bearer(token))
    expect(only(answers).status).toBe(403)
    expect(only(answers).header('www-authenticate')).toContain('error="insufficient_scope"')
    expect(received).toEqual([])
    expect(only(lines)).toMatchObject({ decision: 'bad-token', reasons: ['token-scope'] })
  })

  test.each(['/public', '/api/1/status', '/strip/x'])(
    'never reaches the application of a public route (%s)',
    async (target) => {
      for (const header of [bearer(token), `Authorization: Bearer\t${token}`, basic('git', token)]) {
        const { received } = await gauntlet.get(target, header)
        expect(only(received).values('authorization')).toEqual([])
      }
      expect(
        only((await gauntlet.get(target, bearer('of-the-application'))).received).values('authorization'),
      ).toHaveLength(1)
    },
  )

  test('is known, and kept, on a public route that asks for identity', async () => {
    const { received } = await gauntlet.get('/optional', bearer(token))
    expect(only(received).values('authorization')).toEqual([])
    expect(only(received).values('x-postern-jwt-assertion')).toHaveLength(1)
  })
})

describe('beside the cookie of a session', () => {
  test('a good token is a second person: 400', async () => {
    for (const target of ['/any', '/user']) {
      const { statuses, received, lines } = await gauntlet.get(target, session('alice'), bearer(token))
      expect({ statuses, received }).toEqual({ statuses: [400], received: [] })
      expect(only(lines)['error_message']).toMatch(/^credentials of two people: session and /)
    }
  })

  test.each<[what: string, header: string]>([
    ['a token that was never made', bearer(NEVER_MADE)],
    ['such a password', basic('git', NEVER_MADE)],
    ['a bearer token of the application', bearer('eyJhbGciOiJub25lIn0.e30.')],
    ['a password of the application', basic('alice', 'hunter2')],
    ['another scheme', 'Authorization: Digest username="a"'],
  ])('%s passes unchanged', async (_, header) => {
    const { statuses, received } = await gauntlet.get('/any', session('alice'), header)
    expect(statuses).toEqual([200])
    expect(only(received).values('authorization')).toEqual([header.slice('Authorization: '.length)])
  })
})

describe('without a cookie', () => {
  test.each<[what: string, header: string]>([
    ['a token that was never made', bearer(NEVER_MADE)],
    ['such a password', basic('git', NEVER_MADE)],
    ['the prefix alone', bearer('pst_')],
    ['too short a token', bearer('pst_abc')],
    ['the id of a token', bearer('pst_0123456789ab')],
    ['60 KB of one', bearer(`pst_${'a'.repeat(30_000)}`)],
  ])('%s is 401 invalid_token, also where a rule lets everybody in', async (_, header) => {
    for (const target of ['/any', '/group', '/network']) {
      const { answers, received, lines } = await gauntlet.get(target, header, 'Accept: text/html')
      const answer = only(answers)
      expect(answer.status).toBe(401)
      expect(answer.header('location')).toBeUndefined()
      expect(answer.header('www-authenticate')).toContain('error="invalid_token"')
      expect(received).toEqual([])
      expect(only(lines)).toMatchObject({ decision: 'bad-token', reasons: ['token-invalid'], status: 401 })
    }
  })

  test.each<[what: string, headers: readonly string[]]>([
    ['a password of the application', [basic('alice', 'hunter2')]],
    ['a bearer token of the application', [bearer('abc')]],
    ['a user who is called like a token', [basic(NEVER_MADE, '')]],
    ['nothing', []],
  ])('%s is 401 without an error', async (_, headers) => {
    const { answers, received } = await gauntlet.get('/any', ...headers)
    expect(only(answers).status).toBe(401)
    expect(only(answers).header('www-authenticate')).not.toContain('error')
    expect(received).toEqual([])
  })

  test('two Authorization headers are 400, and a megabyte is 431', async () => {
    const { statuses } = await gauntlet.get('/any', bearer(token), bearer(token))
    expect(statuses).toEqual([400])
    const long = await gauntlet.get('/any', bearer(`pst_${'a'.repeat(1_000_000)}`))
    expect(long.statuses).toEqual([431])
  })

  test('ten thousand bad tokens cost one line each, and the program goes on', async () => {
    const count = 10_000
    const one = (n: number) => request('GET', '/any', bearer(`pst_${String(n).padStart(32, 'x')}`))
    const bytes = Array.from({ length: count }, (_, n) => one(n).replace('Connection: close\r\n', '')).join('')
    const before = performance.now()
    const { statuses, received } = await gauntlet.send(bytes + request('GET', '/any', bearer(token)))
    expect(statuses).toEqual([...Array.from({ length: count }, () => 401), 200])
    expect(received).toHaveLength(1)
    // Generous: 50 ms each are the promise, and this machine may be busy.
    expect((performance.now() - before) / count).toBeLessThan(50)
  })
})

describe('the challenge', () => {
  const TOKEN_ENDPOINT = 'http://app.localhost/.postern/token'
  const challenged = async (target: string, ...headers: readonly string[]) =>
    only((await gauntlet.get(target, ...headers)).answers)
      .headers.filter(([name]) => name === 'www-authenticate')
      .map(([, value]) => value)

  test.each(['git/2.39.5', 'pip/25.0', 'curl/8.5.0', 'docker/28.0', ''])(
    'asks %s for a password or a token',
    async (agent) => {
      const challenges = await challenged('/any', 'Accept: */*', ...(agent === '' ? [] : [`User-Agent: ${agent}`]))
      expect(challenges).toEqual([
        `Bearer realm="${TOKEN_ENDPOINT}", resource_metadata="http://app.localhost/.postern/oauth-protected-resource"`,
        'Basic realm="http://app.localhost", charset="UTF-8"',
      ])
    },
  )

  test.each([
    'Sec-Fetch-Mode: cors',
    'Sec-Fetch-Mode: no-cors',
    'Sec-Fetch-Site: none',
    'Sec-Fetch-Dest: image',
    'X-Requested-With: XMLHttpRequest',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64)',
  ])('asks no browser for a password: %s', async (header) => {
    expect(await challenged('/any', header)).toEqual([expect.stringMatching(/^Bearer /)])
    expect(await challenged('/any', header, bearer(NEVER_MADE))).toEqual([
      expect.stringMatching(/^Bearer .*invalid_token/),
    ])
  })

  test('asks nobody for a password where none is taken', async () => {
    expect(await challenged('/user', 'User-Agent: git/2.39.5')).toEqual([
      expect.stringMatching(/^Bearer realm="http:\/\/app.localhost", /),
    ])
  })

  test('its realm gives a container client the token that it sent as a password, and nobody else anything', async () => {
    const ask = async (...headers: readonly string[]) =>
      only((await gauntlet.get('/.postern/token?service=x&scope=repository:a:pull', ...headers)).answers)
    const given = await ask(basic('ci', token))
    expect(given.status).toBe(200)
    expect(given.header('cache-control')).toBe('no-store')
    expect(JSON.parse(given.body)).toMatchObject({ token, expires_in: expect.any(Number) })
    for (const headers of [[], [basic('ci', NEVER_MADE)], [basic('ci', 'hunter2')], [session('alice')]]) {
      expect(await ask(...headers)).toMatchObject({ status: 401 })
    }
    expect((await gauntlet.send(request('POST', '/.postern/token', basic('ci', token)))).statuses).toEqual([405])
  })
})

describe('what a token is for', () => {
  test('routes, by name or host', async () => {
    const narrow = await maker.create('--name', 'narrow', '--route', 'any')
    const host = await maker.create('--name', 'host', '--route', 'app.localhost', ...GROUP)
    expect((await gauntlet.get('/any', bearer(narrow))).statuses).toEqual([200])
    expect((await gauntlet.get('/group', bearer(host))).statuses).toEqual([200])
    const { answers, lines, received } = await gauntlet.get('/group', bearer(narrow))
    expect(only(answers).status).toBe(403)
    expect(JSON.parse(only(answers).body)).toMatchObject({ error: 'insufficient_scope', reason: 'token-scope' })
    expect(only(lines)['detail']).toMatch(/^token [0-9a-f]{12} is not for this$/)
    expect(received).toEqual([])
  })

  test('methods; who may GET may HEAD', async () => {
    const reads = await maker.create('--name', 'reads', '--method', 'get,PROPFIND')
    const asked = async (method: string) =>
      (await gauntlet.send(request(method, '/any', bearer(reads)), { methods: [method] })).statuses
    for (const method of ['GET', 'HEAD', 'PROPFIND']) expect(await asked(method)).toEqual([200])
    for (const method of ['POST', 'DELETE', 'OPTIONS', 'REPORT']) expect(await asked(method)).toEqual([403])
  })

  test('its groups are its own: none, and not Everyone', async () => {
    const none = await maker.create('--name', 'none')
    expect((await gauntlet.get('/group', bearer(none))).statuses).toEqual([403])
    const other = await maker.create('--name', 'other', '--group', 'Sales')
    expect((await gauntlet.get('/group', bearer(other))).statuses).toEqual([403])
  })
})

test('a revoked token is out at once, and its open WebSocket is cut', async () => {
  const doomed = await maker.create('--name', 'doomed', ...GROUP)
  for (let i = 0; i < 3; i++) expect((await gauntlet.get('/any', bearer(doomed))).statuses).toEqual([200])
  const socket = gauntlet.send(
    request(
      'GET',
      '/any',
      bearer(doomed),
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ).replace('Connection: close', 'Connection: Upgrade'),
    { patience: 60_000 },
  )
  await expect.poll(() => gauntlet.echo.received.at(-1)?.values('upgrade'), { timeout: 30_000 }).toEqual(['websocket'])
  const { out } = await maker.run('revoke', '--name', 'doomed')
  expect(out).toMatch(/^ended [0-9a-f]{12} of doomed$/)
  const { lines } = await socket
  expect(only(lines)).toMatchObject({ cut: 'revoked', auth: 'service', service_account: 'doomed' })
  expect((await gauntlet.get('/any', bearer(doomed))).statuses).toEqual([401])
})
