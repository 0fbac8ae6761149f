import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createOidcProvider, type OidcSettings } from '../../../src/identity/oidc.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { AppError } from '../../../src/errors.ts'
import type { Clock, IdentityProvider, Logger, PendingSignIn, Refreshable } from '../../../src/types.ts'
import { manualClock } from '../../support/clock.ts'
import {
  type Answer,
  CLIENT_ID,
  type HostileIdp,
  json,
  type Misbehaviour,
  rotatedKey,
  startHostileIdp,
} from './hostile-idp.ts'

const REDIRECT = new URL('https://authenticate.corp.example/oauth2/callback')
const SECRET = 'client-secret-that-must-not-travel'
const signal = new AbortController().signal

let idp: HostileIdp
afterEach(() => idp.close())

function client(
  more: Partial<OidcSettings> = {},
  clock: Clock = systemClock,
  logger: Logger = silentLogger,
): IdentityProvider {
  return createOidcProvider({
    idp: {
      name: 'default',
      provider: 'okta',
      issuer: idp.issuer,
      clientId: CLIENT_ID,
      clientAuth: { kind: 'post', secret: new Secret(SECRET) },
      scopes: ['openid', 'email'],
      requestParams: {},
      pushedRequests: 'when-possible',
      timeout: 3000,
      allowUnverifiedEmail: false,
      ...more,
    },
    redirectUri: REDIRECT,
    clock,
    logger,
  })
}

/** Begins a sign-in and returns the callback that a well-behaved authorization endpoint would send. */
async function begun(provider: IdentityProvider): Promise<{ callback: URL; pending: PendingSignIn }> {
  const { pending } = await provider.begin(signal)
  idp.nonce = pending.nonce
  return { pending, callback: callbackWith({ code: 'the-code', state: pending.state }) }
}

function callbackWith(query: Record<string, string>): URL {
  return new URL(`${REDIRECT.href}?${new URLSearchParams(query)}`)
}

async function signIn(provider = client()) {
  const { callback, pending } = await begun(provider)
  return provider.complete(callback, pending, signal)
}

