/**
 * Section J (J01 to J05, J08, J10): bearer tokens of others, on the wire. Every wrong kind of token ends in 401 and one log line, quickly and
 * without a call to anybody; a token that was consumed reaches no application; beside a session it is never an upgrade.
 */
import { createHmac } from 'node:crypto'
import { decodeJwt, exportSPKI, importJWK } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'
import { createIssuerServer, type IssuerServer } from '../support/token-issuer.ts'

const AUDIENCE = 'https://app.corp.example'
const b64 = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const bearer = (token: string): string => `Authorization: Bearer ${token}`

let gauntlet: Gauntlet
let issuer: IssuerServer
let stranger: IssuerServer
let good: string
beforeAll(async () => {
  issuer = await createIssuerServer()
  stranger = await createIssuerServer()
  gauntlet = await createGauntlet({
    config: {
      token_issuers: {
        ci: {
          issuer: issuer.url,
          audience: AUDIENCE,
          algorithms: ['RS256'],
          required_claims: { repository_owner: ['corp'] },
          groups_claim: 'teams',
        },
      },
    },
    moreRoutes: [
      { name: 'jobs', prefix: '/jobs', bearer_token_format: 'jwt', allow_any_authenticated_user: true },
      { name: 'teams', prefix: '/teams', bearer_token_format: 'jwt', allowed_groups: ['Deployers'] },
      {
        name: 'kept',
        prefix: '/kept',
        bearer_token_format: 'jwt',
        pass_authorization: true,
        allow_any_authenticated_user: true,
      },
      {
        name: 'open',
        prefix: '/open',
        bearer_token_format: 'jwt',
        allow_public_unauthenticated_access: true,
        identity: 'optional',
      },
      { name: 'alice', prefix: '/alice', bearer_token_format: 'jwt', allowed_users: [DEMO.people.alice] },
      { name: 'mail', prefix: '/mail', bearer_token_format: 'jwt', allowed_domains: ['example.com'] },
    ],
  })
  good = await job()
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
  await issuer.close()
  await stranger.close()
})

const CLAIMS = { sub: 'repo:corp/wiki:ref:refs/heads/main', aud: AUDIENCE, repository_owner: 'corp', teams: [] }
const job = (claims: object = {}, header: object = {}): Promise<string> =>
  issuer.sign({ ...CLAIMS, ...claims }, { ...header })

