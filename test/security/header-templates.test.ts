/**
 * Headers that a route makes of what is known of a person: no client writes one of them, in any spelling, no value ends its
 * line, and where there is nothing to say there is no header (CVE-2026-30851: a stale copy of the client's instead).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { Received } from '../support/echo.ts'
import { createGauntlet, type Gauntlet, only } from '../support/gauntlet.ts'

const TEMPLATES = {
  'X-Mail': '<${user.email}>',
  Authorization: 'Bearer ${pomerium.jwt}',
  'X-Who': '${user.name}',
  'X-Teams': '${user.groups}',
  'X-Price': 'US$$5',
  'X-Department': '${claims.department}',
  'X-Trace-Of': '${user.id}/${pomerium.request.headers["X-Trace"]}',
  'X-Trace-Copy': 'of ${pomerium.request.headers["X-Trace"]}',
}
const NAMES = Object.keys(TEMPLATES).map((name) => name.toLowerCase())

let gauntlet: Gauntlet
beforeAll(async () => {
  const more = { set_request_headers: TEMPLATES, groups_format: 'names', pass_identity_headers: false }
  gauntlet = await createGauntlet({
    people: ['alice', 'eve'],
    moreRoutes: [
      { name: 'templates', prefix: '/made', allow_any_authenticated_user: true, ...more },
      { name: 'public', prefix: '/open', allow_public_unauthenticated_access: true, ...more },
      {
        name: 'optional',
        prefix: '/perhaps',
        allow_public_unauthenticated_access: true,
        identity: 'optional',
        ...more,
      },
    ],
    prepare(okta) {
      for (const name of ['x,admins', 'a\r\nX-Admin: 1']) okta.addGroup(name)
      okta.addUser({ login: 'eve@example.com', firstName: 'a\r\nX-Admin: 1\0', lastName: 'Zoë' }, [
        'x,admins',
        'a\r\nX-Admin: 1',
      ])
    },
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

const cookieOf = (login: string): string => `Cookie: ${gauntlet.cookies[login]}`
// Two lines of Authorization are refused anyway.
const SPOOFED = NAMES.filter((name) => name !== 'authorization').flatMap((name) => [
  `${name}: SPOOF`,
  `${name.replaceAll('-', '_')}: SPOOF`,
  `${name.toUpperCase().replaceAll('-', '.')}: SPOOF`,
])
const madeOf = ({ headers }: Received) =>
  Object.fromEntries(headers.filter(([name]) => NAMES.includes(name.toLowerCase())))

async function ask(target: string, ...headers: readonly string[]): Promise<Received> {
  const { statuses, received } = await gauntlet.get(target, ...SPOOFED, ...headers)
  expect(statuses).toEqual([200])
  expect(only(received).headers.flat().join()).not.toContain('SPOOF')
  return only(received)
}

describe('a header with references', () => {
  test('has the values of the session, once', async () => {
    const upstream = await ask('/made/x', cookieOf('alice'), 'Authorization: Basic SPOOF', 'X-Trace: t-1')
    expect(upstream.headers.filter(([name]) => NAMES.includes(name.toLowerCase()))).toHaveLength(NAMES.length - 1)
    const { authorization = '', ...made } = madeOf(upstream)
    expect(made).toEqual({
      'x-mail': '<alice@example.com>',
      'x-who': 'Alice Archer',
      'x-teams': expect.stringMatching(/^(?=.*Engineering)(?=.*Everyone)[A-Za-z ,]+$/) as string,
      'x-price': 'US$5',
      'x-trace-of': `${DEMO.people.alice}/t-1`,
      'x-trace-copy': 'of t-1',
    })
    const payload = Buffer.from(authorization.split('.')[1] ?? '', 'base64url').toString()
    expect(JSON.parse(payload)).toMatchObject({ sub: DEMO.people.alice, email: 'alice@example.com' })
    expect(upstream.values('x-postern-jwt-assertion')).toEqual([])
  })

  test('is not sent without a value, and the copy of the client is not, either', async () => {
    const made = madeOf(await ask('/made/x', cookieOf('alice')))
    for (const name of ['x-department', 'x-trace-of', 'x-trace-copy']) expect(made).not.toHaveProperty(name)
  })

  test.each(['/open/x', '/perhaps/x'])('is not sent for somebody who is not known: %s', async (target) => {
    expect(madeOf(await ask(target, 'Authorization: Basic SPOOF', 'X-Trace: t-2'))).toEqual({
      'x-price': 'US$5',
      'x-trace-copy': 'of t-2',
    })
  })

  test('is not sent on a public route that asks for nobody, though somebody is signed in', async () => {
    expect(madeOf(await ask('/open/x', cookieOf('alice')))).toEqual({ 'x-price': 'US$5' })
    expect(madeOf(await ask('/perhaps/x', cookieOf('alice')))).toMatchObject({ 'x-mail': '<alice@example.com>' })
  })

  test('cannot be ended by what a person is called', async () => {
    const upstream = await ask('/made/x', cookieOf('eve'))
    expect(upstream.headers.map(([name]) => name.toLowerCase())).not.toContain('x-admin')
    const made = madeOf(upstream)
    expect(made['x-who']).toBe('a%0D%0AX-Admin: 1%00 Zo%C3%AB')
    expect(made['x-teams']?.split(',').map(decodeURIComponent)).toEqual(
      expect.arrayContaining(['x,admins', 'a\r\nX-Admin: 1']),
    )
  })

  test('made of a header that came in two spellings: the request is refused', async () => {
    const { statuses, received } = await gauntlet.get('/open/x', 'X-Trace: a', 'X_Trace: b')
    expect({ statuses, received }).toEqual({ statuses: [400], received: [] })
  })

  test('made of a header that the client lists in Connection is not sent', async () => {
    const { received } = await gauntlet.send(
      `GET /open/x HTTP/1.1\r\nHost: app.localhost\r\nConnection: close, X-Trace\r\nX-Trace: t\r\n\r\n`,
    )
    expect(madeOf(only(received))).toEqual({ 'x-price': 'US$5' })
  })
})

test('what one route says of a person, no client says on another', async () => {
  const { statuses, received } = await gauntlet.get('/public/x', ...SPOOFED, 'Authorization: Basic of-the-client')
  expect(statuses).toEqual([200])
  const { headers, values } = only(received)
  const passed = headers
    .filter(([, value]) => value === 'SPOOF')
    .map(([name]) => name.toLowerCase().replace(/[^a-z]/g, '-'))
  // These say nothing of a person: a text, and a copy of the request.
  expect([...new Set(passed)].sort()).toEqual(['x-price', 'x-trace-copy'])
  expect(values('authorization')).toEqual(['Basic of-the-client'])
})
