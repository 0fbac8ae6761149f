import { createLocalJWKSet, jwtVerify } from 'jose'
import { headerLines, listOf } from '../../../src/http/header-lines.ts'
import { describe, expect, test, vi } from 'vitest'
import { silentLogger } from '../../../src/lib/log.ts'
import { createMembership } from '../../../src/policy/membership.ts'
import type { ForwardedIdentity, HeaderTemplate } from '../../../src/config/route-model.ts'
import type { Group } from '../../../src/directory/model.ts'
import type { RequestFacts } from '../../../src/http/request.ts'
import type { Principal } from '../../../src/policy/model.ts'
import { RequestHeaders } from '../../../src/routing/header-view.ts'
import type { Json, Logger } from '../../../src/types.ts'
import type { AssertionSigner } from '../../../src/upstream/assertion.ts'
import { assertionClaims } from '../../../src/upstream/assertion-claims.ts'
import { claimHeaderValue } from '../../../src/upstream/claim-value.ts'
import { createIdentityHeaders } from '../../../src/upstream/identity.ts'
import { manualClock } from '../../support/clock.ts'
import { ENGINEERING, facts, grant, NAMING, principal, route, signer, TOLD } from './support.ts'

const ROUTE = route('http://up.test')
const telling = (...claims: readonly (readonly [header: string, claim: string])[]) =>
  route('http://up.test', { identity: { claimHeaders: new Map(claims) } })
const NOW = 1_790_000_000_500

function identityHeaders(over: { signer?: AssertionSigner; logger?: Logger } = {}) {
  const clock = manualClock(NOW)
  return {
    clock,
    of: createIdentityHeaders({
      naming: NAMING,
      signer,
      clock,
      logger: silentLogger,
      ...over,
    }),
  }
}

test('the assertion verifies against the published keys and says who, for whom and how long', async () => {
  const { of } = identityHeaders()
  const headers = listOf(
    await of(grant(telling(['x-department', 'department']), facts({ host: 'app.test' }), principal())),
  )
  expect(headers.slice(0, 3)).toEqual(['x-department', 'R&D', 'x-postern-jwt-assertion'])
  const jwks = createLocalJWKSet((await signer.jwks()) as never)
  const { payload, protectedHeader } = await jwtVerify(headers[3] ?? '', jwks, { currentDate: new Date(NOW) })
  expect(protectedHeader).toMatchObject({ alg: 'ES256', typ: 'JWT' })
  expect(payload).toEqual({
    iss: 'app.test',
    aud: 'app.test',
    sub: '00u1',
    user: '00u1',
    email: 'alice@corp.test',
    name: 'Alice',
    groups: [ENGINEERING.id, 'Engineering'],
    sid: expect.stringMatching(/^[\w-]{43}$/),
    jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
    iat: 1_790_000_000,
    exp: 1_790_000_300,
    department: 'R&D',
  })
  expect(payload['sid']).not.toContain('session-1')
})

test('no identity on public routes and where the route passes none', async () => {
  const { of } = identityHeaders()
  expect(of(grant(ROUTE, facts()))).toBe('')
  expect(of(grant(route('http://127.0.0.1:1', { identity: { pass: false } }), facts(), principal()))).toBe('')
})

