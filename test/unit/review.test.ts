/** Who can open what: the same answer as the engine gives, whatever the request. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Route } from '../../src/config/route-model.ts'
import { wallTime } from '../../src/lib/time.ts'
import { personKey } from '../../src/lib/person.ts'
import { createReview, describeAccess } from '../../src/policy/access.ts'
import { decide } from '../../src/policy/engine.ts'
import { createMembership } from '../../src/policy/membership.ts'
import type { Policy, Principal } from '../../src/policy/model.ts'
import { parsePolicy } from '../../src/policy/parse.ts'
import { reviewPage } from '../../src/review.ts'
import type { RequestFacts } from '../../src/http/request.ts'

const NOW = wallTime(Date.UTC(2026, 0, 15, 10))

function policy(data: unknown): Policy {
  const parsed = parsePolicy(data)
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.issues))
  return { kind: 'rules', allow: parsed.allow, deny: parsed.deny }
}
const route = (data: unknown, name = 'app'): Route =>
  ({ name, policy: policy(data), action: { kind: 'respond' } }) as Route

function person(
  email: string,
  groups: readonly string[] | 'unknown',
  status: Principal['status'] = 'active',
): Principal {
  const identity = { issuer: 'https://idp.example', subject: email, email, claims: { sub: email, email } }
  const membership =
    groups === 'unknown'
      ? 'unknown'
      : createMembership(
          groups.map((name) => ({ id: name, name, type: 'CLAIM' })),
          NOW,
          'test',
        )
  return {
    kind: 'session',
    provider: 'default',
    person: personKey(identity),
    identity,
    sessionId: 's',
    expiresAt: wallTime(Number.MAX_SAFE_INTEGER),
    membership,
    status,
  }
}

const ANN = person('ann@corp.example', ['Engineering'])

test.each([
  [{ allow: { or: [{ groups: 'Engineering' }] } }, ANN, 'yes'],
  [{ allow: { or: [{ groups: 'Sales' }] } }, ANN, 'no'],
  [{ allow: { or: [{ groups: 'Engineering' }] } }, person('a@b.c', 'unknown'), 'unknown'],
  [{ allow: { or: [{ groups: 'Engineering' }] } }, person('a@b.c', ['Engineering'], 'inactive'), 'no'],
  [{ allow: { and: [{ groups: 'Engineering' }, { http_method: 'GET' }] } }, ANN, 'conditions'],
  [{ allow: { and: [{ groups: 'Sales' }, { http_method: 'GET' }] } }, ANN, 'no'],
  [{ allow: { or: [{ groups: 'Engineering' }, { http_path: '/x' }] } }, ANN, 'yes'],
  [{ allow: { or: [{ groups: 'Engineering' }] }, deny: { or: [{ source_ip: '10.0.0.0/8' }] } }, ANN, 'conditions'],
  [{ allow: { or: [{ accept: true }] }, deny: { or: [{ groups: 'Engineering' }] } }, ANN, 'no'],
  [{ allow: { and: [{ time_of_day: { timezone: 'UTC', after: '08:00' } }] } }, ANN, 'conditions'],
  [{ allow: { or: [{ reject: true }] } }, ANN, 'no'],
] as const)('%j', (data, who, access) => {
  expect(createReview()(route(data), who).kind).toBe(access)
})

test('says by which rule', () => {
  const both = route({
    allow: { or: [{ groups: 'Engineering' }, { domain: 'other.example' }, { email: 'ann@corp.example' }] },
  })
  expect(describeAccess(both, ANN)).toBe('groups has "Engineering" or email is "ann@corp.example"')
})

const criterion = fc.constantFrom(
  { groups: 'A' },
  { groups: 'B' },
  { domain: 'corp.example' },
  { http_method: 'GET' },
  { http_path: '/x' },
  { accept: true },
  { reject: true },
)
const rules = fc.dictionary(
  fc.constantFrom('and', 'or', 'not', 'nor'),
  fc.array(criterion, { minLength: 1, maxLength: 3 }),
  {
    minKeys: 1,
  },
)

test('yes and no are what the engine decides for every request', () => {
  fc.assert(
    fc.property(
      fc.record({ allow: rules, deny: rules }, { requiredKeys: ['allow'] }),
      fc.subarray(['A', 'B']),
      fc.constantFrom('x@corp.example', 'x@other.example'),
      (data, groups, email) => {
        const who = person(email, groups)
        const one = route(data)
        const { kind } = createReview()(one, who)
        const outcomes = ['GET', 'POST'].flatMap((method) =>
          ['/x', '/y'].map((path) => decide(one, who, { method, path } as RequestFacts, NOW).outcome),
        )
        if (kind === 'yes') expect(new Set(outcomes)).toEqual(new Set(['allow']))
        else if (kind === 'no') expect(outcomes).not.toContain('allow')
        else expect(kind).toBe('conditions')
      },
    ),
    { numRuns: 1000 },
  )
})

test('the page is whole, escaped, and has a row for those who may open the same', () => {
  const people = [
    { who: ANN, providers: [], name: '<b>ann</b>' },
    { who: person('bob@corp.example', ['Engineering']), providers: [], name: 'bob' },
    { who: person('eve@corp.example', []), providers: [], name: 'eve' },
  ]
  const html = reviewPage(people, [route({ allow: { or: [{ groups: 'Engineering' }] } }, '<i>app</i>')], 'today')
  expect(html).toContain('&lt;b>ann&lt;/b>, bob')
  expect(html).toContain('&lt;i>app&lt;/i>')
  expect(html).not.toMatch(/<script|<link|https?:/)
  expect(html.match(/<tr>/g)).toHaveLength(3)
})
