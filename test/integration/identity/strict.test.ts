import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createOidcProvider, type OidcSettings } from '../../../src/identity/oidc.ts'
import { groupsFromClaims } from '../../../src/identity/claims.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import type { ClientAuth } from '../../../src/config/model.ts'
import type { Identity, IdentityProvider, Refreshable, Tokens } from '../../../src/types.ts'
import { SECRET, startStrictIdp, type StrictIdp } from './strict-idp.ts'

const REDIRECT = new URL('https://authenticate.corp.example/oauth2/callback')
const SIGNED_OUT = new URL('https://authenticate.corp.example/.postern/signed_out')

const BASIC: ClientAuth = { kind: 'basic', secret: new Secret(SECRET) }
const AUTH: readonly (readonly [name: string, auth: ClientAuth, method: string])[] = [
  ['basic', BASIC, 'client_secret_basic'],
  ['post', { kind: 'post', secret: new Secret(SECRET) }, 'client_secret_post'],
  ['none', { kind: 'none' }, 'none'],
]

/** Clients whose ID tokens are signed by keys of their own. */
const SIGNED_BY = { ps256: 'PS256', es256: 'ES256', es384: 'ES384', eddsa: 'EdDSA' } as const

const CLIENTS = [...AUTH, ...Object.keys(SIGNED_BY).map((name) => [name, BASIC, 'client_secret_basic'] as const)].map(
  ([name, , method]) => ({
    client_id: name,
    ...(method === 'none' ? {} : { client_secret: SECRET }),
    token_endpoint_auth_method: method as 'none',
    redirect_uris: [REDIRECT.href],
    post_logout_redirect_uris: [SIGNED_OUT.href],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code' as const],
    id_token_signed_response_alg: SIGNED_BY[name as keyof typeof SIGNED_BY] ?? ('RS256' as const),
    application_type: 'web' as const,
  }),
)

const signal = new AbortController().signal

function refreshable(identity: Identity, { idToken, refreshToken = '' }: Tokens): Refreshable {
  return { identity, idToken, refreshToken }
}

function provider(
  issuer: string,
  clientId: string,
  clientAuth: ClientAuth,
  more: Partial<OidcSettings> = {},
): IdentityProvider {
  const idp: OidcSettings = {
    name: 'default',
    provider: 'okta',
    issuer,
    clientId,
    clientAuth,
    scopes: ['profile', 'email', 'groups', 'offline_access'],
    requestParams: { prompt: 'consent' },
    pushedRequests: 'never',
    timeout: 5000,
    allowUnverifiedEmail: false,
    ...more,
  }
  return createOidcProvider({ idp, redirectUri: REDIRECT, clock: systemClock, logger: silentLogger })
}

