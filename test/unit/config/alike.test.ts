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

test('routes that forward alike have one action, and routes of one host one `from`', () => {
  const from = 'https://app.corp.example'
  const access = { allow_any_authenticated_user: true }
  const [one, two, other] = routesOf(
    { ...access, from, prefix: '/one' },
    { ...access, from, prefix: '/two' },
    { ...access, prefix: '/two' },
  )
  expect(one?.action).toBe(two?.action)
  expect(one?.from).toBe(two?.from)
  expect(one?.match).not.toEqual(two?.match)
  expect(one?.from).not.toEqual(other?.from)
})

/** The same twice. */
const LIMITED = [
  { circuit_breaker_thresholds: { max_retries: 1 } },
  { circuit_breaker_thresholds: { max_retries: 1 } },
] as const

test.each([
  ['upstreams', {}, { to: 'http://127.0.0.1:2' }],
  ['upstreams, in their order', { to: ['http://a', 'http://b'] }, { to: ['http://b', 'http://a'] }],
  ['weights', { to: ['http://a,1', 'http://b,2'] }, { to: ['http://a,2', 'http://b,1'] }],
  ['one address for two', { to: ['http://a'] }, { to: ['http://a', 'http://a'] }],
  ['the path', { prefix: '/a', prefix_rewrite: '/x' }, { prefix: '/a', prefix_rewrite: '/y' }],
  ['the prefix that is replaced', { prefix: '/a', prefix_rewrite: '/x' }, { prefix: '/b', prefix_rewrite: '/x' }],
  [
    'a substitution',
    { regex_rewrite_pattern: 'a', regex_rewrite_substitution: 'b' },
    { regex_rewrite_pattern: 'a', regex_rewrite_substitution: 'c' },
  ],
  [
    'a pattern',
    { host_path_regex_rewrite_pattern: '^/(a).*', host_path_regex_rewrite_substitution: '\\1' },
    { host_path_regex_rewrite_pattern: '^/(b).*', host_path_regex_rewrite_substitution: '\\1' },
  ],
  ['the host', { host_rewrite: 'a' }, { host_rewrite: 'b' }],
  ['headers', { set_request_headers: { 'x-a': '1' } }, { set_request_headers: { 'x-a': '2' } }],
  ['headers that are removed', { remove_request_headers: ['x-a'] }, { remove_request_headers: ['x-b'] }],
  ['origins', { allow_origins: ['https://a.example'] }, { allow_origins: ['https://b.example'] }],
  ['WebSockets', { allow_websockets: true }, { allow_websockets: false }],
  ['time', { timeout: '1s' }, { timeout: '2s' }],
  ['who may be told', { allowed_groups: ['A'] }, { allowed_groups: ['B'] }],
  ['what is told', { pass_identity_headers: true }, {}],
  ['trust', { to: 'https://a' }, { to: 'https://a', tls_skip_verify: true }],
  ['names', { to: 'https://a', tls_server_name: 'a.example' }, { to: 'https://a', tls_server_name: 'b.example' }],
  [
    'a secret',
    { kubernetes_service_account_token: 'a', to: 'https://a' },
    { kubernetes_service_account_token: 'b', to: 'https://a' },
  ],
  ['limited retries, which are counted for each', ...LIMITED],
])('what differs in %s is another action', (_, left, right) => {
  const access = 'allowed_groups' in left ? {} : { allow_any_authenticated_user: true }
  const pair = [left, right].map((route) => ({ ...access, ...route }))
  const [one, two] = routesOf(...pair).map(({ action }) => action)
  expect(one).toBeDefined()
  expect(one).not.toBe(two)
  for (const [i, action] of [one, two].entries()) {
    const [alone] = routesOf(pair[i] ?? {})
    expect(JSON.stringify(action)).toBe(JSON.stringify(alone?.action))
  }
})
