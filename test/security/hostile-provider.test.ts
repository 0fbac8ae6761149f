/**
 * I04, I12, I14, J01–J05 through the whole program: a provider that lies, or somebody who speaks for it. Whatever is
 * wrong with an answer, the browser gets a page with a way on, no session and no cookie, and the log no token
 * (CVE-2024-22025 gzip bombs; RFC 8725 §3; OpenID Connect Core §3.1.3.7; a redirect must not take the secret along).
 */
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type HostileIdp, json, type Misbehaviour, startHostileIdp } from '../integration/identity/hostile-idp.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://app.localhost/'
const SECRET = 'hostile-client-secret-that-must-not-travel'

let idp: HostileIdp
let world: World
beforeAll(async () => {
  idp = await startHostileIdp()
  world = await createTestWorld({
    config: {
      idp_provider: 'oidc',
      idp_provider_url: idp.issuer,
      idp_client_id: 'postern',
      idp_client_secret: SECRET,
      idp_service_account: undefined,
    },
    routes: [
      { from: 'http://app.localhost', allow_any_authenticated_user: true },
      { from: 'http://company.localhost', allowed_domains: ['company.com'] },
    ],
  })
})
afterAll(async () => {
  idp.behave({})
  expect((await signIn()).last.status).toBe(200)
  for (const secret of [SECRET, 'eyJ', '"at"', 'the-code']) expect(world.logText()).not.toContain(secret)
  await world.close()
  await idp.close()
})

/** A sign-in whose authorization endpoint behaves; everything behind it is the provider's. */
async function signIn(url = APP) {
  const browser = world.browser()
  const { url: authorize } = await browser.go(url, (next) => next.origin === idp.issuer)
  const { searchParams } = authorize
  idp.nonce = searchParams.get('nonce') ?? ''
  const query = new URLSearchParams({ code: 'the-code', state: searchParams.get('state') ?? '' })
  const callback = `http://authenticate.localhost/oauth2/callback?${query}`
  const answer = await browser.ask(callback)
  const last = answer.headers.location === undefined ? answer : await browser.go(answer.headers.location)
  return { browser, callback, answer, last }
}

async function expectNobody(status: number, url?: string): Promise<void> {
  const received = world.received.length
  const { browser, answer } = await signIn(url)
  expect(answer.status).toBe(status)
  expect(answer.headers.location).toBeUndefined()
  expect(answer.body).toMatch(/Try again|Start again/)
  expect(answer.body).not.toMatch(/eyJ|\.ts:|node_modules/)
  expect(browser.cookies.get('authenticate.localhost')?.has('postern') ?? false).toBe(false)
  expect((await browser.ask(APP)).status).toBe(302)
  expect(world.received).toHaveLength(received)
}

const seconds = (): number => Math.floor(Date.now() / 1000)

describe('sign-in is refused for an ID token that is', () => {
  test.each<readonly [string, Misbehaviour]>([
    ['not signed', { signature: 'none' }],
    ['signed with nothing but a header that says None', { signature: 'none', header: { alg: 'None' } }],
    ['signed by HMAC with the public key', { signature: 'hs256-public-key' }],
    ['signed by a stranger', { signature: 'stranger' }],
    ['changed after it was signed', { signature: 'broken' }],
    ['of a key that nobody publishes', { header: { kid: 'other' } }],
    ['for another client', { claims: { aud: 'somebody-else' } }],
    ['for strangers as well, without azp', { claims: { aud: ['postern', 'stranger'] } }],
    ['for another client, by azp', { claims: { aud: ['postern', 'stranger'], azp: 'stranger' } }],
    ['of another issuer', { claims: { iss: 'http://127.0.0.1:1' } }],
    ['of nobody', { claims: { sub: '' } }],
    ['of no subject at all', { claims: { sub: undefined } }],
    ['without a nonce', { claims: { nonce: undefined } }],
    ['with another nonce', { claims: { nonce: 'A'.repeat(43) } }],
    ['over', { claims: { exp: seconds() - 600, iat: seconds() - 4200 } }],
    ['without an end', { claims: { exp: undefined } }],
    ['with a text for an end', { claims: { exp: '9999999999' } }],
    ['of the future', { claims: { nbf: seconds() + 3600 } }],
    ['not there', { token: (answer) => ({ ...answer, id_token: undefined }) }],
    ['no JWT', { token: (answer) => ({ ...answer, id_token: 'x.y.z' }) }],
  ])('%s', async (_, wrong) => {
    idp.behave(wrong)
    await expectNobody(403)
  })
})