describe('caching', () => {
  test('the second request is answered at once, and for one minute', async () => {
    const { of, clock } = identityHeaders()
    const who = principal()
    const first = await of(grant(ROUTE, facts(), who))
    clock.advance(59_999)
    expect(of(grant(ROUTE, facts(), who))).toBe(first)
    clock.advance(1)
    const second = of(grant(ROUTE, facts(), who))
    expect(second).toBeInstanceOf(Promise)
    expect(await second).not.toEqual(first)
  })

  test('a new reading of the groups is never answered from the cache', async () => {
    const { of } = identityHeaders()
    const to = telling(['x-groups', 'groups'])
    const before = listOf(await of(grant(to, facts(), principal())))
    expect(before[1]).toBe(`${ENGINEERING.id},Engineering`)
    const removed = principal({ membership: createMembership([], 0, 'test') })
    expect(listOf(await of(grant(to, facts(), removed)))[0]).toBe('x-postern-jwt-assertion')
    const unknown = principal({ membership: 'unknown' })
    expect(listOf(await of(grant(to, facts(), unknown)))[0]).toBe('x-postern-jwt-assertion')
  })

  test('the same reading, heard to be true still, is no new one', async () => {
    const { of } = identityHeaders()
    const groups = [ENGINEERING]
    const read = createMembership(groups, 0, 'test')
    const first = await of(grant(ROUTE, facts(), principal({ membership: read })))
    expect(of(grant(ROUTE, facts(), principal({ membership: { ...read, freshAt: 10_000 } })))).toBe(first)
    expect(of(grant(ROUTE, facts(), principal({ membership: createMembership(groups, 0, 'test') })))).toBe(first)
  })

  test('another host and another session get their own', async () => {
    const { of } = identityHeaders()
    const membership = createMembership([], 0, 'test')
    const [a, b, c] = await Promise.all([
      of(grant(ROUTE, facts(), principal({ membership }))),
      of(grant(ROUTE, facts({ host: 'other.test' }), principal({ membership }))),
      of(grant(ROUTE, facts(), principal({ membership, sessionId: 'session-2' }))),
    ])
    expect(new Set([a, b, c]).size).toBe(3)
  })

  test('requests that come together share one signature', async () => {
    const sign = vi.fn<AssertionSigner['sign']>((claims) => signer.sign(claims))
    const { of } = identityHeaders({ signer: { ...signer, sign } })
    const allowed = grant(ROUTE, facts(), principal())
    const [first, second] = await Promise.all([of(allowed), of(allowed)])
    expect(first).toBe(second)
    expect(sign).toHaveBeenCalledTimes(1)
  })

  /** Asks for so many people in turn. */
  async function askForAll(of: ReturnType<typeof identityHeaders>['of'], people: number): Promise<void> {
    for (let i = 0; i < people; i++)
      await of(grant(ROUTE, facts(), principal({ membership, sessionId: `session-${i}` })))
  }
  const membership = createMembership([], 0, 'test')

  test('ten thousand people who ask in turn are signed for once', async () => {
    const sign = vi.fn<AssertionSigner['sign']>(async () => 'e30.e30.'.padEnd(1000, 'a'))
    const { of } = identityHeaders({ signer: { ...signer, sign } })
    await askForAll(of, 10_000)
    await askForAll(of, 10_000)
    expect(sign).toHaveBeenCalledTimes(10_000)
  })

  test('long assertions are kept of fewer people, the latest', async () => {
    const sign = vi.fn<AssertionSigner['sign']>(async () => 'e30.e30.'.padEnd(20_000, 'a'))
    const { of } = identityHeaders({ signer: { ...signer, sign } })
    await askForAll(of, 3000)
    expect(of(grant(ROUTE, facts(), principal({ membership, sessionId: 'session-2999' })))).toBeTypeOf('string')
    await askForAll(of, 1)
    expect(sign).toHaveBeenCalledTimes(3001)
  })

  test('a signature that failed is tried again', async () => {
    const sign = vi
      .fn<AssertionSigner['sign']>((claims) => signer.sign(claims))
      .mockRejectedValueOnce(new Error('no entropy'))
    const { of } = identityHeaders({ signer: { ...signer, sign } })
    const allowed = grant(ROUTE, facts(), principal())
    await expect(of(allowed)).rejects.toThrow('no entropy')
    await expect(of(allowed)).resolves.toMatch(/^x-postern-jwt-assertion: .+\r\n$/)
  })
})

test('a claim that the person does not have gives no header', async () => {
  const { of } = identityHeaders()
  const to = telling(['x-a', 'missing'], ['x-b', '__proto__'], ['x-c', 'constructor'], ['x-d', 'email'])
  const { name: _, ...identity } = principal().identity
  const headers = listOf(await of(grant(to, facts(), principal({ identity }))))
  expect(headers.slice(0, 3)).toEqual(['x-d', 'alice@corp.test', 'x-postern-jwt-assertion'])
})

