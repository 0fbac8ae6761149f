/** Pushed authorization requests (RFC 9126): where they are sent, and that one which need not be costs nobody a sign-in. */
import { afterEach, describe, expect, test } from 'vitest'
import type { OidcSettings } from '../../../src/identity/oidc.ts'
import { createOidcProvider } from '../../../src/identity/oidc.ts'
import { Secret } from '../../../src/lib/secret.ts'
import type { IdentityProvider, Logger } from '../../../src/types.ts'
import { manualClock } from '../../support/clock.ts'
import { type Answer, CLIENT_ID, type HostileIdp, json, type Misbehaviour, startHostileIdp } from './hostile-idp.ts'

const REDIRECT = new URL('https://authenticate.corp.example/oauth2/callback')
const REQUEST_URI = 'urn:ietf:params:oauth:request_uri:one'
const signal = new AbortController().signal

const good: Answer = (_req, res) => json(res, { request_uri: REQUEST_URI, expires_in: 60 }, 201)

const FAILURES: readonly (readonly [name: string, answer: Answer])[] = [
  ['429', (_req, res) => json(res, { error: 'invalid_grant' }, 429)],
  ['503', (_req, res) => void res.writeHead(503).end()],
  ['a refusal', (_req, res) => json(res, { error: 'unauthorized_client' }, 400)],
  ['a refusal of our secret', (_req, res) => json(res, { error: 'invalid_client' }, 401)],
  ['nonsense', (_req, res) => void res.writeHead(201, { 'content-type': 'application/json' }).end('{')],
  ['no request_uri', (_req, res) => json(res, { expires_in: 60 }, 201)],
  ['a redirect', (_req, res) => void res.writeHead(302, { location: 'https://evil.test/' }).end()],
  ['a closed connection', (req) => void req.socket.destroy()],
]

let idp: HostileIdp
afterEach(() => idp.close())

const clock = manualClock()
let warnings: unknown[]
const heard: Logger = {
  info() {},
  error() {},
  debug() {},
  warn: (_fields: unknown, text?: unknown) => void warnings.push(text),
} as unknown as Logger

async function client(wrong: Misbehaviour, more: Partial<OidcSettings> = {}): Promise<IdentityProvider> {
  idp = await startHostileIdp(wrong)
  warnings = []
  return createOidcProvider({
    idp: {
      name: 'default',
      provider: 'oidc',
      issuer: idp.issuer,
      clientId: CLIENT_ID,
      clientAuth: { kind: 'basic', secret: new Secret('the-client-secret') },
      scopes: ['openid', 'email'],
      requestParams: {},
      pushedRequests: 'when-possible',
      timeout: 60_000,
      allowUnverifiedEmail: false,
      ...more,
    },
    redirectUri: REDIRECT,
    clock,
    logger: heard,
  })
}

const offering = (pushed: Answer): Misbehaviour => ({ answers: { pushed } })
const requiring = (pushed: Answer): Misbehaviour => ({
  answers: { pushed },
  metadata: (right) => ({ ...right, require_pushed_authorization_requests: true }),
})

/** `pushed`: the browser carries a reference; `plain`: everything. */
async function kindOf(provider: IdentityProvider): Promise<'pushed' | 'plain'> {
  const { redirect, pending } = await provider.begin(signal)
  const query = redirect.searchParams
  expect(redirect.pathname).toBe('/authorize')
  expect(query.get('client_id')).toBe(CLIENT_ID)
  if (query.get('request_uri') === REQUEST_URI) {
    expect(query.size).toBe(2)
    return 'pushed'
  }
  expect(query.get('request_uri')).toBeNull()
  expect([query.get('state'), query.get('nonce')]).toEqual([pending.state, pending.nonce])
  expect([query.get('code_challenge_method'), query.get('redirect_uri')]).toEqual(['S256', REDIRECT.href])
  return 'plain'
}