describe('a good token', () => {
  test('is a program of its own kind, and is not forwarded', async () => {
    const { statuses, received, lines } = await gauntlet.get('/jobs', bearer(good))
    expect(statuses).toEqual([200])
    expect(only(received).values('authorization')).toEqual([])
    expect(only(lines)).toMatchObject({
      auth: 'token',
      service_account: `ci/${CLAIMS.sub}`,
      issuer: issuer.url,
      decision: 'allow',
    })
    expect(only(lines)).not.toHaveProperty('email')
  })

  test('is forwarded where the route says so', async () => {
    const { received } = await gauntlet.get('/kept', bearer(good))
    expect(only(received).values('authorization')).toEqual([`Bearer ${good}`])
  })

  test('is an application of its own on routes that take none', async () => {
    const { statuses, received } = await gauntlet.get('/public', bearer(good))
    expect(statuses).toEqual([200])
    expect(only(received).values('authorization')).toEqual([`Bearer ${good}`])
    expect((await gauntlet.get('/user', bearer(good))).statuses).toEqual([401])
  })

  test('has the groups that its issuer says, and no address', async () => {
    expect((await gauntlet.get('/teams', bearer(await job({ teams: ['Deployers'] })))).statuses).toEqual([200])
    expect((await gauntlet.get('/teams', bearer(await job({ teams: ['Readers'] })))).statuses).toEqual([403])
    const person = await job({ email: 'alice@example.com', email_verified: true })
    expect((await gauntlet.get('/mail', bearer(person))).statuses).toEqual([403])
  })

  test('of a program that has the id of a person is not that person, to no rule and to no application', async () => {
    const namesake = await job({ sub: DEMO.people.alice })
    expect((await gauntlet.get('/alice', `Cookie: ${gauntlet.cookies['alice']}`)).statuses).toEqual([200])
    expect((await gauntlet.get('/alice', bearer(namesake))).statuses).toEqual([403])
    const { received } = await gauntlet.get('/jobs', bearer(namesake))
    const [assertion = ''] = only(received).values('x-postern-jwt-assertion')
    const account = `ci/${DEMO.people.alice}`
    expect(decodeJwt(assertion)).toMatchObject({ sub: account, user: account, kind: 'token' })
  })

  test('in the query, as Basic or twice counts for nothing', async () => {
    expect((await gauntlet.get(`/jobs?access_token=${good}`)).statuses).toEqual([401])
    expect(
      (await gauntlet.get('/jobs', `Authorization: Basic ${Buffer.from(`x:${good}`).toString('base64')}`)).statuses,
    ).toEqual([401])
    expect((await gauntlet.get('/jobs', `Authorization: DPoP ${good}`)).statuses).toEqual([401])
    expect((await gauntlet.get('/jobs', bearer(good), bearer(good))).statuses).toEqual([400])
  })

  test('of somebody else than the session is refused', async () => {
    const cookie = `Cookie: ${gauntlet.cookies['alice']}`
    const { statuses, received } = await gauntlet.get('/jobs', cookie, bearer(good))
    expect(statuses).toEqual([400])
    expect(received).toEqual([])
  })
})