const without =
  (...names: readonly string[]) =>
  (answer: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(Object.entries(answer).filter(([name]) => !names.includes(name)))

async function start(wrong: Misbehaviour = {}): Promise<void> {
  idp = await startHostileIdp(wrong)
}

describe('a correct provider', () => {
  test('signs in; claims of the ID token are completed by userinfo and win over it', async () => {
    await start({ claims: { name: 'Alice' }, userinfo: { sub: '00u-alice', name: 'Mallory', department: 'R&D' } })
    const { identity } = await signIn()
    expect(identity).toMatchObject({ subject: '00u-alice', name: 'Alice', claims: { department: 'R&D' } })
  })

  test.each(['es256', 'ps256', 'eddsa'] as const)('may sign with %s', async (signature) => {
    await start({ signature })
    await expect(signIn()).resolves.toMatchObject({ identity: { subject: '00u-alice' } })
  })

  test('may be Cognito, whose sign-out has an address and parameters of its own', async () => {
    await start()
    const url = await client({ logout: 'cognito' }).signOutUrl('id-token', new URL('https://auth.corp.example/out'))
    expect(url?.href).toBe(
      `${idp.issuer}/logout?client_id=${CLIENT_ID}&logout_uri=https%3A%2F%2Fauth.corp.example%2Fout`,
    )
  })

  test('may have no userinfo endpoint', async () => {
    await start({ metadata: (right) => ({ ...right, userinfo_endpoint: undefined }) })
    await expect(signIn()).resolves.toMatchObject({ identity: { subject: '00u-alice' } })
  })

  test('may refuse userinfo for want of a scope', async () => {
    await start({
      answers: {
        userinfo: (_req, res) =>
          void res.writeHead(403, { 'www-authenticate': 'Bearer error="insufficient_scope"' }).end(),
      },
    })
    await expect(signIn()).resolves.toMatchObject({ identity: { subject: '00u-alice' } })
  })

  test('gets a full-length verifier, the configured redirect URI and no header of the browser', async () => {
    await start()
    await signIn()
    const call = idp.calls.find(({ path }) => path === '/token')
    const body = new URLSearchParams(call?.body)
    expect(body.get('redirect_uri')).toBe(REDIRECT.href)
    expect(body.get('code_verifier')).toMatch(/^[\w-]{43}$/)
    for (const name of ['cookie', 'origin', 'referer']) expect(call?.headers).not.toHaveProperty(name)
  })

  test('may rotate its key between two sign-ins', async () => {
    await start()
    const provider = client()
    await signIn(provider)
    const { jwk, header } = rotatedKey()
    idp.behave({ signature: 'stranger', header, keys: () => [jwk] })
    await expect(signIn(provider)).resolves.toMatchObject({ identity: { subject: '00u-alice' } })
  })

  test('is asked for its keys once for several sign-ins', async () => {
    await start()
    const provider = client()
    for (let n = 0; n < 3; n++) await signIn(provider)
    expect(idp.callsTo('/keys')).toBe(1)
  })
})

describe('ID tokens that are refused', () => {
  const now = Math.floor(Date.now() / 1000)
  const cases: readonly (readonly [name: string, wrong: Misbehaviour, message: string])[] = [
    ['another issuer', { claims: { iss: 'https://evil.test' } }, '"iss"'],
    ['the issuer without its port', { claims: { iss: 'http://127.0.0.1/' } }, '"iss"'],
    ['another audience', { claims: { aud: 'another' } }, '"aud"'],
    ['no audience', { claims: { aud: undefined } }, '"aud"'],
    ['a stranger among the audiences', { claims: { aud: [CLIENT_ID, 'another'] } }, '"aud"'],
    ['azp of another client', { claims: { azp: 'another' } }, 'azp names another client'],
    ['another nonce', { claims: { nonce: 'another' } }, '"nonce"'],
    ['no nonce', { claims: { nonce: undefined } }, '"nonce"'],
    ['an empty subject', { claims: { sub: '' } }, 'no usable subject'],
    ['no subject', { claims: { sub: undefined } }, '"sub"'],
    ['a subject with a line break', { claims: { sub: '00u\r\nx: y' } }, 'no usable subject'],
    ['expired', { claims: { exp: now - 3600 } }, '"exp"'],
    ['no expiry', { claims: { exp: undefined } }, '"exp"'],
    ['expiry as text', { claims: { exp: String(now + 60) } }, '"exp"'],
    ['expiry beyond all numbers', { claims: { exp: 1e300 } }, 'exp is not a whole number'],
    ['a fractional expiry', { claims: { exp: now + 60.5 } }, 'exp is not a whole number'],
    ['issued in the future', { claims: { iat: now + 3600 } }, 'iat is in the future'],
    ['issued a week ago', { claims: { iat: now - 604_800 } }, 'iat is too old'],
    ['not valid yet', { claims: { nbf: now + 3600 } }, '"nbf"'],
    ['signed by a stranger', { signature: 'stranger' }, 'signature'],
    ['signed over something else', { signature: 'broken' }, 'signature'],
    ['alg none', { signature: 'none' }, '"alg"'],
    ['alg None', { signature: 'none', header: { alg: 'None' } }, '"alg"'],
    ['alg empty', { signature: 'none', header: { alg: '' } }, '"alg"'],
    ['HS256 with the public key', { signature: 'hs256-public-key' }, '"alg"'],
    ['ES256 claimed for an RSA signature', { header: { alg: 'ES256' } }, 'no applicable keys'],
    ['PS256 claimed for an RS256 signature', { header: { alg: 'PS256' } }, 'signature'],
    ['EdDSA claimed for an RSA signature', { header: { alg: 'EdDSA' } }, 'no applicable keys'],
    ['an unknown key', { header: { kid: 'other' } }, 'no applicable keys'],
    ['a critical header we do not know', { header: { crit: ['x'] } }, 'crit'],
  ]
  test.each(cases)('%s', async (_name, wrong, message) => {
    await start(wrong)
    await expect(signIn()).rejects.toMatchObject({
      code: 'ERR_IDP_REJECTED',
      message: expect.stringContaining(message),
      details: { error: 'bad_answer', hint: 'bad-answer' },
    })
    expect(idp.callsTo('/userinfo')).toBe(0)
  })
})

describe('token endpoint', () => {
  const refused: readonly (readonly [name: string, answer: Answer])[] = [
    ['an error in a 200', (_req, res) => json(res, { error: 'invalid_grant' })],
    ['HTML', (_req, res) => void res.writeHead(200, { 'content-type': 'text/html' }).end('<h1>hello</h1>')],
    ['an array', (_req, res) => json(res, [{ access_token: 'at' }])],
    ['null', (_req, res) => json(res, null)],
    ['no ID token', (_req, res) => json(res, { access_token: 'at', token_type: 'Bearer' })],
    [
      'an ID token that is a number',
      (_req, res) => json(res, { access_token: 'at', token_type: 'Bearer', id_token: 7 }),
    ],
    ['a redirect', (_req, res) => void res.writeHead(302, { location: '/stolen' }).end()],
    ['a redirect that repeats the post', (_req, res) => void res.writeHead(307, { location: '/stolen' }).end()],
    ['two mebibytes', (_req, res) => json(res, { access_token: 'x'.repeat(2_097_152) })],
    [
      'a compressed bomb',
      (_req, res) =>
        void res
          .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
          .end(gzipSync(JSON.stringify({ access_token: 'x'.repeat(20_000_000) }))),
    ],
  ]
  test.each(refused)('answers with %s: refused, and the secret is sent to no other address', async (_name, answer) => {
    await start({ answers: { token: answer } })
    const failure = await signIn().catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'ERR_IDP_REJECTED', details: { hint: 'bad-answer' } })
    expect(idp.callsTo('/token')).toBe(1)
    expect(idp.callsTo('/stolen')).toBe(0)
    expect(`${JSON.stringify(failure)} ${String(failure)}`).not.toContain(SECRET)
  })

  test('answers with a token type that is not Bearer: refused', async () => {
    await start({ token: (right) => ({ ...right, token_type: 'DPoP' }) })
    await expect(signIn()).rejects.toMatchObject({
      code: 'ERR_IDP_REJECTED',
      message: 'token endpoint: not a bearer token',
    })
  })

  test.each([429, 500, 502, 503])('answers %i: a temporary error', async (status) => {
    await start({ answers: { token: (_req, res) => json(res, { error: 'invalid_grant' }, status) } })
    await expect(signIn()).rejects.toMatchObject({
      code: 'ERR_IDP_UNREACHABLE',
      message: `POST ${idp.issuer}/token answered ${status}`,
    })
  })

  test('stalls before or within its answer: given up after the timeout', async () => {
    for (const stall of [
      (() => {}) satisfies Answer,
      ((_req, res) =>
        void res.writeHead(200, { 'content-type': 'application/json' }).write('{"access_')) satisfies Answer,
    ]) {
      await start({ answers: { token: stall } })
      await expect(signIn(client({ timeout: 150 }))).rejects.toMatchObject({
        code: 'ERR_IDP_UNREACHABLE',
        message: expect.stringContaining('/token failed'),
      })
      await idp.close()
    }
  })

  test('resets the connection: unreachable', async () => {
    await start({ answers: { token: (req) => void req.socket.destroy() } })
    await expect(signIn()).rejects.toMatchObject({ code: 'ERR_IDP_UNREACHABLE' })
  })

  test('a caller who gives up ends the call', async () => {
    const given = new AbortController()
    await start({ answers: { token: () => given.abort(new Error('the browser left')) } })
    const provider = client()
    const { callback, pending } = await begun(provider)
    await expect(provider.complete(callback, pending, given.signal)).rejects.toMatchObject({
      code: 'ERR_IDP_UNREACHABLE',
    })
  })
})

