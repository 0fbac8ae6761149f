/** L08: what identity providers push, by raw sockets: every kind of token at every endpoint, replays, floods, and who may not speak. */
import { createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { JsonObject } from '../../src/types.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { sendRaw, type WireAnswer } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://app.localhost'
const AUTH = 'http://authenticate.localhost'
const STREAM = 'Bearer the-secret-of-the-stream'
const LOGOUT = 'http://schemas.openid.net/event/backchannel-logout'
const REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
const ALICE = DEMO.people.alice

let world: World
let clock: ManualClock
/** Tokens that a signed-in person and our own assertion give, as they come. */
let idToken = ''
let assertion = ''

beforeAll(async () => {
  clock = manualClock()
  world = await createTestWorld({
    clock,
    config: { shared_signals: { authorization: STREAM, audience: 'https://sp.example.com/caep' } },
    routes: [{ from: APP, allow_any_authenticated_user: true }],
    okta: { rateLimits: 'off' },
  })
  await signIn()
  assertion = String(world.received.at(-1)?.headers['x-postern-jwt-assertion'])
  idToken = await token('id-token')
})
afterAll(() => world.close())

async function signIn(): Promise<() => Promise<number>> {
  const browser = world.browser()
  expect((await world.signIn(browser, APP, 'alice@example.com')).status).toBe(200)
  return async () => (await browser.ask(APP, { headers: { accept: 'application/json' } })).status
}

const seconds = (): number => Math.floor(clock.now() / 1000)
const jti = (): string => randomBytes(8).toString('hex')

/** What Okta, or another provider, signs of each kind; all with one key. */
const KINDS = {
  'logout-token': () => [
    { typ: 'logout+jwt' },
    { aud: DEMO.clientId, sub: ALICE, events: { [LOGOUT]: {} }, exp: seconds() + 120 },
  ],
  revocation: () => [
    { typ: 'global-token-revocation+jwt' },
    { aud: `${AUTH}/.postern/universal_logout`, sub: DEMO.clientId, nbf: seconds() - 300, exp: seconds() + 300 },
  ],
  'security-event': () => [
    { typ: 'secevent+jwt' },
    {
      aud: 'https://sp.example.com/caep',
      events: {
        [REVOKED]: { subject: { format: 'iss_sub', iss: world.okta.url, sub: ALICE }, event_timestamp: clock.now() },
      },
    },
  ],
  'id-token': () => [
    {},
    { aud: DEMO.clientId, sub: ALICE, nonce: 'n', at_hash: 'h', auth_time: seconds(), exp: seconds() + 3600 },
  ],
  'access-token': () => [
    { typ: 'at+jwt' },
    {
      aud: 'api://default',
      sub: 'alice@example.com',
      uid: ALICE,
      cid: DEMO.clientId,
      scp: ['openid'],
      exp: seconds() + 3600,
    },
  ],
} as const satisfies Record<string, () => readonly [header: JsonObject, claims: JsonObject]>
type Kind = keyof typeof KINDS

function token(kind: Kind, claims: JsonObject = {}, header: JsonObject = {}): Promise<string> {
  const [itsHeader, itsClaims] = KINDS[kind]()
  const all = { iss: world.okta.url, jti: jti(), iat: seconds(), ...itsClaims, ...claims }
  // What is null was left out.
  const kept = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null))
  return world.okta.signals.sign({ ...itsHeader, ...header }, kept)
}

