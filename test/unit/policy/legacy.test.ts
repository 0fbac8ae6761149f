import { expect, test } from 'vitest'
import { compileAccess, type LegacyAccess } from '../../../src/policy/legacy.ts'
import { parsePolicy } from '../../../src/policy/parse.ts'

const NOTHING: LegacyAccess = {
  allowPublic: false,
  allowAnyAuthenticated: false,
  allowedUsers: [],
  allowedDomains: [],
  allowedGroups: [],
  allowedIdpClaims: new Map(),
}

test('the access keys become one clause of alternatives in the order that Pomerium writes them', () => {
  const policy = compileAccess(
    {
      allowPublic: true,
      allowAnyAuthenticated: true,
      allowedUsers: ['u'],
      allowedDomains: ['d.example'],
      allowedGroups: ['g'],
      allowedIdpClaims: new Map([
        ['z', ['1']],
        ['a', ['1', '2']],
      ]),
    },
    undefined,
  )
  expect(
    policy.kind === 'rules' && policy.allow.map(({ op, criteria }) => [op, criteria.map((one) => one.describe)]),
  ).toEqual([
    [
      'or',
      [
        'accept',
        'authenticated_user',
        'domain is "d.example"',
        'claim/a has "1"',
        'claim/a has "2"',
        'claim/z has "1"',
        'user is "u"',
        'email is "u"',
        'groups has "g"',
      ],
    ],
  ])
})

test('one flag alone is its own kind of policy, also beside an empty policy', () => {
  expect(compileAccess({ ...NOTHING, allowPublic: true }, undefined)).toEqual({ kind: 'public' })
  expect(compileAccess({ ...NOTHING, allowPublic: true }, { allow: [], deny: [] })).toEqual({ kind: 'public' })
  expect(compileAccess({ ...NOTHING, allowAnyAuthenticated: true }, undefined)).toEqual({ kind: 'signed-in' })
})

test('with a policy the clauses of both stand side by side', () => {
  const ppl = parsePolicy({ allow: { or: [{ groups: 'g' }] }, deny: { or: [{ reject: 1 }] } })
  if (ppl.kind === 'invalid') throw new Error('valid')
  const policy = compileAccess({ ...NOTHING, allowAnyAuthenticated: true }, ppl)
  expect(policy).toMatchObject({
    kind: 'rules',
    allow: [{ criteria: [{ name: 'authenticated_user' }] }, { criteria: [{ name: 'groups' }] }],
    deny: [{ criteria: [{ name: 'reject' }] }],
  })
})

test('nothing allows nobody', () => {
  expect(compileAccess(NOTHING, undefined)).toEqual({ kind: 'rules', allow: [], deny: [] })
})
