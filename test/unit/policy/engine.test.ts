import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decide, isGrant } from '../../../src/policy/engine.ts'
import { personKey } from '../../../src/lib/person.ts'
import { FOREVER } from '../../../src/lib/time.ts'
import { createMembership } from '../../../src/policy/membership.ts'
import type { Clause, Criterion, Policy, Principal, SessionPrincipal } from '../../../src/policy/model.ts'
import type { RequestFacts } from '../../../src/http/exchange.ts'
import type { Route } from '../../../src/config/route-model.ts'

const request = { id: 'r', method: 'GET', path: '/', clientIp: '192.0.2.1' } as RequestFacts

function routeWith(policy: Policy): Route {
  return { name: 'app', policy } as Route
}

function person(more: Partial<SessionPrincipal> = {}): Principal {
  return {
    kind: 'session',
    provider: 'default',
    person: personKey({ issuer: 'i', subject: 's' }),
    identity: { issuer: 'i', subject: 's', claims: {} },
    sessionId: 'session',
    expiresAt: FOREVER,
    membership: createMembership([], 0, 'test'),
    status: 'active',
    ...more,
  }
}

function criterion(test: () => unknown, more: Partial<Criterion> = {}): Criterion {
  const asBoolean = test as () => boolean
  return {
    name: 'x',
    needs: 'nothing',
    ok: 'accept',
    no: 'reject',
    describe: 'x',
    wantedGroups: [],
    namedGroups: [],
    test: asBoolean,
    ...more,
  }
}

function rules(allow: readonly Criterion[], deny: readonly Criterion[] = []): Policy {
  const clauses = ([first, ...rest]: readonly Criterion[]): Clause[] =>
    first ? [{ op: 'or', criteria: [first, ...rest] }] : []
  return { kind: 'rules', allow: clauses(allow), deny: clauses(deny) }
}

const yes = criterion(() => true)
const no = criterion(() => false)

describe('a grant', () => {
  const route = routeWith({ kind: 'public' })
  const decision = decide(route, undefined, request, 0)
  if (decision.outcome !== 'allow') throw new Error('a public route is allowed')
  const { grant } = decision

  test('carries the route and the request that were judged, and cannot be changed', () => {
    expect(isGrant(grant)).toBe(true)
    expect(grant.route).toBe(route)
    expect(grant.request).toBe(request)
    expect(() => Object.assign(grant, { route: {} })).toThrow(TypeError)
  })

  test('has no person on a public route, and the person who was judged elsewhere', () => {
    const who = person()
    const signedIn = decide(routeWith({ kind: 'signed-in' }), who, request, 0)
    expect('principal' in grant).toBe(false)
    expect(signedIn.outcome === 'allow' && signedIn.grant.principal).toBe(who)
  })

  test('of a public route with `identity: optional` names whoever is not deactivated, and old groups are unknown', () => {
    const namedTo = (who: Principal | undefined, over: Partial<Route> = {}) => {
      const granted = decide({ ...routeWith({ kind: 'public', identity: 'optional' }), ...over }, who, request, 1000)
      return granted.outcome === 'allow' ? granted.grant.principal : 'not allowed'
    }
    expect(namedTo(undefined)).toBeUndefined()
    expect(namedTo(person())).toEqual(person())
    expect(namedTo(person({ status: 'inactive' }))).toBeUndefined()
    expect(namedTo(person(), { maxDirectoryAge: 999 })).toEqual(person({ membership: 'unknown' }))
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a literal', { route, request }],
    ['a copy', { ...grant }],
    [
      'a clone with its prototype',
      Object.assign(Object.create(Object.getPrototypeOf(grant) as object) as object, grant),
    ],
    ['an heir', Object.create(grant)],
    ['a proxy', new Proxy(grant, {})],
    ['a string', 'grant'],
  ])('is not %s', (_, forged) => {
    expect(isGrant(forged)).toBe(false)
  })

  test('does not lead to its constructor', () => {
    expect(grant.constructor).toBe(Object)
  })
})

