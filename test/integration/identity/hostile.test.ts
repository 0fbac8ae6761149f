import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { type Answer, CLIENT_ID, json, type Misbehaviour, rotatedKey } from './hostile-idp.ts'
import {
  begun,
  callbackWith,
  client,
  closeIdp,
  idp,
  REDIRECT,
  SECRET,
  signal,
  signIn,
  start,
} from './hostile-client.ts'

afterEach(closeIdp)

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