describe.each(['', '/oauth2/default'] as const)('a certified provider at issuer path "%s"', (path) => {
  let server: StrictIdp
  beforeAll(async () => {
    server = await startStrictIdp(path, CLIENTS)
  })
  afterAll(() => server.close())

  test.each([...AUTH, ...Object.keys(SIGNED_BY).map((name) => [name, BASIC, ''] as const)])(
    'signs in, reads userinfo and refreshes with client authentication %s',
    async (clientId, auth) => {
      const idp = provider(server.issuer, clientId, auth)
      const { redirect, pending } = await idp.begin(signal)
      const { identity, tokens } = await idp.complete(await server.browse(redirect), pending, signal)

      expect(identity).toMatchObject({
        issuer: server.issuer,
        subject: '00u-alice',
        email: 'alice@corp.example',
        name: 'Alice Example',
      })
      expect(groupsFromClaims(identity.claims, 'groups')?.map(({ name }) => name)).toEqual(['Engineering', 'Everyone'])
      expect(identity.claims).not.toHaveProperty('nonce')
      expect(tokens.idToken.split('.')).toHaveLength(3)
      expect(Number(tokens.accessTokenExpiresAt)).toBeGreaterThan(Number(systemClock.now()))

      const kept: string[] = []
      const again = await idp.refresh(refreshable(identity, tokens), signal, async (token) => void kept.push(token))
      if (again.outcome !== 'renewed') throw new Error(again.outcome)
      const { iat, exp } = again.identity.claims
      expect(again.identity).toEqual({ ...identity, claims: { ...identity.claims, iat, exp } })
      expect(again.tokens.refreshToken).not.toBe(tokens.refreshToken)
      expect(kept).toEqual([again.tokens.refreshToken])
    },
  )

  test('sends a new PKCE S256 challenge, state and nonce for every sign-in, in characters that Okta accepts', async () => {
    const idp = provider(server.issuer, 'basic', BASIC)
    const [one, two] = await Promise.all([idp.begin(signal), idp.begin(signal)])
    const query = one.redirect.searchParams
    expect(query.get('response_type')).toBe('code')
    expect(query.get('code_challenge_method')).toBe('S256')
    expect(query.get('code_challenge')).toMatch(/^[\w-]{43}$/)
    expect(query.get('code_challenge')).not.toBe(one.pending.codeVerifier)
    expect(query.get('state')).toMatch(/^[A-Za-z0-9,._-]+$/)
    expect(query.get('redirect_uri')).toBe(REDIRECT.href)
    expect(query.get('scope')).toBe('openid profile email groups offline_access')
    for (const name of ['state', 'nonce', 'code_challenge']) {
      expect(query.get(name)).not.toBe(two.redirect.searchParams.get(name))
    }
  })

  test('configured request parameters are sent but cannot replace the protocol’s own', async () => {
    const idp = provider(server.issuer, 'basic', BASIC, {
      requestParams: {
        login_hint: 'alice',
        state: 'fixed',
        code_challenge_method: 'plain',
        redirect_uri: 'https://evil.test',
      },
    })
    const { redirect, pending } = await idp.begin(signal)
    expect(redirect.searchParams.getAll('login_hint')).toEqual(['alice'])
    expect(redirect.searchParams.getAll('state')).toEqual([pending.state])
    expect(redirect.searchParams.getAll('code_challenge_method')).toEqual(['S256'])
    expect(redirect.searchParams.getAll('redirect_uri')).toEqual([REDIRECT.href])
  })

  test.each(AUTH)('pushes the request with client authentication %s when it may', async (clientId, auth) => {
    const idp = provider(server.issuer, clientId, auth, { pushedRequests: 'always' })
    const before = server.calls.length
    const { redirect, pending } = await idp.begin(signal)
    expect(server.calls.slice(before)).toContain(`POST ${path}/request`)
    expect([...redirect.searchParams.keys()].toSorted()).toEqual(['client_id', 'request_uri'])
    expect(redirect.href).not.toContain(pending.state)
    await expect(idp.complete(await server.browse(redirect), pending, signal)).resolves.toMatchObject({
      identity: { subject: '00u-alice' },
    })
  })

  test('a pushed request with a wrong client secret gives an error that names the setting', async () => {
    const wrong: ClientAuth = { kind: 'basic', secret: new Secret('wrong-secret-wrong-secret-wrong-secret') }
    const idp = provider(server.issuer, 'basic', wrong, { pushedRequests: 'always' })
    await expect(idp.begin(signal)).rejects.toMatchObject({
      code: 'ERR_IDP_CLIENT',
      message: 'pushed request: the identity provider answered invalid_client',
    })
  })

  test('discovers once for many sign-ins at a time', async () => {
    const before = server.calls.length
    const idp = provider(server.issuer, 'basic', BASIC)
    await Promise.all(Array.from({ length: 20 }, () => idp.begin(signal)))
    expect(server.calls.slice(before)).toEqual([`GET ${path}/.well-known/openid-configuration`])
  })

  test('a code works with the verifier of its own sign-in only', async () => {
    const idp = provider(server.issuer, 'basic', BASIC)
    const [mine, other] = await Promise.all([idp.begin(signal), idp.begin(signal)])
    const callback = await server.browse(mine.redirect)
    await expect(
      idp.complete(callback, { ...mine.pending, codeVerifier: other.pending.codeVerifier }, signal),
    ).rejects.toMatchObject({ code: 'ERR_IDP_REJECTED', details: { error: 'invalid_grant', hint: 'expired' } })
  })

  test('a code that was used is refused', async () => {
    const idp = provider(server.issuer, 'basic', BASIC)
    const { redirect, pending } = await idp.begin(signal)
    const callback = await server.browse(redirect)
    await idp.complete(callback, pending, signal)
    await expect(idp.complete(callback, pending, signal)).rejects.toMatchObject({
      code: 'ERR_IDP_REJECTED',
      message: 'sign-in: the identity provider answered invalid_grant',
    })
  })

  test('a nonce of another sign-in is refused', async () => {
    const idp = provider(server.issuer, 'basic', BASIC)
    const { redirect, pending } = await idp.begin(signal)
    const callback = await server.browse(redirect)
    await expect(idp.complete(callback, { ...pending, nonce: 'another' }, signal)).rejects.toMatchObject({
      code: 'ERR_IDP_REJECTED',
      message: expect.stringContaining('"nonce"'),
      details: { hint: 'bad-answer' },
    })
  })

  test('the exchange uses the configured redirect URI, whatever host the callback was on', async () => {
    const idp = provider(server.issuer, 'basic', BASIC)
    const { redirect, pending } = await idp.begin(signal)
    const callback = await server.browse(redirect)
    const spoofed = new URL(`http://evil.test/elsewhere${callback.search}`)
    await expect(idp.complete(spoofed, pending, signal)).resolves.toMatchObject({ identity: { subject: '00u-alice' } })
  })

  test('a wrong client secret gives an error that names the setting, not the secret', async () => {
    const wrong = new Secret('wrong-secret-wrong-secret-wrong-secret')
    const idp = provider(server.issuer, 'basic', { kind: 'basic', secret: wrong })
    const { redirect, pending } = await idp.begin(signal)
    const failure = await idp.complete(await server.browse(redirect), pending, signal).catch((error: unknown) => error)
    expect(failure).toMatchObject({
      code: 'ERR_IDP_CLIENT',
      details: { error: 'invalid_client', hint: 'set-up-wrong' },
    })
    expect(JSON.stringify(failure)).not.toContain('wrong-secret')
  })

  test('a refresh token that is revoked, unknown or of somebody else is told from one that is good', async () => {
    const idp = provider(server.issuer, 'basic', BASIC)
    const { redirect, pending } = await idp.begin(signal)
    const { identity, tokens } = await idp.complete(await server.browse(redirect), pending, signal)
    const outcome = async (current: Refreshable) => (await idp.refresh(current, signal, async () => {})).outcome
    const current = refreshable(identity, tokens)
    expect(await outcome({ ...current, refreshToken: 'nonsense' })).toBe('refused')
    expect(await outcome({ ...current, identity: { ...identity, subject: '00u-bob' } })).toBe('mismatch')
    const begun = await idp.begin(signal)
    const next = await idp.complete(await server.browse(begun.redirect), begun.pending, signal)
    await idp.revoke(next.tokens.refreshToken ?? '', signal)
    expect(await outcome(refreshable(next.identity, next.tokens))).toBe('refused')
  })

  test('sign-out goes to the provider’s end-session endpoint, which accepts it', async () => {
    const idp = provider(server.issuer, 'basic', BASIC)
    const { redirect, pending } = await idp.begin(signal)
    const { tokens } = await idp.complete(await server.browse(redirect), pending, signal)
    const url = await idp.signOutUrl(tokens.idToken, SIGNED_OUT)
    expect(url?.href.startsWith(`${server.issuer}/session/end?`)).toBe(true)
    expect(url?.searchParams.get('id_token_hint')).toBe(tokens.idToken)
    expect(url?.searchParams.get('post_logout_redirect_uri')).toBe(SIGNED_OUT.href)
    const response = await fetch(url ?? '')
    expect(response.status).toBe(200)
    await response.body?.cancel()
  })
})

