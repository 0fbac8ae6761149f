import { headerLines } from '../../../src/http/header-lines.ts'
import { describe, expect, test } from 'vitest'
import { formatIssue } from '../../../src/config/issues.ts'
import { parseConfig } from '../../../src/config/load.ts'
import { createRouteTable } from '../../../src/routing/table.ts'
import { compileTrust, parseTarget } from '../../../src/routing/target.ts'
import { parameter } from '../../../src/routing/query.ts'

const REFUSED = expect.objectContaining({ code: 'ERR_BAD_REQUEST' }) as Error

/** Name of the route that serves a request, by routes as a person writes them. */
function serving(routes: readonly object[]) {
  const text = JSON.stringify({
    authenticate_service_url: 'https://authenticate.corp.example',
    idp_provider: 'oidc',
    idp_provider_url: 'https://idp.corp.example',
    idp_client_id: 'client-of-the-test',
    insecure_server: true,
    shared_secret: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
    routes: routes.map((route) => ({
      from: 'https://app.corp.example',
      to: 'http://app',
      allow_any_authenticated_user: true,
      ...route,
    })),
  })
  const loaded = parseConfig(text, 'config.yaml', {}, () => '')
  if (loaded.kind === 'invalid') throw new Error(loaded.issues.map(formatIssue).join('\n'))
  const { config } = loaded
  const table = createRouteTable(config.fixed, config.live)
  return (method: string, target: string, ...headers: string[]): string => {
    const facts = parseTarget(
      {
        method,
        target,
        headers: headerLines(['Host', 'app.corp.example', ...headers]),
        httpVersion: '1.1',
        peer: '10.0.0.1',
        encrypted: false,
        upgrade: false,
      },
      compileTrust({ proxies: [], hops: 0 }),
      'id',
      new Set(),
    )
    if ('kind' in facts) throw new Error(facts.detail)
    const match = table.match(facts)
    return match.kind === 'route' ? match.route.name : match.kind
  }
}

test('a request with another method goes to the next route that matches, or to none', () => {
  const served = serving([
    { name: 'read', methods: ['GET', 'HEAD'] },
    { name: 'write', prefix: '/api', methods: ['POST'] },
  ])
  expect(served('GET', '/api')).toBe('read')
  expect(served('HEAD', '/')).toBe('read')
  expect(served('POST', '/api/x')).toBe('write')
  expect(served('POST', '/')).toBe('none')
  expect(served('DELETE', '/api')).toBe('none')
})

describe('headers', () => {
  const served = serving([
    { name: 'beta', headers: { 'X-Env': 'beta', 'X-Build': { regex: '[0-9]+' } } },
    { name: 'main' },
  ])
  test('all of them must be there, with the whole value', () => {
    expect(served('GET', '/', 'x-env', 'beta', 'X-BUILD', '17')).toBe('beta')
    expect(served('GET', '/', 'X-Env', 'beta')).toBe('main')
    expect(served('GET', '/', 'X-Env', 'betamax', 'X-Build', '17')).toBe('main')
    expect(served('GET', '/', 'X-Env', 'beta', 'X-Build', '17a')).toBe('main')
    expect(served('GET', '/', 'X-Env', 'Beta', 'X-Build', '17')).toBe('main')
  })
  test('a header in a spelling that CGI takes for it is refused', () => {
    expect(() => served('GET', '/', 'X_Env', 'beta', 'X-Build', '17')).toThrow(REFUSED)
  })
  test('an empty header does not meet a pattern that matches an absent one', () => {
    expect(serving([{ name: 'any', headers: { 'X-A': { regex: '.*' } } }])('GET', '/')).toBe('none')
  })
})

describe('query', () => {
  const served = serving([{ name: 'two', query: { version: '2', lang: { regex: 'e.' } } }, { name: 'main' }])
  test('all parameters must be there, in any order, decoded', () => {
    expect(served('GET', '/?version=2&lang=en')).toBe('two')
    expect(served('GET', '/?lang=en&x=1&version=%32')).toBe('two')
    expect(served('GET', '/?version=2')).toBe('main')
    expect(served('GET', '/?version=22&lang=en')).toBe('main')
    expect(served('GET', '/')).toBe('main')
    expect(served('GET', '/?')).toBe('main')
  })
  test.each([
    '/?version=2&version=1',
    '/?version=1&Version=2',
    '/?version[]=2',
    '/?version=2;lang=en',
    '/?version=%zz',
    '/?version=%ff',
    '/?%76ersion=2&version=3',
    '/?version=3&+version=2',
    '/?%20version=2',
    '/?[version]=2',
    '/?%5bversion%5d=2&version=3',
    '/?]version=2',
    '/?version]=2',
    '/?version%00x=2',
  ])('%s is refused: applications read it differently', (target) => {
    expect(() => served('GET', target)).toThrow(REFUSED)
  })
})

test('routes without conditions never look at the query', () => {
  expect(serving([{ name: 'main' }])('GET', '/?a=%zz&a=2')).toBe('main')
})

test.each([
  ['', undefined],
  ['?', undefined],
  ['?a', ''],
  ['?a=', ''],
  ['?b=1&a=x%20y+z', 'x y z'],
  ['?a=b=c', 'b=c'],
])('the parameter a of %j is %j', (query, value) => {
  expect(parameter(query, 'a')).toBe(value)
})