describe('userinfo', () => {
  test('about somebody else: refused', async () => {
    await start({ userinfo: { sub: '00u-mallory', groups: ['Admins'] } })
    await expect(signIn()).rejects.toMatchObject({
      code: 'ERR_IDP_REJECTED',
      message: expect.stringContaining('"sub"'),
    })
  })

  test.each<readonly [string, Answer, string]>([
    ['a server error', (_req, res) => void res.writeHead(503).end(), 'ERR_IDP_UNREACHABLE'],
    ['HTML', (_req, res) => void res.writeHead(200, { 'content-type': 'text/html' }).end('<p>'), 'ERR_IDP_REJECTED'],
    [
      'an invalid token',
      (_req, res) => void res.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end(),
      'ERR_IDP_REJECTED',
    ],
    ['a redirect', (_req, res) => void res.writeHead(302, { location: 'https://evil.test' }).end(), 'ERR_IDP_REJECTED'],
  ])('with %s: no sign-in, since a rule may depend on the missing claim', async (_name, answer, code) => {
    await start({ answers: { userinfo: answer } })
    await expect(signIn()).rejects.toMatchObject({ code })
  })
})

describe('callbacks', () => {
  test.each<readonly [string, (state: string) => string, string, string]>([
    ['no state', () => 'code=c', 'ERR_SIGN_IN_STATE', 'callback: no state'],
    ['an empty state', () => 'code=c&state=', 'ERR_SIGN_IN_STATE', 'callback: no state'],
    [
      'a foreign state',
      () => 'code=c&state=foreign',
      'ERR_SIGN_IN_STATE',
      'callback: state belongs to another sign-in',
    ],
    [
      'an error with a foreign state',
      () => 'error=access_denied&state=foreign',
      'ERR_SIGN_IN_STATE',
      'callback: state belongs to another sign-in',
    ],
    [
      'two states',
      (state) => `code=c&state=${state}&state=${state}`,
      'ERR_BAD_REQUEST',
      'callback: more than one state',
    ],
    ['two codes', (state) => `code=a&code=b&state=${state}`, 'ERR_BAD_REQUEST', 'callback: more than one code'],
    ['two errors', (state) => `error=a&error=b&state=${state}`, 'ERR_BAD_REQUEST', 'callback: more than one error'],
    ['neither code nor error', (state) => `state=${state}`, 'ERR_BAD_REQUEST', 'callback: neither code nor error'],
    [
      'an issuer that is not ours',
      (state) => `code=c&state=${state}&iss=https%3A%2F%2Fevil.test`,
      'ERR_IDP_REJECTED',
      'iss names another issuer',
    ],
    [
      'an ID token in the query',
      (state) => `code=c&state=${state}&id_token=x`,
      'ERR_IDP_REJECTED',
      'unsupported operation',
    ],
  ])('%s: refused before the code is spent', async (_name, query, code, message) => {
    await start()
    const provider = client()
    const { pending } = await begun(provider)
    await expect(
      provider.complete(new URL(`${REDIRECT.href}?${query(pending.state)}`), pending, signal),
    ).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    })
    expect(idp.callsTo('/token')).toBe(0)
  })

  test('an error of the provider has our explanation, and its own text apart', async () => {
    await start()
    const provider = client()
    const { pending } = await begun(provider)
    const query = {
      error: 'access_denied',
      error_description: 'User is not assigned to the client application.',
      state: pending.state,
    }
    await expect(provider.complete(callbackWith(query), pending, signal)).rejects.toMatchObject({
      code: 'ERR_IDP_REJECTED',
      message: 'callback: the identity provider answered access_denied',
      details: {
        error: 'access_denied',
        hint: 'not-assigned',
        title: 'Your account has not been given access',
        description: 'User is not assigned to the client application.',
      },
    })
  })

  test('an invalid error code is not shown', async () => {
    await start()
    const provider = client()
    const { pending } = await begun(provider)
    const query = { error: '<svg onload=alert(1)>\n', state: pending.state }
    await expect(provider.complete(callbackWith(query), pending, signal)).rejects.toMatchObject({
      message: 'callback: the identity provider answered unknown',
      details: { error: 'unknown', hint: 'unknown' },
    })
  })
})

