import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { formatIssue, parseConfig } from '../../../src/config/load.ts'
import type { Route } from '../../../src/config/route-model.ts'

function routesOf(...routes: readonly object[]): readonly Route[] {
  const text = JSON.stringify({
    authenticate_service_url: 'https://authenticate.corp.example',
    insecure_server: true,
    shared_secret: createHash('sha256').update('alike').digest('base64'),
    idp_provider: 'oidc',
    idp_provider_url: 'https://idp.example',
    idp_client_id: 'c',
    idp_client_secret: 's',
    storage: { type: 'memory' },
    routes: routes.map((route, i) => ({ from: `https://app${i}.corp.example`, to: 'http://127.0.0.1:1', ...route })),
  })
  const loaded = parseConfig(text, 'test', {}, () => '')
  if (loaded.kind === 'invalid') throw new Error(loaded.issues.map(formatIssue).join('\n'))
  return loaded.config.live.routes
}

const toldBy = ({ action }: Route) => (action.kind === 'forward' ? action.identity : undefined)

test('routes that say the same have one policy, and tell of a person by one plan', () => {
  const policy = [{ allow: { and: [{ domain: { is: 'corp.example' } }] } }]
  const [one, two] = routesOf({ policy }, { policy })
  expect(one?.policy).toBe(two?.policy)
  expect(one && toldBy(one)).toBe(two && toldBy(two))
  expect(one).not.toBe(two)
})

test.each([
  ['groups', { allowed_groups: ['A'] }, { allowed_groups: ['B'] }],
  ['a list cut elsewhere', { allowed_groups: ['A', 'B'] }, { allowed_groups: ['A,B'] }],
  ['people and domains', { allowed_domains: ['corp.example'] }, { allowed_users: ['a@corp.example'] }],
  ['claims', { allowed_idp_claims: { a: ['x'] } }, { allowed_idp_claims: { b: ['x'] } }],
  ['claims, empty beside none', { allowed_idp_claims: { a: ['x'] } }, { allowed_idp_claims: { a: ['x', 'y'] } }],
  [
    'values of a criterion',
    { policy: [{ allow: { and: [{ email: { is: 'a@corp.example' } }] } }] },
    { policy: [{ allow: { and: [{ email: { is: 'b@corp.example' } }] } }] },
  ],
  [
    'allow and deny',
    { policy: [{ allow: { and: [{ accept: true }] } }] },
    { policy: [{ allow: { and: [{ accept: true }] }, deny: { or: [{ http_method: { is: 'POST' } }] } }] },
  ],
  [
    'who is known',
    { allow_public_unauthenticated_access: true },
    { allow_public_unauthenticated_access: true, identity: 'optional', pass_identity_headers: true },
  ],
])('what differs in %s is never shared, in either order', (_, left, right) => {
  for (const pair of [
    [left, right],
    [right, left],
  ]) {
    const shared = routesOf(...pair).map(({ policy }) => policy)
    const alone = pair.flatMap((route) => routesOf(route)).map(({ policy }) => policy)
    expect(shared[0]).not.toBe(shared[1])
    expect(JSON.stringify(shared)).toBe(JSON.stringify(alone))
  }
})

test('what is told differs with what is written', () => {
  const access = { allow_any_authenticated_user: true }
  const [one, two] = routesOf({ ...access, pass_identity_headers: true }, access)
  expect(one && toldBy(one)).not.toBe(two && toldBy(two))
  expect(one && toldBy(one)).toMatchObject({ pass: true })
  expect(two && toldBy(two)).toMatchObject({ pass: false })
})