describe('sign-in is refused by a token endpoint that', () => {
  test.each<readonly [string, number, Misbehaviour]>([
    ['says error with a 200', 403, { token: () => ({ error: 'invalid_grant' }) }],
    [
      'answers with HTML',
      403,
      { answers: { token: (_, res) => res.writeHead(200, { 'content-type': 'text/html' }).end('<h1>') } },
    ],
    ['answers with an array', 403, { token: () => [] }],
    ['answers with null', 403, { token: () => null }],
    ['names another kind of token', 403, { token: (answer) => ({ ...answer, token_type: 'mac' }) }],
    ['fails', 503, { answers: { token: (_, res) => json(res, { error: 'server_error' }, 500) } }],
    ['is asked too often', 503, { answers: { token: (_, res) => json(res, {}, 429) } }],
    ['hangs up', 503, { answers: { token: (req) => req.socket.destroy() } }],
    [
      'sends half an answer',
      503,
      {
        answers: {
          token: (_, res) =>
            res
              .writeHead(200, { 'content-type': 'application/json', 'content-length': '100' })
              .write('{', () => res.destroy()),
        },
      },
    ],
    [
      'sends 64 MiB of zeroes, packed',
      403,
      {
        answers: {
          token: (_, res) =>
            res
              .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
              .end(gzipSync(Buffer.alloc(64 * 1024 * 1024))),
        },
      },
    ],
  ])('%s', async (_, status, wrong) => {
    idp.behave(wrong)
    await expectNobody(status)
  })

  test('redirects: the client secret is not sent to the other address', async () => {
    idp.behave({ answers: { token: (_, res) => res.writeHead(307, { location: `${idp.issuer}/elsewhere` }).end() } })
    await expectNobody(403)
    expect(idp.callsTo('/elsewhere')).toBe(0)
  })
})

describe('sign-in with a userinfo endpoint that', () => {
  test.each<readonly [string, number, Misbehaviour]>([
    ['is about somebody else', 403, { userinfo: { sub: '00u-bob' } }],
    ['is about nobody', 403, { userinfo: { email: 'x@company.com' } }],
    ['fails', 503, { answers: { userinfo: (_, res) => json(res, {}, 502) } }],
    [
      'is HTML',
      403,
      { answers: { userinfo: (_, res) => res.writeHead(200, { 'content-type': 'text/html' }).end('<h1>') } },
    ],
  ])('%s', async (_, status, wrong) => {
    idp.behave(wrong)
    await expectNobody(status)
  })
})

test('tokens that never end, or at once, sign people in for good, and each request asks the provider for no others', async () => {
  const never = [1e300, '1.7e308', Number.MAX_SAFE_INTEGER]
  await world.restart({ directory: { static: { users: [{ id: '00u-alice' }] } } })
  for (const expires_in of [...never, 0, 0.001]) {
    idp.behave({ token: (answer) => ({ ...answer, expires_in }) })
    const { browser } = await signIn()
    for (let i = 0; i < 3; i++) expect((await browser.ask(APP)).status, String(expires_in)).toBe(200)
    expect(idp.callsTo('/token'), String(expires_in)).toBe(1)
  }
  await world.restart({ directory: undefined })
})

describe('I14 an e-mail address that', () => {
  test.each<readonly [string, Record<string, unknown>]>([
    ['has two @', { email: 'attacker@evil.com@company.com' }],
    ['is not verified', { email: 'x@company.com', email_verified: false }],
    ['is not verified, in words', { email: 'x@company.com', email_verified: 'false' }],
    ['has a quoted @', { email: '"a@b"@company.com' }],
    ['ends like ours', { email: 'x@notcompany.com' }],
    ['begins like ours', { email: 'x@company.com.evil.com' }],
    ['looks like ours', { email: 'x@cоmpany.com' }],
    ['is a list', { email: ['x@company.com'] }],
    ['is null', { email: null }],
    ['holds a line break', { email: 'x@evil.com\n@company.com' }],
  ])('%s does not match allowed_domains', async (_, claims) => {
    idp.behave({ claims })
    const { last } = await signIn('http://company.localhost/')
    expect(last.status).toBe(403)
  })

  test('is of the domain, in upper or lower case, matches allowed_domains', async () => {
    idp.behave({ claims: { email: 'X@Company.COM' } })
    expect((await signIn('http://company.localhost/')).last.status).toBe(200)
  })
})
