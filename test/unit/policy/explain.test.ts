import { expect, test } from 'vitest'
import { decide } from '../../../src/policy/engine.ts'
import { explain as explainDecision, type Explanation, wantedGroups } from '../../../src/policy/explain.ts'
import { compileAccess } from '../../../src/policy/legacy.ts'
import { personKey } from '../../../src/lib/person.ts'
import { FOREVER } from '../../../src/lib/time.ts'
import { createMembership } from '../../../src/policy/membership.ts'
import { parsePolicy } from '../../../src/policy/parse.ts'
import type { Policy, Principal } from '../../../src/policy/model.ts'
import type { RequestFacts } from '../../../src/http/exchange.ts'
import type { Route } from '../../../src/config/route-model.ts'

const request = { method: 'GET', path: '/', clientIp: '192.0.2.1' } as RequestFacts

function policyOf(document: unknown): Policy {
  const parsed = parsePolicy(document)
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.issues))
  return { kind: 'rules', allow: parsed.allow, deny: parsed.deny }
}

function explain(route: Route, who: Principal | undefined, facts: RequestFacts, now: number): Explanation {
  return explainDecision(decide(route, who, facts, now), route.policy, { who, request: facts, now })
}

function ann(membership: Principal['membership']): Principal {
  return {
    kind: 'session',
    provider: 'default',
    person: personKey({ issuer: 'i', subject: '00u_ann' }),
    identity: { issuer: 'i', subject: '00u_ann', email: 'ann@corp.example', claims: { level: 3 } },
    sessionId: 's',
    expiresAt: FOREVER,
    membership,
    status: 'active',
  }
}

const policy = policyOf([
  { allow: { and: [{ domain: 'corp.example' }, { groups: { has: 'Engineering', exclude: 'Leavers' } }] } },
  { deny: { or: [{ 'claim/level': { is: 9 } }, { source_ip: ['10.0.0.0/8', '192.0.2.9'] }, { reject: 1 }] } },
])

test('every clause and criterion is shown with its value, in words', () => {
  const staff = createMembership([{ id: '00gstaff', name: 'Staff', type: 'OKTA_GROUP' }], 0, 'okta')
  expect(explain({ policy } as Route, ann(staff), request, 0)).toEqual({
    outcome: 'deny',
    reasons: ['groups-unauthorized'],
    allow: [
      {
        op: 'and',
        value: 'false',
        criteria: [
          { name: 'domain', describe: 'domain is "corp.example"', value: 'true', wantedGroups: [] },
          {
            name: 'groups',
            describe: 'groups has "Engineering" and exclude "Leavers"',
            value: 'false',
            wantedGroups: ['Engineering'],
          },
        ],
      },
    ],
    deny: [
      {
        op: 'or',
        value: 'false',
        criteria: [
          { name: 'claim/level', describe: 'claim/level is 9', value: 'false', wantedGroups: [] },
          { name: 'source_ip', describe: 'source_ip in 10.0.0.0/8, 192.0.2.9', value: 'false', wantedGroups: [] },
          { name: 'reject', describe: 'reject', value: 'false', wantedGroups: [] },
        ],
      },
    ],
  })
})

test('what is unknown is shown as unknown', () => {
  const explained = explain({ policy } as Route, ann('unknown'), request, 0)
  expect(explained.outcome).toBe('unavailable')
  expect(explained.allow[0]?.value).toBe('unknown')
  expect(explained.allow[0]?.criteria.map(({ value }) => value)).toEqual(['true', 'unknown'])
  expect(explain({ policy } as Route, undefined, request, 0).allow[0]?.criteria.map(({ value }) => value)).toEqual([
    'unknown',
    'unknown',
  ])
})

test('a criterion that throws is shown where it is', () => {
  const broken = policyOf({ allow: { or: [{ accept: 1 }] } })
  if (broken.kind !== 'rules') throw new Error('rules')
  const [clause] = broken.allow
  if (!clause) throw new Error('a clause')
  const route = {
    policy: {
      ...broken,
      allow: [{ ...clause, criteria: [{ ...clause.criteria[0], test: () => JSON.parse('{') as boolean }] }],
    },
  } as unknown as Route
  const explained = explain(route, undefined, request, 0)
  expect(explained).toMatchObject({ outcome: 'deny', reasons: ['policy-error'] })
  expect(explained.allow[0]).toMatchObject({ value: 'error', criteria: [{ value: 'error' }] })
})

test('a route without rules has nothing to take apart', () => {
  const route = { policy: { kind: 'public' } } as Route
  expect(explain(route, undefined, request, 0)).toEqual({ outcome: 'allow', reasons: ['public'], allow: [], deny: [] })
})

test('the groups that would help are those of allow clauses that do not negate, each once', () => {
  expect(
    wantedGroups(
      policyOf([
        { allow: { or: [{ groups: 'A' }, { groups: { has: 'B', exclude: 'X' } }], not: [{ groups: 'N' }] } },
        { allow: { and: [{ groups: { is: 'A' } }] }, deny: { or: [{ groups: 'D' }] } },
      ]),
    ),
  ).toEqual(['A', 'B'])
  expect(wantedGroups({ kind: 'public' })).toEqual([])
  expect(
    wantedGroups(
      compileAccess(
        {
          allowPublic: false,
          allowAnyAuthenticated: false,
          allowedUsers: [],
          allowedDomains: [],
          allowedGroups: ['G', ''],
          allowedIdpClaims: new Map(),
        },
        undefined,
      ),
    ),
  ).toEqual(['G'])
})