describe('refresh', () => {
  let kept: string[]
  beforeEach(() => {
    kept = []
  })
  const keep = async (token: string) => void kept.push(token)
  const unwanted = () => expect.unreachable()
  const current = (): Refreshable => ({
    identity: { issuer: idp.issuer, subject: '00u-alice', claims: { iss: idp.issuer, sub: '00u-alice' } },
    idToken: 'the-first-id-token',
    refreshToken: 'old',
  })
  const withoutIdToken: Misbehaviour = { token: without('id_token') }

  test.each<readonly [string, Answer, string]>([
    ['429 worded as invalid_grant', (_req, res) => json(res, { error: 'invalid_grant' }, 429), 'ERR_IDP_UNREACHABLE'],
    ['a server error', (_req, res) => json(res, { error: 'invalid_grant' }, 500), 'ERR_IDP_UNREACHABLE'],
    ['a set-up error', (_req, res) => json(res, { error: 'invalid_client' }, 401), 'ERR_IDP_CLIENT'],
    ['HTML', (_req, res) => void res.writeHead(200).end('<p>'), 'ERR_IDP_REJECTED'],
    ['no answer', (_req, res) => void res.destroy(), 'ERR_IDP_UNREACHABLE'],
    ['unsupported_grant_type', (_req, res) => json(res, { error: 'unsupported_grant_type' }, 400), 'ERR_IDP_REJECTED'],
  ])('%s does not end a session', async (_name, answer, code) => {
    await start({ answers: { token: answer } })
    await expect(client().refresh(current(), signal, unwanted)).rejects.toMatchObject({ code })
  })

  test.each(['invalid_grant', 'access_denied'])('%s ends the session', async (error) => {
    await start({ answers: { token: (_req, res) => json(res, { error }, 400) } })
    expect(await client().refresh(current(), signal, unwanted)).toEqual({ outcome: 'refused' })
  })

  test.each<readonly [string, Misbehaviour]>([
    ['another subject', { claims: { sub: '00u-bob' } }],
    ['another issuer', { claims: { iss: 'https://evil.test' } }],
    ['another audience', { claims: { aud: 'somebody-else' } }],
    ['another authorized party', { claims: { aud: [CLIENT_ID, 'other'], azp: 'other' } }],
    ['another subject at userinfo', { userinfo: { sub: '00u-bob' } }],
    ['another subject at userinfo, and no ID token', { ...withoutIdToken, userinfo: { sub: '00u-bob' } }],
  ])('%s ends it as well', async (_name, wrong) => {
    await start(wrong)
    expect(await client().refresh(current(), signal, keep)).toEqual({ outcome: 'mismatch' })
  })

  test('without an ID token userinfo says who it is; what it does not tell is unknown from then on', async () => {
    await start({ ...withoutIdToken, userinfo: { sub: '00u-alice', email: 'alice@corp.example', groups: ['Staff'] } })
    const { identity } = current()
    const before = { ...identity, claims: { ...identity.claims, department: 'R&D', auth_time: 7, acr: 'loa1' } }
    const refreshed = await client().refresh({ ...current(), identity: before }, signal, keep)
    expect(refreshed).toMatchObject({
      outcome: 'renewed',
      identity: { issuer: idp.issuer, subject: '00u-alice', email: 'alice@corp.example' },
      tokens: { idToken: 'the-first-id-token', refreshToken: 'rt' },
    })
    const { claims } = (refreshed as Extract<typeof refreshed, { outcome: 'renewed' }>).identity
    expect(claims).toEqual({
      iss: idp.issuer,
      sub: '00u-alice',
      email: 'alice@corp.example',
      groups: ['Staff'],
      auth_time: 7,
      acr: 'loa1',
    })
  })

  test('without an ID token and without userinfo nothing is new but the tokens', async () => {
    await start({
      token: without('id_token', 'refresh_token'),
      metadata: without('userinfo_endpoint'),
    })
    expect(await client().refresh(current(), signal, unwanted)).toMatchObject({
      outcome: 'renewed',
      identity: current().identity,
      tokens: { idToken: 'the-first-id-token', refreshToken: 'old' },
    })
  })

  test('claims are those of the refresh, but what was said of the sign-in stays', async () => {
    await start({
      claims: { department: 'Sales', auth_time: 99, acr: 'loa3', amr: ['mfa'] },
      userinfo: { sub: '00u-alice' },
    })
    const { identity } = current()
    const before = {
      ...identity,
      claims: { ...identity.claims, department: 'R&D', auth_time: 7, acr: 'loa1', amr: ['pwd'] },
    }
    expect(await client().refresh({ ...current(), identity: before }, signal, keep)).toMatchObject({
      identity: { claims: { department: 'Sales', auth_time: 7, acr: 'loa1', amr: ['pwd'] } },
    })
  })

  test('a refresh does not say how somebody signed in, where the sign-in did not', async () => {
    await start({ claims: { auth_time: Math.floor(Date.now() / 1000), acr: 'loa3', amr: ['mfa'], sid: 's' } })
    const refreshed = await client().refresh(current(), signal, keep)
    const { claims } = (refreshed as Extract<typeof refreshed, { outcome: 'renewed' }>).identity
    expect(claims).toMatchObject({ department: 'R&D' })
    for (const name of ['auth_time', 'acr', 'amr', 'sid']) expect(claims).not.toHaveProperty(name)
  })

  test('a new refresh token is kept before the rest of the answer is looked at, whatever is wrong with it', async () => {
    await start({ signature: 'stranger', token: (answer) => ({ ...answer, refresh_token: 'rotated' }) })
    await expect(client().refresh(current(), signal, keep)).rejects.toMatchObject({ code: 'ERR_IDP_REJECTED' })
    expect(kept).toEqual(['rotated'])
    expect(idp.callsTo('/userinfo')).toBe(0)
    const fault = new AppError('ERR_STORE_UNAVAILABLE', 'store: disk')
    await expect(client().refresh(current(), signal, () => Promise.reject(fault))).rejects.toBe(fault)
  })
})

