/**
 * Section P on the running program: an empty or missing policy is nobody's (oauth2-proxy #3365), a deny beats an allow,
 * a query cannot bring groups along, and what cannot be judged is not allowed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet } from '../support/gauntlet.ts'
import { createTestWorld } from '../support/world.ts'

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet({
    moreRoutes: [
      { prefix: '/nothing-said' },
      { prefix: '/no-groups', allowed_groups: [] },
      { prefix: '/empty-policy', policy: [] },
      { prefix: '/only-deny', policy: [{ deny: { or: [{ email: { is: 'bob@example.com' } }] } }] },
      {
        prefix: '/deny-beats',
        policy: [
          { allow: { or: [{ authenticated_user: true }, { groups: { has: 'Engineering' } }] } },
          { deny: { or: [{ email: { is: 'alice@example.com' } }] } },
        ],
      },
      {
        prefix: '/public-but',
        allow_public_unauthenticated_access: true,
        policy: { deny: { or: [{ http_path: { starts_with: '/public-but/admin' } }] } },
      },
      {
        prefix: '/public-but-exports',
        allow_public_unauthenticated_access: true,
        policy: { deny: { or: [{ 'http_query/export': 'all' }] } },
      },
      {
        prefix: '/public-for-nobody-near',
        allow_public_unauthenticated_access: true,
        policy: { deny: { or: [{ source_ip: ['127.0.0.0/8', '::1'] }] } },
      },
      {
        prefix: '/public-but-leavers',
        allow_public_unauthenticated_access: true,
        policy: { deny: { or: [{ groups: 'Leavers' }] } },
      },
      { prefix: '/no-such-group', allowed_groups: ['No such group', '00gnosuchgroup000000'] },
      { prefix: '/company', allowed_domains: ['company.com'] },
      {
        prefix: '/writes',
        policy: [{ allow: { and: [{ authenticated_user: true }, { http_method: { is: 'POST' } }] } }],
      },
    ],
    people: ['alice', 'bob', 'odd1', 'odd2'],
    prepare(okta) {
      okta.addUser({ login: 'odd1@example.com', email: 'attacker@evil.com@company.com' })
      okta.addUser({ login: 'odd2@example.com', email: 'attacker@company.com.evil.com' })
    },
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

async function statusFor(login: string, target: string, ...headers: readonly string[]): Promise<number | undefined> {
  const { statuses, received } = await gauntlet.get(target, `Cookie: ${gauntlet.cookies[login]}`, ...headers)
  expect(received).toHaveLength(statuses[0] === 200 ? 1 : 0)
  return statuses[0]
}

describe('P01 a route without rules, or with empty ones, is denied', () => {
  test.each(['/nothing-said', '/no-groups', '/empty-policy', '/only-deny', '/no-such-group'])('%s', async (target) => {
    expect((await gauntlet.get(target)).statuses).not.toContain(200)
    expect(await statusFor('alice', target)).toBe(403)
    expect(await statusFor('bob', target)).toBe(403)
  })
})

test('P02 a deny beats every allow', async () => {
  expect(await statusFor('alice', '/deny-beats')).toBe(403)
  expect(await statusFor('bob', '/deny-beats')).toBe(200)
})

test('P05 groups, users and policies in a query or a header do not change the decision', async () => {
  const query = '?allowed_groups=Sales&groups=Engineering&policy=public&user=alice%40example.com'
  const headers = ['X-Allowed-Groups: Sales', 'X-HTTP-Method-Override: POST', 'X-Method-Override: POST']
  expect(await statusFor('bob', `/admin${query}`, ...headers)).toBe(403)
  expect(await statusFor('bob', `/writes${query}&_method=POST`, ...headers)).toBe(403)
  expect((await gauntlet.get(`/admin${query}`, ...headers)).statuses).toEqual([401])
})

test('a public route with a deny keeps out whom it names, and asks nobody else', async () => {
  const open = async (target: string): Promise<readonly (number | undefined)[]> => (await gauntlet.get(target)).statuses
  expect(await open('/public-but/page')).toEqual([200])
  expect(await open('/public-but/admin/x')).toEqual([403])
  expect(await open('/public-but/%61dmin/x')).toEqual([403])
  expect(await open('/public-but/y/../admin/x')).toEqual([403])
  expect(await open('/public-for-nobody-near/')).toEqual([403])
  expect(await statusFor('alice', '/public-but/admin/x')).toBe(403)
  expect(await open('/public-but-leavers/')).toEqual([401])
  expect(await statusFor('alice', '/public-but-leavers/')).toBe(200)
})

test('P07 a route that is public and has groups is a configuration error', async () => {
  const both = {
    from: 'http://app.localhost',
    allow_public_unauthenticated_access: true,
    allowed_groups: ['Engineering'],
  }
  await expect(createTestWorld({ routes: [both] })).rejects.toThrow('allowed_groups')
})

test('I14 an address with two @, or one that only ends like the domain, does not match allowed_domains (CVE-2026-40574)', async () => {
  expect(await statusFor('odd1', '/company')).toBe(403)
  expect(await statusFor('odd2', '/company')).toBe(403)
})

describe('a rule about the query, and spellings that some applications take for the same parameter', () => {
  test.each([
    'export=all',
    'export=x&+export=all', // PHP
    '%20export=all',
    'export%00x=all',
    '[export]=all', // qs (Express), Rack
    'export=x&%5Bexport%5D=all',
    'export[]=all',
    'EXPORT=all', // ASP.NET
    'export=x;export=all', // Rack 2, Python before 3.10
    'export=x&export=all',
  ])('?%s does not pass', async (query) => {
    const { statuses, received } = await gauntlet.get(`/public-but-exports/x?${query}`)
    expect({ statuses, received }).toEqual({ statuses: [403], received: [] })
  })

  test('what names another parameter passes', async () => {
    const { statuses } = await gauntlet.get('/public-but-exports/x?reexport=all&x[export]=all&q=%5Bexport%5D')
    expect(statuses).toEqual([200])
  })
})