test('a provider that requires pushed requests gets them without being asked to', async () => {
  const server = await startStrictIdp('', CLIENTS, { mustPush: true })
  try {
    const idp = provider(server.issuer, 'basic', BASIC)
    const { redirect, pending } = await idp.begin(signal)
    expect(redirect.searchParams.has('request_uri')).toBe(true)
    await expect(idp.complete(await server.browse(redirect), pending, signal)).resolves.toMatchObject({
      identity: { subject: '00u-alice' },
    })
  } finally {
    await server.close()
  }
})

describe('a provider that Postern reaches at another address than browsers', () => {
  const PUBLIC = 'https://login.corp.example'
  let server: StrictIdp
  beforeAll(async () => {
    server = await startStrictIdp('/oauth2/default', CLIENTS, { publicOrigin: PUBLIC })
  })
  afterAll(() => server.close())

  test('browsers go to the public one, calls to the inner one, and tokens name the public one', async () => {
    const idp = provider(server.issuer, 'basic', BASIC, { internalUrl: server.url, pushedRequests: 'always' })
    const { redirect, pending } = await idp.begin(signal)
    expect(redirect.origin).toBe(PUBLIC)
    const { identity, tokens } = await idp.complete(await server.browse(redirect), pending, signal)
    expect(identity).toMatchObject({ issuer: `${PUBLIC}/oauth2/default`, subject: '00u-alice', name: 'Alice Example' })
    const again = await idp.refresh(refreshable(identity, tokens), signal, async () => {})
    expect(again.outcome).toBe('renewed')
    expect((await idp.signOutUrl(tokens.idToken, SIGNED_OUT))?.origin).toBe(PUBLIC)
    expect(new Set(server.calls)).toEqual(
      new Set([
        'GET /oauth2/default/.well-known/openid-configuration',
        'POST /oauth2/default/request',
        'GET /oauth2/default/auth',
        ...server.calls.filter((call) => call.startsWith('GET /oauth2/default/interaction/')),
        ...server.calls.filter((call) => call.startsWith('GET /oauth2/default/auth/')),
        'POST /oauth2/default/token',
        'GET /oauth2/default/jwks',
        'GET /oauth2/default/me',
      ]),
    )
  })

  test('without the inner address it is not reached, and under another name it is refused', async () => {
    await expect(provider(server.issuer, 'basic', BASIC, { timeout: 500 }).begin(signal)).rejects.toMatchObject({
      code: 'ERR_IDP_UNREACHABLE',
    })
    const other = provider('https://other.corp.example/oauth2/default', 'basic', BASIC, { internalUrl: server.url })
    await expect(other.begin(signal)).rejects.toMatchObject({
      code: 'ERR_IDP_ISSUER',
      message: expect.stringContaining(`it calls itself "${PUBLIC}/oauth2/default"`),
    })
  })
})