describe('discovery', () => {
  test.each<readonly [string, Misbehaviour, string]>([
    [
      'another issuer',
      { metadata: (right) => ({ ...right, issuer: 'https://evil.test' }) },
      'it calls itself "https://evil.test"',
    ],
    [
      'its issuer with a trailing slash',
      { metadata: (right) => ({ ...right, issuer: `${String(right['issuer'])}/` }) },
      'it calls itself',
    ],
    ['no token endpoint', { metadata: (right) => ({ ...right, token_endpoint: undefined }) }, 'no token_endpoint'],
    [
      'HTML',
      { answers: { discovery: (_req, res) => void res.writeHead(200).end('<p>') } },
      'unexpected response content-type',
    ],
    [
      'not found',
      { answers: { discovery: (_req, res) => void res.writeHead(404).end() } },
      '/.well-known/openid-configuration answered 404; waiting does not help',
    ],
    [
      'a redirect',
      { answers: { discovery: (_req, res) => void res.writeHead(302, { location: 'https://evil.test' }).end() } },
      '/.well-known/openid-configuration answered 302; waiting',
    ],
  ])('with %s: no sign-in', async (_name, wrong, message) => {
    await start(wrong)
    await expect(client().begin(signal)).rejects.toMatchObject({
      code: 'ERR_IDP_ISSUER',
      message: expect.stringContaining(message),
    })
  })

  test('a provider that is not Okta may end its issuer with a slash, and its tokens must too', async () => {
    await start({ metadata: (right) => ({ ...right, issuer: `${String(right['issuer'])}/` }) })
    await expect(signIn(client({ provider: 'oidc' }))).rejects.toMatchObject({
      message: expect.stringContaining('"iss"'),
    })
    idp.behave({
      metadata: (right) => ({ ...right, issuer: `${String(right['issuer'])}/` }),
      claims: { iss: `${idp.issuer}/` },
    })
    await expect(signIn(client({ provider: 'oidc' }))).resolves.toMatchObject({
      identity: { issuer: `${idp.issuer}/` },
    })
  })

  test('an unreachable provider is not asked again at once, and sign-in recovers by itself', async () => {
    await start({ answers: { discovery: (_req, res) => void res.writeHead(503).end() } })
    const clock = manualClock()
    const provider = client({}, clock)
    const down = { code: 'ERR_IDP_UNREACHABLE', message: expect.stringContaining('answered 503') }
    for (let n = 0; n < 5; n++) await expect(provider.begin(signal)).rejects.toMatchObject(down)
    expect(idp.calls).toHaveLength(1)
    idp.behave({})
    clock.advance(3000)
    await expect(provider.begin(signal)).resolves.toHaveProperty('redirect')
  })

  test('metadata is read again after an hour, and kept when that fails', async () => {
    await start()
    const clock = manualClock()
    const provider = client({}, clock)
    await provider.begin(signal)
    idp.behave({ answers: { discovery: (_req, res) => void res.writeHead(503).end() } })
    clock.advance(3_600_000)
    await expect(provider.begin(signal)).resolves.toHaveProperty('redirect')
    await vi.waitFor(() => expect(idp.calls).toHaveLength(1))
    await expect(provider.begin(signal)).resolves.toHaveProperty('redirect')
    expect(idp.calls).toHaveLength(1)
    idp.behave({ metadata: (right) => ({ ...right, authorization_endpoint: 'https://moved.test/authorize' }) })
    await vi.waitFor(async () => {
      clock.advance(3000)
      expect((await provider.begin(signal)).redirect.host).toBe('moved.test')
    })
  })

  /** A signed-in provider, some time later, whose discovery and keys hang from then on. */
  async function hanging(after: number, timeout: number): Promise<IdentityProvider> {
    await start()
    const clock = manualClock(Date.now())
    const provider = client({ timeout }, clock)
    await signIn(provider)
    clock.advance(after)
    const seconds = Math.floor(clock.now() / 1000)
    idp.behave({
      claims: { iat: seconds, exp: seconds + 3600 },
      answers: { discovery: () => {}, keys: () => {} },
    })
    return provider
  }

  test('discovery and keys that hang when read again: sign-ins use the old ones', async () => {
    // Whoever waited for them would wait longer than this test may.
    const provider = await hanging(3_600_000, 60_000)
    for (let n = 0; n < 3; n++) {
      await expect(signIn(provider)).resolves.toMatchObject({ identity: { subject: '00u-alice' } })
    }
    await vi.waitFor(() => expect(idp.callsTo('/.well-known/openid-configuration')).toBe(1))
    expect(idp.callsTo('/keys')).toBe(1)
    await expect(provider.signOutUrl('id-token', REDIRECT)).resolves.toBeUndefined()
  })

  test('keys that could not be read again for a day are not used', async () => {
    const provider = await hanging(86_400_000, 300)
    await expect(signIn(provider)).rejects.toMatchObject({ code: 'ERR_IDP_UNREACHABLE' })
  })

  test('invalid keys at a later reading: the old ones stay', async () => {
    const provider = await hanging(3_600_000, 3000)
    for (const garbage of [{}, { keys: 'none' }, { keys: [null] }, [], null]) {
      const { claims } = {
        claims: { iat: Math.floor(Date.now() / 1000) + 3600, exp: Math.floor(Date.now() / 1000) + 7200 },
      }
      idp.behave({ claims, answers: { keys: (_req, res) => json(res, garbage) } })
      await expect(signIn(provider)).resolves.toHaveProperty('identity')
    }
  })

  test('an unknown key is read, however long other readings hang; without an answer the token is refused', async () => {
    const provider = await hanging(3_600_000, 300)
    const { jwk, header } = rotatedKey()
    const seconds = Math.floor(Date.now() / 1000) + 3600
    const rotated: Misbehaviour = { claims: { iat: seconds, exp: seconds + 3600 }, signature: 'stranger', header }
    idp.behave({ ...rotated, answers: { keys: () => {} } })
    await expect(signIn(provider)).rejects.toMatchObject({ code: 'ERR_IDP_UNREACHABLE' })
    idp.behave({ claims: { iat: seconds, exp: seconds + 3600 }, answers: { keys: () => {} } })
    await expect(signIn(provider)).resolves.toHaveProperty('identity')
    idp.behave({ ...rotated, keys: () => [jwk] })
    await expect(signIn(provider)).resolves.toHaveProperty('identity')
  })

  test.each([
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)//https://org.okta.example/authorize',
    'data:text/html,<script>alert(1)</script>',
    'http://evil.test/authorize',
    'ftp://org.okta.example/authorize',
    'https://user:password@org.okta.example/authorize',
    'https://org.okta.example/authorize#fragment',
    '//org.okta.example/authorize',
    '/authorize',
    '',
    7,
    null,
    { href: 'https://org.okta.example/' },
  ])('with any endpoint %j: no sign-in, and nothing is sent there', async (endpoint) => {
    await start()
    for (const name of [
      'authorization_endpoint',
      'token_endpoint',
      'jwks_uri',
      'userinfo_endpoint',
      'end_session_endpoint',
    ]) {
      idp.behave({ metadata: (right) => ({ ...right, [name]: endpoint }) })
      await expect(client().begin(signal), name).rejects.toMatchObject({
        code: 'ERR_IDP_ISSUER',
        message: expect.stringContaining(name),
      })
      await expect(client().signOutUrl('id-token', REDIRECT)).resolves.toBeUndefined()
    }
  })

  test('times in tokens are compared with the injected clock', async () => {
    await start()
    const clock = manualClock(Date.now() + 7_200_000)
    await expect(signIn(client({}, clock))).rejects.toMatchObject({ message: expect.stringContaining('"exp"') })
  })

  test('sign-out without an end-session endpoint, or without a provider, stays local', async () => {
    await start()
    await expect(client().signOutUrl('id-token', REDIRECT)).resolves.toBeUndefined()
    idp.behave({ answers: { discovery: (_req, res) => void res.writeHead(503).end() } })
    const logged: string[] = []
    const logger: Logger = { ...silentLogger, warn: (_fields, message) => void logged.push(message) }
    await expect(client({}, systemClock, logger).signOutUrl('id-token', REDIRECT)).resolves.toBeUndefined()
    expect(logged).toEqual(['identity provider unreachable', 'no sign-out at the identity provider'])
  })
})