describe('a broken criterion', () => {
  const broken = criterion(() => {
    throw new Error('boom')
  })
  test.each<[string, Policy]>([
    ['in an allow rule', rules([broken])],
    ['beside one that allows', rules([yes, broken])],
    ['in a deny rule', rules([yes], [broken])],
    ['that answers undefined in a deny rule', rules([yes], [criterion(() => undefined)])],
    ['that answers with a word', rules([criterion(() => 'true')])],
    ['that answers with a number', rules([criterion(() => 1)])],
  ])('%s denies', (_, policy) => {
    expect(decide(routeWith(policy), person(), request, 0)).toEqual({
      outcome: 'deny',
      reasons: ['policy-error'],
    })
  })

  test('a route without a policy denies', () => {
    expect(decide({} as Route, person(), request, 0)).toEqual({ outcome: 'deny', reasons: ['policy-error'] })
  })

  test('a policy of an unknown kind denies', () => {
    const route = routeWith({ kind: 'else' } as unknown as Policy)
    expect(decide(route, person(), request, 0)).toEqual({ outcome: 'deny', reasons: ['policy-error'] })
  })
})

test('groups that are unknown ask to come back', () => {
  const needsGroups = criterion(() => true, { needs: 'groups' })
  expect(decide(routeWith(rules([needsGroups])), person({ membership: 'unknown' }), request, 0)).toEqual({
    outcome: 'unavailable',
    retryAfter: 5,
    reasons: ['groups-unknown'],
  })
})

test('a criterion whose needs are not met is never asked', () => {
  let asked = 0
  const counting = (needs: Criterion['needs']): Criterion => criterion(() => ++asked > 0, { needs })
  decide(routeWith(rules([counting('session'), counting('groups')])), undefined, request, 0)
  decide(routeWith(rules([counting('groups')])), person({ membership: 'unknown' }), request, 0)
  expect(asked).toBe(0)
})

test('the instant of the decision reaches the criteria', () => {
  let seen = 0
  const watch = criterion(() => true)
  const route = routeWith(rules([{ ...watch, test: ({ now }) => (seen = Number(now)) > 0 }]))
  decide(route, undefined, request, 42)
  expect(seen).toBe(42)
})

test('reasons come once each, and the same reasons are the same list', () => {
  const route = routeWith(rules([no, no, criterion(() => false, { no: 'user-unauthorized' })]))
  const first = decide(route, undefined, request, 0)
  expect(first.reasons).toEqual(['reject', 'user-unauthorized'])
  expect(decide(route, undefined, request, 0).reasons).toBe(first.reasons)
})

describe('a route that asks for a young directory (max_directory_age)', () => {
  const minute = 60_000
  const seen = (freshAt: number | undefined): Principal =>
    person({ membership: { ...createMembership([], 0, 'test'), ...(freshAt !== undefined && { freshAt }) } })
  const inGroup = criterion(() => true, { needs: 'groups' })
  const outcome = (policy: Policy, who: Principal, now: number, maxDirectoryAge: number | undefined = 5 * minute) =>
    decide({ ...routeWith(policy), ...(maxDirectoryAge && { maxDirectoryAge }) }, who, request, now).outcome

  test('takes older groups for unknown, whatever the reading was', () => {
    const policy = rules([inGroup])
    expect(outcome(policy, seen(10 * minute), 15 * minute)).toBe('allow')
    expect(outcome(policy, seen(10 * minute), 15 * minute + 1)).toBe('unavailable')
    expect(outcome(policy, seen(undefined), 5 * minute + 1)).toBe('unavailable')
    expect(outcome(policy, seen(0), 60 * minute, 0)).toBe('allow')
  })

  test('asks for it also where being signed in is enough', () => {
    expect(outcome({ kind: 'signed-in' }, seen(10 * minute), 15 * minute)).toBe('allow')
    expect(outcome({ kind: 'signed-in' }, seen(10 * minute), 16 * minute)).toBe('unavailable')
    expect(outcome({ kind: 'signed-in' }, person({ membership: 'unknown' }), 16 * minute)).toBe('unavailable')
  })

  test('does not ask where groups do not matter, nor for the public', () => {
    expect(outcome(rules([yes]), seen(0), 60 * minute)).toBe('allow')
    expect(outcome({ kind: 'public' }, seen(0), 60 * minute)).toBe('allow')
    expect(outcome(rules([no]), seen(0), 60 * minute)).toBe('deny')
  })
})

