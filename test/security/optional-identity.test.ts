/**
 * Public routes that show more to whoever is signed in (`identity: optional`): nothing is required, a credential that is
 * not good says nothing, and no page of another site speaks as its reader.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { Received } from '../support/echo.ts'
import { ADMIN, APP, createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'

let gauntlet: Gauntlet
beforeAll(async () => {
  const open = { prefix: '/open', allow_public_unauthenticated_access: true, identity: 'optional' }
  gauntlet = await createGauntlet({
    people: ['alice', 'bob'],
    moreRoutes: [
      { name: 'open', ...open },
      { name: 'open elsewhere', from: `http://${ADMIN}`, ...open },
    ],
    config: { jwt_claims_headers: ['email'] },
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

const SPOOFED = ['X-Postern-Claim-Email: eve@example.com', 'X_Postern_Jwt_Assertion: e.e.e', 'Remote-User: eve']
const cookieOf = (login: string): string => `Cookie: ${gauntlet.cookies[login]}`
const toldOf = ({ values }: Received) => [...values('x-postern-claim-email'), ...values('x-postern-jwt-assertion')]

async function openTo(...headers: readonly string[]): Promise<Received> {
  const { statuses, received } = await gauntlet.get('/open/x', ...SPOOFED, ...headers)
  expect(statuses).toEqual([200])
  const upstream = only(received)
  expect(upstream.headers.flat().join()).not.toMatch(/eve@|e\.e\.e|Remote-User/)
  expect(upstream.headers.flat().join()).not.toContain('postern=')
  return upstream
}

describe('a request to a public route with `identity: optional`', () => {
  test('says who is signed in', async () => {
    const [email, assertion = ''] = toldOf(await openTo(cookieOf('alice')))
    expect(email).toBe('alice@example.com')
    const payload = Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString()
    expect(JSON.parse(payload)).toMatchObject({ sub: DEMO.people.alice, aud: APP })
  })

  test('says nothing of somebody who is not signed in', async () => {
    expect(toldOf(await openTo())).toEqual([])
  })

  test.each([
    ['that is no cookie of ours', 'postern=x'],
    ['without a MAC', 'postern=v1.AAAAAAAAAAAAAAAAAAAAAA'],
    ['with a forged MAC', `postern=v1.AAAAAAAAAAAAAAAAAAAAAA.${'A'.repeat(43)}`],
    ['of control characters', 'postern=\xff\x80'],
  ])('is anonymous with a cookie %s', async (_, cookie) => {
    expect(toldOf(await openTo(`Cookie: ${cookie}`))).toEqual([])
  })

  test('is anonymous with the cookie of another host', async () => {
    const { statuses, received } = await gauntlet.get('/open/x', `Host: ${ADMIN}`, cookieOf('alice'), ...SPOOFED)
    expect(statuses).toEqual([200])
    expect(toldOf(only(received))).toEqual([])
  })

  test('is anonymous when the session was revoked', async () => {
    const browser = gauntlet.world.browser()
    await gauntlet.world.signIn(browser, `http://${APP}/user`, 'dave@example.com')
    const cookie = `Cookie: postern=${browser.cookies.get(APP)?.get('postern')}`
    await gauntlet.skip()
    expect(toldOf(await openTo(cookie))).toHaveLength(2)
    const page = await browser.ask(`http://${APP}/.postern/sign_out`)
    const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(page.body) ?? []
    await browser.ask(`http://${APP}/.postern/sign_out`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', origin: `http://${APP}` },
      body: new URLSearchParams({ csrf }).toString(),
    })
    await gauntlet.skip()
    expect(toldOf(await openTo(cookie))).toEqual([])
  })
})

describe('a WebSocket to a public route with `identity: optional`', () => {
  const handshake = (...headers: readonly string[]) =>
    request(
      'GET',
      '/open/ws',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ...headers,
    ).replace('Connection: close', 'Connection: Upgrade')

  test.each([
    ['of a page of ours is opened with the identity', [`Origin: http://${APP}`], 2],
    ['of no page is opened with the identity', [], 2],
    ['of a foreign page is opened and anonymous', ['Origin: http://evil.test'], 0],
    ['of a sandboxed page is opened and anonymous', ['Origin: null'], 0],
  ])('%s', async (_, origin, told) => {
    const { statuses, received } = await gauntlet.send(handshake(cookieOf('bob'), ...origin, ...SPOOFED), {
      until: /\r\n\r\n/,
    })
    expect(statuses).toEqual([101])
    expect(toldOf(only(received))).toHaveLength(told)
  })
})