test('a claim of the provider does not replace one of ours, even where we know none', () => {
  const identity = {
    issuer: 'i',
    subject: '00u1',
    claims: { sub: 'x', email: 'x', groups: ['admins'], exp: 9e9, role: 'dev' },
  }
  const claimHeaders = new Map(['sub', 'email', 'groups', 'exp', 'role'].map((claim) => [`x-${claim}`, claim]))
  const who = principal({ identity, membership: 'unknown' })
  const claims = assertionClaims(who, 'app.test', NOW, { ...TOLD, claimHeaders })
  expect(claims).toMatchObject({ sub: '00u1', groups: [], exp: 1_790_000_300, role: 'dev' })
  expect(claims).not.toHaveProperty('email')
})

test('a name in the form of an id is not told, because it would be that of another group', () => {
  const feigned: Group = { id: '00gFeigned000000000X', name: '00gAdmins0000000000X', type: 'OKTA_GROUP' }
  const claimed: Group = { id: '00gClaimed000000000X', name: '00gClaimed000000000X', type: 'CLAIM' }
  const who = principal({ membership: createMembership([feigned, claimed], 0, 'test') })
  const told = (groups: Partial<typeof TOLD.groups>) =>
    assertionClaims(who, 'app.test', NOW, { ...TOLD, groups: { ...TOLD.groups, ...groups } })['groups']
  expect(told({})).toEqual([feigned.id, claimed.id])
  expect(told({ format: 'names' })).toEqual([claimed.id])
  expect(told({ only: [feigned.name] })).toEqual([])
})

test('the name of an imported group is not told, because its owner can choose it', () => {
  const imported: Group = { id: '00gImported000000000', name: 'admins', type: 'APP_GROUP' }
  const who = principal({ membership: createMembership([ENGINEERING, imported], 0, 'test') })
  expect(assertionClaims(who, 'app.test', NOW, TOLD)['groups']).toEqual([ENGINEERING.id, imported.id, 'Engineering'])
})

