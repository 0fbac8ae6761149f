/** What a provider may say of itself, and when it is asked again. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import type { IdentityProvider, Logger } from '../../../src/types.ts'
import { manualClock } from '../../support/clock.ts'
import { json, type Misbehaviour, rotatedKey } from './hostile-idp.ts'
import { client, closeIdp, idp, REDIRECT, signal, signIn, start } from './hostile-client.ts'

afterEach(closeIdp)

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

  test('metadata that cannot be used is a trouble that lasts until it can, whether or not anybody signs in', async () => {
    await start({ metadata: (right) => ({ ...right, issuer: 'https://evil.test' }) })
    const clock = manualClock()
    const provider = client({}, clock)
    const since = clock.now()
    expect(provider.trouble()).toBeUndefined()
    await expect(provider.begin(signal)).rejects.toMatchObject({ code: 'ERR_IDP_ISSUER' })
    expect(provider.trouble()).toEqual({
      since,
      reason: expect.stringContaining('it calls itself "https://evil.test"'),
    })
    clock.advance(60_000)
    await vi.waitFor(() => expect(idp.calls).toHaveLength(2))
    expect(provider.trouble()).toMatchObject({ since })
    idp.behave({})
    // The answer arms the next question.
    await vi.waitFor(() => {
      clock.advance(60_000)
      expect(provider.trouble()).toBeUndefined()
    })
    // What was read serves on, whatever comes later.
    idp.behave({ metadata: (right) => ({ ...right, issuer: 'https://evil.test' }) })
    clock.advance(3_600_000)
    await expect(provider.begin(signal)).resolves.toHaveProperty('redirect')
    await vi.waitFor(() => expect(idp.calls).toHaveLength(1))
    expect(provider.trouble()).toBeUndefined()
    provider.close()
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