describe('against a naive evaluator', () => {
  /** What a criterion would answer if it were asked, and what it needs. */
  interface Drawn {
    readonly needs: Criterion['needs']
    readonly answer: boolean | 'throws'
  }
  const drawn = fc.record<Drawn>({
    needs: fc.constantFrom('nothing', 'session', 'groups'),
    answer: fc.oneof({ weight: 30, arbitrary: fc.boolean() }, { weight: 1, arbitrary: fc.constant('throws' as const) }),
  })
  const clause = fc.record({
    op: fc.constantFrom<Clause['op']>('and', 'or', 'not', 'nor'),
    members: fc.array(drawn, { minLength: 1, maxLength: 4 }),
  })
  type DrawnClause = { readonly op: Clause['op']; readonly members: readonly Drawn[] }
  const clauses = fc.array(clause, { maxLength: 3 })
  const asker = fc.constantFrom<Asker>('nobody', 'groups known', 'groups unknown', 'inactive')
  type Asker = 'nobody' | 'groups known' | 'groups unknown' | 'inactive'

  const PEOPLE: Readonly<Record<Asker, Principal | undefined>> = {
    nobody: undefined,
    'groups known': person(),
    'groups unknown': person({ membership: 'unknown' }),
    inactive: person({ status: 'inactive' }),
  }

  function compile({ op, members }: DrawnClause): Clause {
    const [first, ...rest] = members.map(({ needs, answer }) =>
      criterion(
        () => {
          if (answer === 'throws') throw new Error('drawn')
          return answer
        },
        { needs },
      ),
    )
    if (!first) throw new Error('a clause has at least one member')
    return { op, criteria: [first, ...rest] }
  }

  /** Tries every way the unknowns could turn out: true or false in all of them, or it depends. */
  function possible({ op, members }: DrawnClause, who: Asker): ReadonlySet<boolean> {
    let worlds: boolean[][] = [[]]
    for (const { needs, answer } of members) {
      const options = isOpen(needs, who) ? [true, false] : [answer === true]
      worlds = worlds.flatMap((world) => options.map((option) => [...world, option]))
    }
    return new Set(
      worlds.map((world) => {
        if (op === 'and') return world.every((value) => value)
        if (op === 'or') return world.some((value) => value)
        if (op === 'not') return world.every((value) => !value)
        return world.some((value) => !value)
      }),
    )
  }

  function isOpen(needs: Criterion['needs'], who: Asker): boolean {
    return who === 'nobody' ? needs !== 'nothing' : who === 'groups unknown' && needs === 'groups'
  }

  function naive(allow: readonly DrawnClause[], deny: readonly DrawnClause[], who: Asker): string {
    if (who === 'inactive') return 'deny'
    const all = [...allow, ...deny].flatMap(({ members }) => members)
    if (all.some(({ needs, answer }) => answer === 'throws' && !isOpen(needs, who))) return 'deny'
    const surely = (list: readonly DrawnClause[]): boolean => list.some((one) => !possible(one, who).has(false))
    const never = (list: readonly DrawnClause[]): boolean => list.every((one) => !possible(one, who).has(true))
    if (surely(allow) && never(deny)) return 'allow'
    const asks = (list: readonly DrawnClause[]): boolean =>
      !surely(list) && list.some(({ members }) => members.some(({ needs }) => isOpen(needs, who)))
    if (who === 'nobody' && (asks(allow) || asks(deny))) return 'sign-in'
    return surely(deny) || never(allow) ? 'deny' : 'unavailable'
  }

  test('decides the same, whatever the rules', () => {
    fc.assert(
      fc.property(clauses, clauses, asker, (allow, deny, who) => {
        const route = routeWith({ kind: 'rules', allow: allow.map(compile), deny: deny.map(compile) })
        const decision = decide(route, PEOPLE[who], request, 0)
        expect(decision.outcome).toBe(naive(allow, deny, who))
        expect(decision.reasons.length).toBeGreaterThan(0)
      }),
      { numRuns: 3000 },
    )
  })

  test('knowing more never turns an allowed request into another one', () => {
    fc.assert(
      fc.property(clauses, clauses, (allow, deny) => {
        const members = [...allow, ...deny].flatMap((one) => one.members)
        fc.pre(members.every(({ answer }) => answer !== 'throws'))
        const route = routeWith({ kind: 'rules', allow: allow.map(compile), deny: deny.map(compile) })
        const outcome = (who: Asker): string => decide(route, PEOPLE[who], request, 0).outcome
        if (outcome('nobody') === 'allow') expect(outcome('groups unknown')).toBe('allow')
        if (outcome('groups unknown') === 'allow') expect(outcome('groups known')).toBe('allow')
        if (outcome('groups unknown') === 'deny') expect(outcome('groups known')).toBe('deny')
      }),
      { numRuns: 1000 },
    )
  })
})