describe('groups', () => {
  const imported: Group = { id: '00gImported000000000', name: 'admins', type: 'APP_GROUP' }
  const sales: Group = { id: '00gSales000000000000', name: 'Sales, EMEA', type: 'OKTA_GROUP' }
  const membership = createMembership([ENGINEERING, imported, sales], 0, 'test')
  const told = (groups: Partial<ForwardedIdentity['groups']>) =>
    assertionClaims(principal({ membership }), 'app.test', NOW, { ...TOLD, groups: { ...TOLD.groups, ...groups } })[
      'groups'
    ]

  test.each<[Partial<ForwardedIdentity['groups']>, readonly string[]]>([
    [{}, [ENGINEERING.id, imported.id, sales.id, 'Engineering', 'Sales, EMEA']],
    [{ format: 'ids' }, [ENGINEERING.id, imported.id, sales.id]],
    [{ format: 'names' }, ['Engineering', 'Sales, EMEA']],
    [{ only: ['Engineering', sales.id, 'admins', 'Other'] }, [sales.id, 'Engineering']],
    [{ only: [sales.id], format: 'names' }, []],
    [{ only: [] }, []],
  ])('with %j', (settings, expected) => {
    expect(told(settings)).toEqual(expected)
  })

  test('by name in a header of their own', async () => {
    const { of } = identityHeaders()
    const identity = {
      claimHeaders: new Map([['x-groups', 'groups']]),
      groups: { ...TOLD.groups, format: 'names' },
    } as const
    const headers = listOf(await of(grant(route('http://up.test', { identity }), facts(), principal({ membership }))))
    expect(headers.slice(0, 2)).toEqual(['x-groups', 'Engineering,Sales%2C EMEA'])
  })

  test('more than a header section can hold: those of the policy come first, the assertion has a mark, one line is logged', async () => {
    const groups = Array.from(
      { length: 500 },
      (_, i): Group => ({ id: `00g${String(i).padStart(17, '0')}`, name: `Team ${i}`, type: 'OKTA_GROUP' }),
    )
    const warn = vi.fn()
    const { of } = identityHeaders({ logger: { ...silentLogger, warn } })
    const identity = {
      claimHeaders: new Map([['x-groups', 'groups']]),
      groups: { format: 'both', first: ['Team 499', '00g00000000000000498'] },
    } as const
    const who = principal({ membership: createMembership(groups, 0, 'test') })
    const headers = listOf(await of(grant(route('http://up.test', { identity }), facts(), who)))
    const payload = JSON.parse(Buffer.from((headers[3] ?? '').split('.')[1] ?? '', 'base64url').toString()) as {
      groups: string[]
    }
    expect(payload).toMatchObject({ groups_truncated: true })
    expect(payload.groups.slice(0, 6)).toEqual([
      '00g00000000000000498',
      '00g00000000000000499',
      'Team 498',
      'Team 499',
      '00g00000000000000000',
      '00g00000000000000001',
    ])
    expect(JSON.stringify(payload.groups).length).toBeLessThanOrEqual(4097)
    expect(headers[0]).toBe('x-groups')
    expect(payload.groups.join(',')).toContain(headers[1])
    expect(headers[1]?.split(',').length).toBeGreaterThan(100)
    expect(warn.mock.calls).toEqual([[{ header: 'x-groups', claim: 'groups' }, 'groups left out: they are too many']])
  })

  test('a header ends behind the last whole group that fits', async () => {
    const name = 'ü'.repeat(100)
    const groups = Array.from(
      { length: 18 },
      (_, i): Group => ({ id: `00g${String(i).padStart(17, '0')}`, name: `${name}${i}`, type: 'OKTA_GROUP' }),
    )
    const { of } = identityHeaders()
    const identity = {
      claimHeaders: new Map([['x-groups', 'groups']]),
      groups: { format: 'names', first: [] },
    } as const
    const who = principal({ membership: createMembership(groups, 0, 'test') })
    const [, value = ''] = listOf(await of(grant(route('http://up.test', { identity }), facts(), who)))
    expect(value.length).toBeLessThanOrEqual(4096)
    const members = value.split(',').map(decodeURIComponent)
    expect(members).toEqual(groups.slice(0, 6).map((group) => group.name))
  })
})

test('routes that tell differently have their own headers of one session and host', async () => {
  const { of } = identityHeaders()
  const who = principal()
  const told = async (format: 'ids' | 'names') => {
    const identity = { claimHeaders: new Map([['x-groups', 'groups']]), groups: { format, first: [] }, key: format }
    return listOf(await of(grant(route('http://up.test', { identity }), facts(), who)))[1]
  }
  expect(await told('ids')).toBe(ENGINEERING.id)
  expect(await told('names')).toBe('Engineering')
})

test.each([
  [undefined, 'app.test'],
  ['https', 'https://app.test/'],
  ['http', 'http://app.test/'],
] as const)('with the issuer scheme %s the issuer is %s', (issuerScheme, issuer) => {
  const told = { ...TOLD, ...(issuerScheme && { issuerScheme }) }
  expect(assertionClaims(principal(), 'app.test', NOW, told)).toMatchObject({ iss: issuer, aud: 'app.test' })
})

