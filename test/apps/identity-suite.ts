/** What every example that verifies the identity JWT has to do: tests of a server over HTTP, with forged tokens and behind Postern. */
import { createServer, type Server } from 'node:http'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../e2e/browser/demo.ts'
import { createBrowser } from '../support/browser.ts'
import { portOf } from '../support/world.ts'
import { ALICE, startBehind } from './behind.ts'
import type { Installed } from './installed.ts'
import { type Running, startServer } from './process.ts'

/**
 * A server that answers `GET /` with `sub`, `email` and `groups`, or 401. It reads PORT, JWKS_URL, AUDIENCE and ISSUER, which
 * is the audience unless given.
 */
export interface Example {
  readonly needs: Installed
  readonly env?: Readonly<Record<string, string>>
  command(port: number): readonly [string, ...string[]]
}

const AUDIENCE = 'app.localhost'

interface Key {
  readonly kid: string
  readonly privateKey: CryptoKey
  readonly jwk: object
}

async function newKey(kid: string, alg: 'ES256' | 'RS256' = 'ES256'): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair(alg)
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

const now = (): number => Math.floor(Date.now() / 1000)

function sign(key: Key, change: Readonly<Record<string, unknown>> = {}, alg = 'ES256'): Promise<string> {
  const claims = {
    iss: AUDIENCE,
    aud: AUDIENCE,
    sub: '00u1alice',
    email: ALICE,
    groups: ['Engineering'],
    iat: now(),
    exp: now() + 300,
    ...change,
  }
  return new SignJWT(claims).setProtectedHeader({ alg, kid: key.kid, typ: 'JWT' }).sign(key.privateKey)
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** `name`: of its folder in examples. Skipped when its libraries could not be had. */
export function identitySuite(name: string, example: Example): void {
  describe.skipIf(example.needs.bin === undefined)(example.needs.name(`examples/${name}`), () => suiteOf(example))
}

function suiteOf(example: Example): void {
  let keys: readonly Key[]
  let readings = 0
  let jwks: Server
  let server: Running
  let url: string

  async function start(env: Readonly<Record<string, string>>): Promise<Running> {
    const port = await freePort()
    url = `http://127.0.0.1:${port}/`
    return startServer(example.command(port), port, { env: { ...example.env, PORT: String(port), AUDIENCE, ...env } })
  }

  beforeAll(async () => {
    keys = [await newKey('first')]
    jwks = createServer((_request, response) => {
      readings++
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }))
    })
    await new Promise<void>((resolve) => jwks.listen(0, '127.0.0.1', resolve))
    server = await start({ JWKS_URL: `http://127.0.0.1:${portOf(jwks)}/jwks.json` })
  })
  afterAll(async () => {
    await server?.close()
    jwks?.close()
  })

  async function ask(
    assertion?: string,
    cookie = '',
  ): Promise<readonly [status: number, body: Readonly<Record<string, unknown>>]> {
    const response = await fetch(url, {
      headers: { cookie, ...(assertion !== undefined && { 'X-Postern-Jwt-Assertion': assertion }) },
    })
    const text = await response.text()
    return [response.status, (text === '' ? {} : JSON.parse(text)) as Readonly<Record<string, unknown>>]
  }

  test('a good token says who is asking, and keys are not read for each', async () => {
    const good = await sign(key())
    expect(await ask(good)).toEqual([200, { sub: '00u1alice', email: ALICE, groups: ['Engineering'] }])
    const before = readings
    await ask(good)
    expect(readings).toBe(before)
  })

  test('a person without an address and groups is somebody, too', async () => {
    const [status, body] = await ask(await sign(key(), { sub: '00u1bob', email: undefined, groups: undefined }))
    expect([status, body['sub']]).toEqual([200, '00u1bob'])
  })

  test('what the next request says counts, whatever session the application keeps', async () => {
    const before = { headers: { 'X-Postern-Jwt-Assertion': await sign(key(), { groups: ['Engineering', 'Admins'] }) } }
    const kept = (await fetch(url, before)).headers.getSetCookie().map((line) => line.split(';')[0])
    const next = await sign(key(), { email: 'smith@example.com', groups: ['Staff'] })
    expect(await ask(next, kept.join('; '))).toEqual([
      200,
      { sub: '00u1alice', email: 'smith@example.com', groups: ['Staff'] },
    ])
  })

  function key(): Key {
    const [first] = keys
    if (!first) throw new TypeError('no key')
    return first
  }

  test.each<readonly [string, () => Promise<string | undefined>]>([
    ['no token', () => Promise.resolve(undefined)],
    ['no JWT', () => Promise.resolve('not-a-token')],
    ['a token for another application', () => sign(key(), { aud: 'other.localhost' })],
    ['a token without an audience', () => sign(key(), { aud: undefined })],
    ['a token of another issuer', () => sign(key(), { iss: 'evil.example' })],
    ['an expired token', () => sign(key(), { iat: now() - 900, exp: now() - 600 })],
    ['a token that never expires', () => sign(key(), { exp: undefined })],
    ['a signature of somebody else under our key id', async () => sign({ ...(await newKey('first')), kid: 'first' })],
    [
      'alg none',
      async () => `${part({ alg: 'none', kid: 'first', typ: 'JWT' })}.${(await sign(key())).split('.')[1]}.`,
    ],
    [
      'HS256 with the public key as its secret',
      async () => {
        const secret = new TextEncoder().encode(JSON.stringify(key().jwk))
        return new SignJWT({ iss: AUDIENCE, aud: AUDIENCE, sub: 'mallory', exp: now() + 300 })
          .setProtectedHeader({ alg: 'HS256', kid: 'first' })
          .sign(secret)
      },
    ],
    [
      'claims that were changed',
      async () => {
        const [header, , signature] = (await sign(key())).split('.')
        return `${header}.${part({ iss: AUDIENCE, aud: AUDIENCE, sub: 'mallory', exp: now() + 300 })}.${signature}`
      },
    ],
  ])('%s is 401', async (_what, token) => {
    const [status, body] = await ask(await token())
    expect([status, body['sub']]).toEqual([401, undefined])
  })

  test('keys that came later are found without a restart, an RSA one, too', async () => {
    const [second, third] = [await newKey('second'), await newKey('third', 'RS256')]
    keys = [...keys, second, third]
    // A library does not ask again at once: floods of unknown key ids must not become calls.
    const accepted = (token: string) => expect.poll(async () => (await ask(token))[0], { interval: 500 }).toBe(200)
    await accepted(await sign(second))
    await accepted(await sign(third, {}, 'RS256'))
    expect((await ask(await sign(await newKey('nowhere'))))[0]).toBe(401)
  })

  test('behind Postern it knows alice, with keys from the inner address', async () => {
    await server.close()
    const port = await freePort()
    url = `http://127.0.0.1:${port}/`
    const behind = await startBehind(url, { pass_identity_headers: true })
    try {
      // By another name than people use, as in a cluster.
      const inner = `${behind.programsUrl}/.well-known/postern/jwks.json`
      server = await startServer(example.command(port), port, {
        env: { ...example.env, PORT: String(port), AUDIENCE, JWKS_URL: inner },
      })
      const browser = createBrowser()
      await behind.world.signIn(browser, `${behind.url}/`, ALICE)
      const answer = await browser.ask(`${behind.url}/`, { headers: { accept: 'application/json' } })
      expect([answer.status, JSON.parse(answer.body)]).toMatchObject([
        200,
        { email: ALICE, groups: expect.arrayContaining(['Engineering']) as unknown },
      ])
    } finally {
      await behind.close()
    }
  })
}