describe('a bad token', () => {
  /** alg none in all spellings, the public key as an HMAC secret, other algorithms and keys, embedded keys. */
  const wrong: Readonly<Record<string, () => string | Promise<string>>> = {
    'alg none': () => `${b64({ alg: 'none' })}.${good.split('.')[1]}.`,
    'alg None': () => `${b64({ alg: 'None' })}.${good.split('.')[1]}.`,
    'alg none with a signature': () => `${b64({ alg: 'none' })}.${good.split('.').slice(1).join('.')}`,
    'alg empty': () => `${b64({ alg: '' })}.${good.split('.').slice(1).join('.')}`,
    'no alg': () => `${b64({ typ: 'JWT' })}.${good.split('.').slice(1).join('.')}`,
    'alg a list': () => `${b64({ alg: ['RS256'] })}.${good.split('.').slice(1).join('.')}`,
    'HS256 with the public key': async () => {
      const key = await importJWK(issuer.jwk, 'RS256', { extractable: true })
      const pem = await exportSPKI(key as Parameters<typeof exportSPKI>[0])
      return hs256(pem)
    },
    'HS256 with the key set': () => hs256(JSON.stringify({ keys: [issuer.jwk] })),
    'HS256 with nothing': () => hs256(''),
    'PS256 instead of RS256': () => `${b64({ alg: 'PS256', kid: issuer.kid })}.${good.split('.').slice(1).join('.')}`,
    'ES256 with an RSA key': () => `${b64({ alg: 'ES256', kid: issuer.kid })}.${good.split('.').slice(1).join('.')}`,
    'a key of its own (jwk)': () => stranger.sign({ ...CLAIMS, iss: issuer.url }, { jwk: stranger.jwk }),
    'an address of keys (jku)': () =>
      stranger.sign({ ...CLAIMS, iss: issuer.url }, { jku: `${stranger.url}/keys`, kid: 'x' }),
    'a stranger with the kid of the issuer': () => stranger.sign({ ...CLAIMS, iss: issuer.url }, { kid: issuer.kid }),
    'a stranger': () => stranger.sign(CLAIMS),
    'an unknown kid': () => job({}, { kid: 'unknown' }),
    'kid a path': () => job({}, { kid: '../../../dev/null' }),
    'kid 4 KB': () => job({}, { kid: 'k'.repeat(4096) }),
    'crit b64': () =>
      job({}, {}).then(
        (token) =>
          `${b64({ alg: 'RS256', kid: issuer.kid, crit: ['b64'], b64: false })}.${token.split('.').slice(1).join('.')}`,
      ),
    'typ logout+jwt': () => job({}, { typ: 'logout+jwt' }),
    'typ secevent+jwt': () => job({}, { typ: 'secevent+jwt' }),
    'typ dpop+jwt': () => job({}, { typ: 'dpop+jwt' }),
    'aud another': () => job({ aud: 'https://evil.test' }),
    'aud missing': () => job({ aud: undefined }),
    'iss with a slash': () => job({ iss: `${issuer.url}/` }),
    'iss another': () => job({ iss: 'https://token.actions.githubusercontent.com' }),
    'the claim of another owner': () => job({ repository_owner: 'evil' }),
    'exp past': () => job({ exp: Math.floor(Date.now() / 1000) - 100 }),
    'exp missing': () => job({ exp: undefined }),
    'exp text': () => job({ exp: '9999999999' }),
    'nbf in the future': () => job({ nbf: Math.floor(Date.now() / 1000) + 1000 }),
    'sub empty': () => job({ sub: '' }),
    'no groups where they are told': () => job({ teams: undefined }),
    'groups that are none': () => job({ teams: [{}] }),
    'bound to a key': () => job({ cnf: { jkt: 'x' } }),
    'another payload': () =>
      good
        .split('.')
        .with(1, b64({ ...CLAIMS, iss: issuer.url, exp: 9_999_999_999 }))
        .join('.'),
    'a changed signature': () => good.replace(/.{8}$/, 'AAAAAAAA'),
    'no signature': () => good.replace(/\.[^.]*$/, '.'),
    'two parts': () => good.replace(/\.[^.]*$/, ''),
    'four parts': () => `${good}.x`,
    encrypted: () => `${b64({ alg: 'dir', enc: 'A256GCM' })}..x.y.z`,
    'encrypted by a password, a million rounds': () =>
      `${b64({ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', p2c: 100_000_000, p2s: 'x' })}.a.b.c.d`,
    'encrypted and compressed': () => `${b64({ alg: 'RSA-OAEP', enc: 'A256GCM', zip: 'DEF' })}.a.b.c.d`,
    'payload no JSON': () => `${good.split('.')[0]}.${b64('not json')}.${good.split('.')[2]}`,
    'payload a list': () => `${good.split('.')[0]}.${b64([CLAIMS])}.${good.split('.')[2]}`,
    'deep JSON': () => `${good.split('.')[0]}.${b64('['.repeat(5000))}.x`,
    opaque: () => 'x'.repeat(40),
    'one character': () => 'x',
    'longer than 16 KiB is no header that we read': () => `${'a'.repeat(15_000)}.b.c`,
  }
  const hs256 = (secret: string): string => {
    const signed = `${b64({ alg: 'HS256', kid: issuer.kid })}.${good.split('.')[1]}`
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
  }

  test.each(Object.keys(wrong))('%s: 401 invalid_token, one line, nobody is asked', async (kind) => {
    const token = (await wrong[kind]?.()) ?? ''
    const { answers, received, lines } = await gauntlet.get('/jobs', bearer(token))
    const answer = only(answers)
    expect(answer.status).toBe(401)
    expect(answer.header('www-authenticate')).toMatch(/^Bearer .*error="invalid_token"/)
    expect(answer.header('cache-control')).toBe('no-store')
    expect(received).toEqual([])
    const line = only(lines)
    expect(line).toMatchObject({ decision: 'bad-token', status: 401 })
    expect(line['detail']).toMatch(/^token: [\w ,.()-]+$/)
    if (token.length > 20) expect(JSON.stringify(line)).not.toContain(token.slice(0, 20))
    expect(stranger.reads()).toBe(0)
  })

  test('of a megabyte is refused before it is a request', async () => {
    const [answer] = (await gauntlet.send(request('GET', '/jobs', bearer('a'.repeat(1_000_000))))).answers
    expect([400, 431]).toContain(answer?.status)
  })

  test('beside a session is the application’s own, and passes unchanged', async () => {
    const cookie = `Cookie: ${gauntlet.cookies['alice']}`
    for (const token of [
      await stranger.sign(CLAIMS),
      await job({ aud: 'https://other' }),
      'opaque-of-the-application',
    ]) {
      const { statuses, received, lines } = await gauntlet.get('/jobs', cookie, bearer(token))
      expect(statuses).toEqual([200])
      expect(only(received).values('authorization')).toEqual([`Bearer ${token}`])
      expect(only(lines)).toMatchObject({ auth: 'session', email: 'alice@example.com' })
    }
  })

  test('a thousand of them have the keys read once in a while, and take no time', async () => {
    const before = issuer.reads()
    const tokens = await Promise.all(Array.from({ length: 200 }, (_, i) => job({}, { kid: `flood-${i}` })))
    const [first = '', ...rest] = tokens
    await gauntlet.get('/jobs', bearer(first))
    const all = rest.map((token, i) => {
      const last = i === rest.length - 1
      return `GET /jobs HTTP/1.1\r\nHost: app.localhost\r\n${bearer(token)}\r\n${last ? 'Connection: close\r\n' : ''}\r\n`
    })
    const startedAt = performance.now()
    const { statuses } = await gauntlet.send(all.join(''))
    const each = (performance.now() - startedAt) / rest.length
    expect(new Set(statuses)).toEqual(new Set([401]))
    expect(issuer.reads() - before).toBeLessThanOrEqual(1)
    // The bound is 50 ms; a loaded machine is given ten times that.
    expect(each).toBeLessThan(500)
  })
})