describe('headers with references', () => {
  const templated = (...templates: readonly (readonly [name: string, template: HeaderTemplate])[]) =>
    route('http://up.test', { identity: { pass: false, templates: new Map(templates) } })
  const claim = (...path: readonly string[]) => ({ kind: 'claim', path }) as const
  const told = async (to: ReturnType<typeof templated>, who?: Principal, over: Partial<RequestFacts> = {}) =>
    listOf(await identityHeaders().of(grant(to, facts(over), who)))

  test.each<[path: readonly string[], value: string | undefined]>([
    [['department'], 'R&D'],
    [['sub'], '00u1'],
    [['groups'], `${ENGINEERING.id},Engineering`],
    [['nested', 'list'], 'a%2Cb,c'],
    [['nested'], undefined],
    [['nested', 'none'], undefined],
    [['department', 'length'], undefined],
    [['nested', 'list', '0'], undefined],
    [['__proto__'], undefined],
    [['nested', 'constructor'], undefined],
  ])('claim %j is %j', async (path, value) => {
    const { identity } = principal()
    const claims = { ...identity.claims, groups: ['admins'], nested: { list: ['a,b', 'c'] } }
    const headers = await told(templated(['x-a', [claim(...path)]]), principal({ identity: { ...identity, claims } }))
    expect(headers).toEqual(value === undefined ? [] : ['x-a', value])
  })

  test('are made once for a minute, and answered at once from then on', async () => {
    const { of } = identityHeaders()
    const to = grant(templated(['x-a', ['<', { kind: 'user', field: 'email' }, '>']]), facts(), principal())
    const first = await of(to)
    expect(first).toBe('x-a: <alice@corp.test>\r\n')
    expect(of(to)).toBe(first)
  })

  test('of the request are made for each request', async () => {
    const { of } = identityHeaders()
    const to = templated(['x-a', [{ kind: 'user', field: 'id' }, '/', { kind: 'request-header', name: 'x-t' }]])
    const sent = (value: string) =>
      of(grant(to, facts({ headers: new RequestHeaders(headerLines(['X-T', value]), new Set()) }), who))
    const who = principal()
    expect(await sent('1')).toBe('x-a: 00u1/1\r\n')
    expect(sent('2')).toBe('x-a: 00u1/2\r\n')
  })

  test('that are too long are left out', async () => {
    const long = new RequestHeaders(headerLines(['X-T', 'x'.repeat(8001)]), new Set())
    const { identity } = principal()
    const who = principal({ identity: { ...identity, claims: { a: 'a'.repeat(4000), b: 'b'.repeat(4097) } } })
    const to = templated(
      ['x-a', [claim('a'), claim('a')]],
      ['x-b', [claim('a'), claim('a'), '!']],
      ['x-c', [claim('b')]],
      ['x-d', [{ kind: 'request-header', name: 'x-t' }]],
    )
    expect((await told(to, who, { headers: long })).filter((_, i) => i % 2 === 0)).toEqual(['x-a'])
  })
})

// attack-cases.md B07.
test.each<[Json | undefined, string | undefined]>([
  ['Alice', 'Alice'],
  ['Alice B, C', 'Alice B, C'],
  [' a ', '%20a%20'],
  ['a\r\nX-Admin: 1', 'a%0D%0AX-Admin: 1'],
  ['a\rb\0', 'a%0Db%00'],
  ['100%', '100%25'],
  ['Zoë 😀', 'Zo%C3%AB %F0%9F%98%80'],
  ['\ud800', '%EF%BF%BD'],
  [['x,admins', 'x|admins'], 'x%2Cadmins,x|admins'],
  [['a', 1, true, null, { b: 1 }, ''], 'a,1,true,'],
  [7, '7'],
  [false, 'false'],
  [{ a: 1 }, undefined],
  [null, undefined],
  [undefined, undefined],
  ['', undefined],
  [[], undefined],
])('claim %j as a header value', (claim, expected) => {
  expect(claimHeaderValue(claim)).toEqual(expected === undefined ? undefined : { text: expected })
  if (expected !== undefined && typeof claim === 'string' && !claim.includes('\ud800'))
    expect(decodeURIComponent(expected)).toBe(claim)
})

test('a claim of 64 KiB is too large for a header', () => {
  expect(claimHeaderValue('x'.repeat(65_536))).toBe('too-large')
})

