/**
 * Section B and P08: nobody tells an application who they are but Postern. Spoofed identity headers on every exit
 * (mod_auth_openidc 2026-08: claim headers not scrubbed on unauthenticated paths), alias spellings that CGI, WSGI and
 * PHP read as the same name (CVE-2025-64484, CVE-2026-54763, dots in CVE-2026-88011), absent claims (CVE-2026-30851
 * Caddy), hostile claim values (CVE-2023-27493 Envoy), our own cookies and credentials upstream, prototype names
 * (CVE-2026-21710).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { Received } from '../support/echo.ts'
import { ADMIN, createGauntlet, expectNoSecrets, type Gauntlet, only, request } from '../support/gauntlet.ts'

const MANY_GROUPS = Array.from({ length: 2000 }, (_, i) => `a group with a long name, number ${i}`)

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet({
    people: ['alice', 'bob', 'dave', 'eve', 'mallory'],
    moreRoutes: [
      {
        name: 'names of its own',
        prefix: '/remote',
        allow_any_authenticated_user: true,
        jwt_claims_headers: { 'Corp-User': 'email', 'Corp-Groups': 'groups' },
        groups_format: 'names',
      },
      {
        name: 'believing',
        prefix: '/believing',
        allow_public_unauthenticated_access: true,
        allow_request_headers: ['X-WEBAUTH-USER', 'tailscale-user-login', 'X-Real-IP', 'X-Forwarded-User'],
        remove_request_headers: ['X-Real-Ip'],
      },
    ],
    config: { jwt_claims_headers: ['email', 'groups', 'name', 'department'] },
    prepare(okta) {
      const hostile = ['x,admins', 'x|admins', 'Zoë', 'a\r\nX-Admin: 1', '💥', '__proto__']
      for (const name of [...hostile, ...MANY_GROUPS]) okta.addGroup(name)
      okta.addUser({ login: 'eve@example.com', firstName: 'a\r\nX-Admin: 1\0\u{1f600}', lastName: 'Zoë\r%0d' }, hostile)
      okta.addUser({ login: 'mallory@example.com' }, MANY_GROUPS)
    },
    answer: ({ target }) =>
      target === '/public/elsewhere'
        ? 'HTTP/1.1 302 Found\r\nlocation: http://evil.test/take\r\ncontent-length: 0\r\n\r\n'
        : undefined,
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

const NAMES = [
  'X-Postern-Claim-Email',
  'X-Postern-Claim-Groups',
  'X-Postern-Claim-Anything',
  'X-Postern-Jwt-Assertion',
  'x-pOstern-claim-email',
  'X_Postern_Claim_Email',
  'X.Postern.Claim.Email',
  'X-Postern_Claim.Email',
  'X~Postern^Jwt|Assertion',
  'X-Pomerium-Claim-Email',
  'X-Pomerium-Jwt-Assertion',
  'X_Pomerium_Jwt_Assertion',
  'X-Pomerium-Impersonate-Email',
  'Impersonate-User',
  'Impersonate_Group',
  'X-Forwarded-User',
  'X-Forwarded-Email',
  'X-Forwarded-Groups',
  'X-Forwarded_User',
  'X-Auth-Request-User',
  'X-Auth-Request-Access-Token',
  'Remote-User',
  'Remote_Groups',
  'X-Remote-User',
  'X-Remote-Group',
  'X-Original-Url',
  'X-Rewrite-Url',
  'X-Real-Ip',
  'X-Request-Id',
  'Forwarded',
  'Proxy',
  'X-WEBAUTH-USER',
  'X_Webauth_Role',
  'Cf-Access-Jwt-Assertion',
  'Cf-Access-Authenticated-User-Email',
  'X-Goog-Authenticated-User-Email',
  'X-Goog-IAP-JWT-Assertion',
  'X-Amzn-Oidc-Data',
  'X-Amzn-Oidc-Identity',
  'X-Amzn-Mtls-Clientcert-Subject',
  'X-MS-CLIENT-PRINCIPAL',
  'X-Ms-Client-Principal-Name',
  'X-MS-TOKEN-AAD-ID-TOKEN',
  'Tailscale-User-Login',
  'Tailscale.User.Name',
  'Teleport-Jwt-Assertion',
  'Ngrok-Auth-User-Email',
  'X-authentik-username',
  'X-Vouch-User',
  'X-Auth-User',
  'X-Auth-Groups',
  'X-Consumer-Username',
  'X-Authenticated-Userid',
  'X-Userinfo',
  'OIDC_CLAIM_email',
  'Shib-Session-Id',
  'SM_USER',
  'iv-user',
  'X-ProxiedEntitiesChain',
  'X-Forwarded-Client-Cert',
  'Client-Cert',
  'X-Client-Cert',
  'X-SSL-Client-S-DN',
  'ssl-client-verify',
  'X-ARR-ClientCert',
  'X-Envoy-Original-Path',
  'X-Envoy-External-Address',
  'True-Client-IP',
  'CF-Connecting-IP',
  'X-Client-IP',
  'X-Cluster-Client-IP',
  'Fastly-Client-IP',
  'WL-Proxy-Client-IP',
]
const spoofed = (value = 'SPOOF') => NAMES.map((name) => `${name}: ${value}`)
const normal = (name: string) => name.replace(/[^A-Za-z0-9]/g, '-').toLowerCase()
const namesAndValues = ({ headers }: Received) => headers.map((pair) => pair.join(': ')).join('\n')

const HANDSHAKE = ['Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']
const handshake = (target: string, ...headers: readonly string[]) =>
  request('GET', target, ...HANDSHAKE, ...headers).replace('Connection: close', 'Connection: Upgrade')

describe('B01 B02 B04 P08 identity headers of a client', () => {
  test.each([
    ['a public route', '/public/x', undefined],
    ['a public regex route', '/api/x/status', undefined],
    ['a rewritten route', '/strip/x', undefined],
    ['a public route, signed in', '/public/x', 'alice'],
    ['a signed-in route', '/user', 'bob'],
    ['a group route', '/admin', 'alice'],
  ])('are not sent upstream by %s', async (_, target, login) => {
    const cookie = login ? [`Cookie: ${gauntlet.cookies[login]}`] : []
    const { statuses, received } = await gauntlet.get(target, ...spoofed(), ...cookie, ...spoofed('SPOOF again'))
    expect(statuses).toEqual([200])
    expect(namesAndValues(only(received))).not.toContain('SPOOF')
  })

  test('are sent upstream where allow_request_headers names them, in that spelling and no other', async () => {
    const { statuses, received } = await gauntlet.get('/believing/x', ...spoofed())
    expect(statuses).toEqual([200])
    const { headers } = only(received)
    expect(headers.filter(([, value]) => value === 'SPOOF').map(([name]) => name)).toEqual([
      'X-Forwarded-User',
      'X-WEBAUTH-USER',
      'Tailscale-User-Login',
    ])
    const aliases = ['X_WEBAUTH_USER: SPOOF', 'X.Webauth.User: SPOOF', 'Tailscale_User-Login: SPOOF']
    expect(namesAndValues(only((await gauntlet.get('/believing/x', ...aliases)).received))).not.toContain('SPOOF')
  })

  test('are not sent upstream by a WebSocket', async () => {
    const bytes = handshake('/ws/x', `Cookie: ${gauntlet.cookies['alice']}`, ...spoofed())
    const { received } = await gauntlet.send(bytes, { until: /\r\n\r\n/ })
    const upgrade = only(received)
    expect(namesAndValues(upgrade)).not.toContain('SPOOF')
    expect(upgrade.values('x-postern-claim-email')).toEqual(['alice@example.com'])
    expect(upgrade.values('x-postern-jwt-assertion')).toHaveLength(1)
    expect(upgrade.values('cookie')).toEqual([])
  })

  test('are replaced by one copy of ours with the values of the session', async () => {
    const { received } = await gauntlet.get('/user', ...spoofed(), `Cookie: ${gauntlet.cookies['bob']}`, ...spoofed())
    const { headers, values } = only(received)
    const managed = headers.filter(([name]) => /^x-(?:postern|pomerium)-/.test(normal(name)))
    expect(managed.map(([name]) => name)).toEqual([
      'x-postern-claim-email',
      'x-postern-claim-groups',
      'x-postern-claim-name',
      'x-postern-jwt-assertion',
    ])
    expect(values('x-postern-claim-email')).toEqual(['bob@example.com'])
    const [, payload = ''] = values('x-postern-jwt-assertion')[0]?.split('.') ?? []
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
      sub: DEMO.people.bob,
      aud: 'app.localhost',
    })
    expect(values('x-request-id')).toHaveLength(1)
    expect(values('x-forwarded-host')).toEqual(['app.localhost'])
  })

  test('B03 are not sent upstream when the person lacks the claim', async () => {
    const { received } = await gauntlet.get(
      '/user',
      'X-Postern-Claim-Department: SPOOF',
      'X-Forwarded-Groups: SPOOF',
      `Cookie: ${gauntlet.cookies['dave']}`,
    )
    expect(namesAndValues(only(received))).not.toContain('SPOOF')
    expect(only(received).values('x-postern-claim-department')).toEqual([])
    expect(only(received).values('x-postern-claim-groups')).toEqual([`${DEMO.groups.everyone},Everyone`])
  })

  test('cannot strip ours when named in Connection', async () => {
    const { received } = await gauntlet.send(
      request('GET', '/user', `Cookie: ${gauntlet.cookies['bob']}`).replace(
        'Connection: close',
        'Connection: close, X-Postern-Claim-Email, X-Postern-Jwt-Assertion, X-Forwarded-For, Cookie',
      ),
    )
    const { values } = only(received)
    expect(values('x-postern-claim-email')).toEqual(['bob@example.com'])
    expect(values('x-postern-jwt-assertion')).toHaveLength(1)
    expect(values('x-forwarded-for')).toEqual(['127.0.0.1'])
  })

  test('named by one route are sent upstream by none, and each route tells its own', async () => {
    const spoof = ['Corp-User: SPOOF', 'corp_groups: SPOOF', 'Corp.User: SPOOF', ...spoofed()]
    for (const target of ['/public/x', '/user', '/remote']) {
      const { received } = await gauntlet.get(target, ...spoof, `Cookie: ${gauntlet.cookies['bob']}`)
      expect(namesAndValues(only(received))).not.toContain('SPOOF')
      const { values } = only(received)
      expect(values('corp-user')).toEqual(target === '/remote' ? ['bob@example.com'] : [])
      expect(values('corp-groups')).toEqual(target === '/remote' ? ['Sales,Everyone'] : [])
      expect(values('x-postern-claim-email')).toEqual(target === '/user' ? ['bob@example.com'] : [])
    }
  })

  test('do not change the decision', async () => {
    for (const cookie of [[], [`Cookie: ${gauntlet.cookies['bob']}`]]) {
      const { statuses, received } = await gauntlet.get('/admin', ...spoofed('alice@example.com'), ...cookie)
      expect(statuses).toEqual([cookie.length === 0 ? 401 : 403])
      expect(received).toEqual([])
    }
  })
})

describe('B07 hostile claims', () => {
  test('cannot end a header line or a list member, and decode to the original', async () => {
    const { statuses, received } = await gauntlet.get('/user', `Cookie: ${gauntlet.cookies['eve']}`)
    expect(statuses).toEqual([200])
    const { headers, values } = only(received)
    expect(headers.map(([name]) => name.toLowerCase())).not.toContain('x-admin')
    for (const [, value] of headers) expect(value).toMatch(/^[\x20-\x7e]*$/)
    const groups = only(values('x-postern-claim-groups')).split(',').map(decodeURIComponent)
    expect(groups).toEqual(
      expect.arrayContaining(['x,admins', 'x|admins', 'Zoë', 'a\r\nX-Admin: 1', '💥', '__proto__']),
    )
    expect(groups).not.toContain('admins')
    expect(decodeURIComponent(only(values('x-postern-claim-name')))).toContain('a\r\nX-Admin: 1\0\u{1f600}')
  })

  test('a person in 2,000 groups is served; the groups that fit are sent, and the rest is marked', async () => {
    const { statuses, received } = await gauntlet.get('/user', `Cookie: ${gauntlet.cookies['mallory']}`)
    expect(statuses).toEqual([200])
    const { values } = only(received)
    expect(only(values('x-postern-claim-groups')).length).toBeLessThanOrEqual(4096)
    expect(only(values('x-postern-claim-groups')).split(',').length).toBeGreaterThan(100)
    const [, payload = ''] = only(values('x-postern-jwt-assertion')).split('.')
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({ groups_truncated: true })
    expect(gauntlet.world.logText()).toContain('groups left out: they are too many')
  })
})

describe('B09 B13 unusual headers', () => {
  test('values that are not UTF-8 do not change the decision and are forwarded unchanged', async () => {
    expect((await gauntlet.get('/admin', 'X: \xff\xfe', 'Cookie: \xff=\xfe; postern=\xff')).statuses).toEqual([401])
    const { received } = await gauntlet.get('/user', 'X: \xff\xfe', `Cookie: ${gauntlet.cookies['bob']}`)
    expect(only(received).values('x')).toEqual(['\xff\xfe'])
  })

  test('names of Object.prototype are treated like any other', async () => {
    const odd = ['__proto__: x', 'constructor: y', 'toString: z', 'hasOwnProperty: 1']
    const cookie = `Cookie: __proto__=1; constructor=2; ${gauntlet.cookies['bob']}; toString=3`
    const { statuses, received } = await gauntlet.get('/user?__proto__=1&constructor[prototype]=2', ...odd, cookie)
    expect(statuses).toEqual([200])
    const upstream = only(received)
    for (const line of odd) expect(namesAndValues(upstream).toLowerCase()).toContain(line.toLowerCase())
    expect(upstream.values('cookie')).toEqual(['__proto__=1; constructor=2; toString=3'])
    expect((await gauntlet.get('/.postern/sign_in?__proto__=1&return_to=__proto__', ...odd)).statuses).toEqual([302])
  })
})

describe('B10 B11 our credentials', () => {
  test('are not sent upstream; all other cookies and headers are, byte for byte', async () => {
    const { cookies } = gauntlet
    const { received } = await gauntlet.get(
      '/user',
      `Cookie: a="1; 2"; ${cookies['bob']}; postern2=keep; postern-nonce.abc=secret;x=%20 y ;postern-sign-in.q=1`,
      `Cookie: __Host-postern=ours; __Host-postern-nonce.a=1; xpostern=keep; _postern=keep; ${cookies['alice']}`,
      "Authorization: Bearer the-application's",
    )
    const { values } = only(received)
    expect(values('cookie')).toEqual(['a="1; 2"; postern2=keep;x=%20 y ', 'xpostern=keep; _postern=keep'])
    expect(values('authorization')).toEqual(["Bearer the-application's"])
  })

  test('Authorization with our scheme is not sent upstream', async () => {
    for (const scheme of ['Postern', 'pomerium', 'POSTERN']) {
      const { received } = await gauntlet.get(
        '/public',
        `Authorization: ${scheme} SECRET`,
        `X-Pomerium-Authorization: SECRET`,
      )
      expect(namesAndValues(only(received))).not.toContain('SECRET')
    }
  })

  test('a redirect of an application is passed on and not followed', async () => {
    const { answers, received } = await gauntlet.get('/public/elsewhere', `Cookie: ${gauntlet.cookies['alice']}`)
    expect(answers[0]).toMatchObject({ status: 302 })
    expect(answers[0]?.header('location')).toBe('http://evil.test/take')
    expect(received).toHaveLength(1)
  })

  test('a refused request is not sent anywhere', async () => {
    const { statuses, received } = await gauntlet.get(
      '/admin',
      `Host: ${ADMIN}`,
      `Cookie: ${gauntlet.cookies['alice']}`,
    )
    expect({ statuses, received }).toEqual({ statuses: [401], received: [] })
    expectNoSecrets(gauntlet.world, Object.values(gauntlet.cookies))
  })
})