async function post(path: string, headers: readonly string[], body: string): Promise<WireAnswer> {
  const lines = [`POST ${path} HTTP/1.1`, 'host: authenticate.localhost', 'connection: close', ...headers]
  const [answer] = await sendRaw(world.port, `${lines.join('\r\n')}\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  if (!answer) throw new Error('no answer')
  return answer
}

const FORM = 'content-type: application/x-www-form-urlencoded'
const backChannel = (shown: string): Promise<WireAnswer> =>
  post('/.postern/backchannel_logout', [FORM], `logout_token=${encodeURIComponent(shown)}`)
const universal = (shown: string, subject: JsonObject = { format: 'iss_sub', iss: world.okta.url, sub: ALICE }) =>
  post(
    '/.postern/universal_logout',
    ['content-type: application/json', `authorization: Bearer ${shown}`],
    JSON.stringify({ sub_id: subject }),
  )
const event = (shown: string, authorization = STREAM): Promise<WireAnswer> =>
  post('/.postern/ssf', ['content-type: application/secevent+jwt', `authorization: ${authorization}`], shown)

const ENDPOINTS = {
  'logout-token': { send: backChannel, good: 200, bad: 400 },
  revocation: { send: universal, good: 204, bad: 401 },
  'security-event': { send: event, good: 202, bad: 400 },
} as const

describe('every kind of token at every endpoint', () => {
  for (const [wanted, { send, good, bad }] of Object.entries(ENDPOINTS)) {
    test.each(Object.keys(KINDS) as Kind[])(`where a ${wanted} is wanted: %s`, async (kind) => {
      const alive = await signIn()
      const answer = await send(await token(kind))
      expect(answer.status).toBe(kind === wanted ? good : bad)
      expect(answer.header('cache-control')).toBe('no-store')
      expect(await alive()).toBe(kind === wanted ? 401 : 200)
    })

    test(`where a ${wanted} is wanted: our own assertion, and the real ID token of a session`, async () => {
      const alive = await signIn()
      expect(assertion.split('.')).toHaveLength(3)
      expect((await send(assertion)).status).toBe(bad)
      expect((await send(idToken)).status).toBe(bad)
      expect(await alive()).toBe(200)
    })

    test(`where a ${wanted} is wanted: the type alone makes no other kind one`, async () => {
      const alive = await signIn()
      const { typ } = KINDS[wanted as keyof typeof ENDPOINTS]()[0]
      for (const kind of Object.keys(KINDS).filter((each) => each !== wanted) as Kind[]) {
        expect((await send(await token(kind, {}, { typ }))).status, kind).toBe(bad)
      }
      expect(await alive()).toBe(200)
    })

    test(`where a ${wanted} is wanted: bad signatures, other parties, and times`, async () => {
      const alive = await signIn()
      const kind = wanted as keyof typeof ENDPOINTS
      const genuine = await token(kind)
      const [header = '', payload = ''] = genuine.split('.')
      const evil = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
      const input = `${header}.${payload}`
      const none = `${Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url')}.${payload}.`
      const hmacInput = `${Buffer.from(JSON.stringify({ ...KINDS[kind]()[0], alg: 'HS256' })).toString('base64url')}.${payload}`
      const texts = [
        none,
        `${input}.${sign('RSA-SHA256', Buffer.from(input), evil).toString('base64url')}`,
        `${hmacInput}.${createHmac('sha256', DEMO.clientSecret).update(hmacInput).digest('base64url')}`,
        `${input}.`,
        'a.b.c.d.e',
        '',
        'x'.repeat(17_000),
        await token(kind, { iss: 'https://evil.example' }),
        await token(kind, { iss: null }),
        await token(kind, { aud: 'somebody-else' }),
        await token(kind, { aud: null }),
        await token(kind, { iat: null }),
        await token(kind, { iat: seconds() + 600 }),
        await token(kind, { iat: seconds() - 100_000 }),
        await token(kind, { exp: seconds() - 600 }),
        await token(kind, { exp: 1e300 }),
        await token(kind, { jti: null }),
        await token(kind, { jti: 'j'.repeat(300) }),
        await token(kind, {}, { kid: 'unknown' }),
        await token(kind, {}, { crit: ['exp'] }),
      ]
      for (const [index, text] of texts.entries()) expect((await send(text)).status, String(index)).toBe(bad)
      expect(await alive()).toBe(200)
    })
  }
})

describe('a message', () => {
  test('counts once: a logout token and a revocation are refused the second time', async () => {
    const logout = await token('logout-token')
    const revocation = await token('revocation')
    expect((await backChannel(logout)).status).toBe(200)
    expect((await universal(revocation)).status).toBe(204)
    const alive = await signIn()
    expect((await backChannel(logout)).status).toBe(400)
    expect((await universal(revocation)).status).toBe(401)
    expect(await alive()).toBe(200)
  })

  test('of shared signals that comes again is taken, and does nothing', async () => {
    const shown = await token('security-event')
    expect((await event(shown)).status).toBe(202)
    clock.advance(1000)
    const alive = await signIn()
    expect((await event(shown)).status).toBe(202)
    expect(await alive()).toBe(200)
  })
})