describe('an assertion fits into the header sections of upstreams', () => {
  const MANY = Array.from(
    { length: 500 },
    (_, i): Group => ({
      id: `00g${String(i).padStart(17, '0')}`,
      name: `"\u0001${'ü'.repeat(90)}${i}`,
      type: 'OKTA_GROUP',
    }),
  )
  const payloadOf = (headers: readonly string[]) =>
    JSON.parse(Buffer.from(headers.at(-1)?.split('.')[1] ?? '', 'base64url').toString()) as Record<string, Json>

  test.each<[string, Partial<Parameters<typeof principal>[0]> & object, readonly string[]]>([
    ['a name of 80 KB', { identity: { name: 'n'.repeat(80_000) } as never }, ['name']],
    ['a claim of 80 KB', { identity: { claims: { big: 'c'.repeat(80_000) } } as never }, ['big']],
    [
      'a claim of 80 KB in a list',
      { identity: { claims: { big: ['c'.repeat(40_000), 'd'.repeat(40_000)] } } as never },
      ['big'],
    ],
    [
      'a claim of 80 KB in an object',
      { identity: { claims: { big: { a: { b: 'c'.repeat(80_000) } } } } as never },
      ['big'],
    ],
    [
      'controls, which JSON writes in six bytes',
      { identity: { claims: { big: '\u0001'.repeat(1000) } } as never },
      ['big'],
    ],
    [
      'everything at once',
      {
        identity: { name: 'ü'.repeat(40_000), claims: { big: 'c'.repeat(80_000), b: 'b'.repeat(5000) } } as never,
        membership: createMembership(MANY, 0, 'test'),
      },
      ['name', 'big', 'b'],
    ],
  ])('%s is left out, with a mark and one warning', async (_, over, omitted) => {
    const warn = vi.fn()
    const { of, clock } = identityHeaders({ logger: { ...silentLogger, warn } })
    const to = telling(['x-big', 'big'], ['x-b', 'b'], ['x-small', 'department'])
    const base = principal()
    const given = over.identity as Partial<typeof base.identity>
    const identity = { ...base.identity, ...given, claims: { department: 'R&D', ...given.claims } }
    const who = principal({ ...over, identity })
    const headers = listOf(await of(grant(to, facts(), who)))
    const payload = payloadOf(headers)
    expect(payload).toMatchObject({ sub: '00u1', email: 'alice@corp.test', department: 'R&D', claims_omitted: omitted })
    for (const name of omitted) expect(payload).not.toHaveProperty(name)
    expect(headers.at(-1)?.length).toBeLessThan(8000)
    expect(headers.join(': ').length).toBeLessThan(16_000)
    expect(headers.join(': ')).toContain('x-small: R&D')

    const told = warn.mock.calls.length
    expect(told).toBeGreaterThan(0)
    expect(warn.mock.calls.map(([fields]) => (fields as { claim: string }).claim)).toEqual(
      expect.arrayContaining([...omitted]),
    )
    clock.advance(60_000)
    await of(grant(to, facts(), who))
    expect(warn).toHaveBeenCalledTimes(told)
  })

  test('a claim that is too long for the assertion is sent in a header of its own, as long as all of them fit', async () => {
    const claims = Object.fromEntries(['a', 'b', 'c', 'd'].map((name) => [name, name.repeat(2400)]))
    const { of } = identityHeaders()
    const to = telling(...['a', 'b', 'c', 'd'].map((name) => [`x-${name}`, name] as const))
    const headers = listOf(await of(grant(to, facts(), principal({ identity: { ...principal().identity, claims } }))))
    expect(headers.filter((_, i) => i % 2 === 0)).toEqual(['x-a', 'x-b', 'x-postern-jwt-assertion'])
    expect(payloadOf(headers)).toMatchObject({ a: claims['a'], b: claims['b'], claims_omitted: ['c', 'd'] })
  })

  test('nobody can push their groups out with a long name', () => {
    const who = principal({ identity: { ...principal().identity, name: 'n'.repeat(6000) } })
    expect(assertionClaims(who, 'app.test', NOW, TOLD)).toMatchObject({
      groups: [ENGINEERING.id, 'Engineering'],
      claims_omitted: ['name'],
    })
  })
})