describe('on a public route with `identity: optional`', () => {
  test('a good token tells who it is, and is not forwarded, whoever else is signed in', async () => {
    for (const session of [[], [`Cookie: ${gauntlet.cookies['alice']}`]]) {
      const { statuses, received } = await gauntlet.get('/open', ...session, bearer(good))
      expect(statuses).toEqual([200])
      expect(only(received).values('authorization')).toEqual([])
      expect(only(received).values('x-postern-jwt-assertion')).toHaveLength(session.length === 0 ? 1 : 0)
    }
  })

  test('a token that nobody can read just now is not forwarded, and one that does not count is', async () => {
    const silent = await createIssuerServer()
    const other = await createGauntlet({
      people: [],
      config: { token_issuers: { ci: { issuer: silent.url, audience: AUDIENCE } } },
      moreRoutes: [
        {
          prefix: '/open',
          bearer_token_format: 'jwt',
          allow_public_unauthenticated_access: true,
          identity: 'optional',
        },
      ],
    })
    try {
      silent.down(true)
      const { statuses, received, lines } = await other.get('/open', bearer(await silent.sign(CLAIMS)))
      expect(statuses).toEqual([200])
      expect(only(lines)['error']).toBe('ERR_IDP_UNREACHABLE')
      expect(only(received).values('authorization')).toEqual([])
      const own = await other.get('/open', bearer('of-the-application'))
      expect(only(own.received).values('authorization')).toEqual(['Bearer of-the-application'])
    } finally {
      await other.close()
      await silent.close()
    }
  })
})

describe('an issuer that is down', () => {
  test('lets in whom its known keys know, and is no reason to let in anybody else', async () => {
    issuer.down(true)
    try {
      expect((await gauntlet.get('/jobs', bearer(await job({ jti: 'new' })))).statuses).toEqual([200])
      expect((await gauntlet.get('/jobs', bearer(await job({}, { kid: 'new' })))).statuses).toEqual([401])
    } finally {
      issuer.down(false)
    }
  })
})