describe('a logout token', () => {
  test.each([
    ['typ JWT', {}, { typ: 'JWT' }, 200],
    ['no typ', {}, { typ: undefined }, 200],
    ['no exp', { exp: null }, {}, 200],
    ['aud as a list', { aud: [DEMO.clientId] }, {}, 200],
    ['aud with a stranger', { aud: [DEMO.clientId, 'other'] }, {}, 400],
    ['a nonce', { nonce: 'n' }, {}, 400],
    ['no events', { events: null }, {}, 400],
    ['another event', { events: { [REVOKED]: {} } }, {}, 400],
    ['an event that is no object', { events: { [LOGOUT]: true } }, {}, 400],
    ['neither sub nor sid', { sub: null }, {}, 400],
    ['a sub that is a number', { sub: 1 }, {}, 400],
    ['a sid of nobody', { sid: 'unknown' }, {}, 200],
  ])('with %s', async (_what, claims: JsonObject, header, status) => {
    const answer = await backChannel(await token('logout-token', claims, header as JsonObject))
    expect(answer.status).toBe(status)
    if (status === 400) expect(JSON.parse(answer.body)).toMatchObject({ error: 'invalid_request' })
  })

  test('with a sid ends no session of another', async () => {
    const alive = await signIn()
    expect((await backChannel(await token('logout-token', { sid: 'another' }))).status).toBe(200)
    expect(await alive()).toBe(200)
  })

  test('comes alone, in a form, by POST', async () => {
    const shown = encodeURIComponent(await token('logout-token'))
    const at = '/.postern/backchannel_logout'
    expect((await post(at, [FORM], `logout_token=${shown}&logout_token=${shown}`)).status).toBe(400)
    expect((await post(at, ['content-type: application/json'], `logout_token=${shown}`)).status).toBe(400)
    expect((await post(`${at}?logout_token=${shown}`, [FORM], '')).status).toBe(400)
    const [got] = await sendRaw(
      world.port,
      `GET ${at}?logout_token=${shown} HTTP/1.1\r\nhost: authenticate.localhost\r\nconnection: close\r\n\r\n`,
    )
    expect(got?.status).toBe(405)
    expect((await post(at, [FORM], `logout_token=${shown}`)).status).toBe(200)
  })
})

describe('a global token revocation', () => {
  test.each<readonly [string, JsonObject, number]>([
    ['an address', { format: 'email', email: 'Alice@Example.com' }, 204],
    ['an address of nobody', { format: 'email', email: 'nobody@example.com' }, 404],
    ['a format that is none', { format: 'phone_number', phone_number: '1' }, 400],
    ['no subject', {}, 400],
    ['a subject that is a number', { format: 'iss_sub', iss: 1, sub: 1 }, 400],
  ])('of %s', async (_what, subject, status) => {
    const alive = await signIn()
    expect((await universal(await token('revocation'), subject)).status).toBe(status)
    expect(await alive()).toBe(status === 204 ? 401 : 200)
  })

  test('of a person of another issuer is none', async () => {
    const subject = { format: 'iss_sub', iss: 'https://evil.example', sub: ALICE }
    expect((await universal(await token('revocation'), subject)).status).toBe(400)
  })

  test('for another endpoint, or about another client, is refused with a challenge', async () => {
    for (const claims of [
      { aud: `${AUTH}/.postern/ssf` },
      { aud: [`${AUTH}/.postern/universal_logout`, 'x'] },
      { sub: '0oaother' },
    ]) {
      const answer = await universal(await token('revocation', claims))
      expect(answer.status).toBe(401)
      expect(answer.header('www-authenticate')).toContain('error="invalid_token"')
    }
    const bare = await post('/.postern/universal_logout', ['content-type: application/json'], '{}')
    expect(bare.status).toBe(401)
    expect(bare.header('www-authenticate')).toBe(`Bearer realm="${AUTH}"`)
  })
})