describe('where they are sent', () => {
  test.each([
    ['when-possible', 'offered', 'pushed'],
    ['when-possible', 'required', 'pushed'],
    ['when-possible', 'absent', 'plain'],
    ['always', 'offered', 'pushed'],
    ['always', 'absent', 'plain'],
    ['never', 'offered', 'plain'],
    ['never', 'required', 'pushed'],
  ] as const)('%s, and the provider has it %s: %s', async (pushedRequests, offer, kind) => {
    const wrong = { offered: offering(good), required: requiring(good), absent: {} }[offer]
    expect(await kindOf(await client(wrong, { pushedRequests }))).toBe(kind)
    expect(idp.callsTo('/par')).toBe(kind === 'pushed' ? 1 : 0)
  })

  test('with client authentication and all parameters', async () => {
    const provider = await client(offering(good))
    const { pending } = await provider.begin(signal, { scopes: [], demand: { acrValues: ['gold'] } })
    const call = idp.calls.find(({ path }) => path === '/par')
    expect(call?.headers.authorization).toMatch(/^Basic /)
    const body = new URLSearchParams(call?.body)
    expect([body.get('state'), body.get('nonce'), body.get('acr_values')]).toEqual([
      pending.state,
      pending.nonce,
      'gold',
    ])
  })
})

describe('one that fails', () => {
  test.each(FAILURES)('by %s costs no sign-in, and the provider is left alone for a minute', async (_name, answer) => {
    const provider = await client(offering(answer))
    for (let i = 0; i < 3; i++) expect(await kindOf(provider)).toBe('plain')
    expect(idp.callsTo('/par')).toBe(1)
    // One line: an outage is told as one.
    expect(warnings).toEqual([
      provider.trouble()
        ? 'identity provider unreachable'
        : 'authorization requests go through the browser: a pushed one failed',
    ])
    idp.behave(offering(good))
    clock.advance(59_000)
    expect(await kindOf(provider)).toBe('plain')
    clock.advance(1000)
    expect(await kindOf(provider)).toBe('pushed')
  })

  test('for want of an answer in a fifth of the time-out costs no sign-in', async () => {
    const provider = await client(
      offering(() => {}),
      { timeout: 1500 },
    )
    await expect(kindOf(provider)).resolves.toBe('plain')
    expect(await kindOf(provider)).toBe('plain')
    expect(idp.callsTo('/par')).toBe(1)
  })

  test('together with others is one line in the log', async () => {
    const provider = await client(offering((_req, res) => void res.writeHead(503).end()))
    const kinds = await Promise.all(Array.from({ length: 8 }, () => kindOf(provider)))
    expect(new Set(kinds)).toEqual(new Set(['plain']))
    expect(warnings).toHaveLength(1)
  })

  test.each([
    ['is required', requiring, 'when-possible'],
    ['is required, whatever is configured', requiring, 'never'],
    ['is configured', offering, 'always'],
  ] as const)('and %s is a sign-in that fails', async (_name, misbehave, pushedRequests) => {
    const provider = await client(
      misbehave((_req, res) => void res.writeHead(503).end()),
      { pushedRequests },
    )
    await expect(provider.begin(signal)).rejects.toMatchObject({ code: 'ERR_IDP_UNREACHABLE' })
    idp.behave(misbehave((_req, res) => json(res, { error: 'invalid_client' }, 401)))
    await expect(provider.begin(signal)).rejects.toMatchObject({
      code: 'ERR_IDP_CLIENT',
      message: 'pushed request: the identity provider answered invalid_client',
    })
    // It is asked each time: there is no other way in.
    idp.behave(misbehave(good))
    expect(await kindOf(provider)).toBe('pushed')
  })
})

describe('a flood of sign-ins', () => {
  test('pushes ten at once and then one a second; the others go through the browser', async () => {
    const provider = await client(offering(good))
    const begin = async (count: number): Promise<number> =>
      (await Promise.all(Array.from({ length: count }, () => kindOf(provider)))).filter((kind) => kind === 'pushed')
        .length
    expect(await begin(100)).toBe(10)
    expect(await begin(100)).toBe(0)
    clock.advance(999)
    expect(await begin(10)).toBe(0)
    clock.advance(1)
    expect(await begin(10)).toBe(1)
    clock.advance(3500)
    expect(await begin(10)).toBe(3)
    clock.advance(500)
    expect(await begin(10)).toBe(1)
    clock.advance(3_600_000)
    expect(await begin(100)).toBe(10)
    expect(idp.callsTo('/par')).toBe(25)
  })

  test('is not bounded where the provider requires them', async () => {
    const provider = await client(requiring(good))
    const kinds = await Promise.all(Array.from({ length: 30 }, () => kindOf(provider)))
    expect(new Set(kinds)).toEqual(new Set(['pushed']))
  })
})