describe('a security event', () => {
  const errOf = (answer: WireAnswer): unknown => (JSON.parse(answer.body) as { err?: unknown }).err

  test('of somebody who does not show the secret is not read', async () => {
    const alive = await signIn()
    for (const authorization of ['Bearer other', '', `${STREAM} `.repeat(2)]) {
      const answer = await event(await token('security-event'), authorization)
      expect([answer.status, errOf(answer)]).toEqual([400, 'authentication_failed'])
    }
    expect(await alive()).toBe(200)
  })

  test.each<readonly [string, JsonObject, JsonObject, string]>([
    ['another issuer', { iss: 'https://evil.example' }, {}, 'invalid_issuer'],
    ['another receiver', { aud: 'https://other.example' }, {}, 'invalid_audience'],
    ['another type', {}, { typ: 'JWT' }, 'invalid_request'],
    ['an unknown key', {}, { kid: 'unknown' }, 'invalid_key'],
  ])('of %s says which', async (_what, claims, header, err) => {
    expect(errOf(await event(await token('security-event', claims, header)))).toBe(err)
  })

  const subject = () => ({ format: 'iss_sub', iss: world.okta.url, sub: ALICE })
  const CHANGED = 'https://schemas.openid.net/secevent/caep/event-type/credential-change'
  test.each<readonly [string, () => JsonObject, number]>([
    ['the subject beside it (SSF 1.0)', () => ({ sub_id: subject(), events: { [REVOKED]: {} } }), 401],
    ['seconds', () => ({ events: { [REVOKED]: { subject: subject(), event_timestamp: seconds() + 1 } } }), 401],
    [
      'the user of a complex subject',
      () => ({ sub_id: { format: 'complex', user: subject() }, events: { [REVOKED]: {} } }),
      401,
    ],
    [
      'the spelling of a draft',
      () => ({ events: { [REVOKED]: { subject: { subject_type: 'iss-sub', iss: world.okta.url, sub: ALICE } } } }),
      401,
    ],
    ['an address', () => ({ sub_id: { format: 'email', email: 'alice@example.com' }, events: { [REVOKED]: {} } }), 401],
    ['a changed credential', () => ({ sub_id: subject(), events: { [CHANGED]: { change_type: 'update' } } }), 401],
    ['one more credential', () => ({ sub_id: subject(), events: { [CHANGED]: { change_type: 'create' } } }), 200],
    [
      'a person of another issuer',
      () => ({ sub_id: { ...subject(), iss: 'https://evil.example' }, events: { [REVOKED]: {} } }),
      200,
    ],
    [
      'a subject that we do not know',
      () => ({ sub_id: { format: 'opaque', id: ALICE }, events: { [REVOKED]: {} } }),
      200,
    ],
    ['an event that we do not know', () => ({ sub_id: subject(), events: { 'https://example.com/other': {} } }), 200],
    [
      'an instant before the sign-in',
      () => ({ events: { [REVOKED]: { subject: subject(), event_timestamp: clock.now() - 60_000 } } }),
      200,
    ],
  ])('with %s', async (_what, claims, status) => {
    const alive = await signIn()
    clock.advance(500)
    expect((await event(await token('security-event', claims()))).status).toBe(202)
    expect(await alive()).toBe(status)
  })

  test('is of its own media type, and not larger than a token', async () => {
    const shown = await token('security-event')
    const wrong = await post('/.postern/ssf', ['content-type: application/json', `authorization: ${STREAM}`], shown)
    expect([wrong.status, errOf(wrong)]).toEqual([400, 'invalid_request'])
    expect((await event('x'.repeat(1 << 20))).status).toBe(400)
  })
})

describe('keys', () => {
  test('a flood of tokens with unknown keys asks the provider once, and none of them waits for long', async () => {
    // Known from here on, and younger than the floor.
    await backChannel(await token('logout-token', { sid: 'x' }))
    clock.advance(20_000)
    const asked = (): number => world.okta.calls().filter(({ path }) => path === '/oauth2/v1/keys').length
    const before = asked()
    const flood = await Promise.all(
      Array.from({ length: 30 }, async (_, i) => backChannel(await token('logout-token', {}, { kid: `k${i}` }))),
    )
    for (const { status } of flood) expect(status).toBe(400)
    expect(asked() - before).toBeLessThanOrEqual(1)
  })

  test('that cannot be read are 503, and the message counts when they can', async () => {
    const other = await createTestWorld({
      config: { shared_signals: { authorization: STREAM, audience: 'https://sp.example.com/caep' } },
      routes: [{ from: APP, allow_any_authenticated_user: true }],
    })
    try {
      const shown = await other.okta.signals.sign(
        { typ: 'logout+jwt' },
        {
          iss: other.okta.url,
          aud: DEMO.clientId,
          sub: ALICE,
          jti: jti(),
          iat: Math.floor(Date.now() / 1000),
          events: { [LOGOUT]: {} },
        },
      )
      const send = async (): Promise<number | undefined> => {
        const body = `logout_token=${shown}`
        const lines = [
          'POST /.postern/backchannel_logout HTTP/1.1',
          'host: authenticate.localhost',
          'connection: close',
          FORM,
        ]
        const [answer] = await sendRaw(
          other.port,
          `${lines.join('\r\n')}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
        )
        return answer?.status
      }
      other.okta.fault({ path: '/oauth2/v1/keys', act: { kind: 'status', status: 500 } })
      expect(await send()).toBe(503)
      other.okta.clearFaults()
      await expect.poll(send, { timeout: 30_000, interval: 500 }).toBe(200)
    } finally {
      await other.close()
    }
  })
})

test('no token of a provider stands in the log', () => {
  const log = world.logText()
  expect(log).not.toContain(idToken.slice(0, 40))
  expect(log).not.toContain('the-secret-of-the-stream')
  expect(log).not.toMatch(/eyJ[\w-]{20,}\.eyJ/)
})
