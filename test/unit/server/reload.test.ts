import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { formatIssue, parseConfig } from '../../../src/config/load.ts'
import type { Config } from '../../../src/config/model.ts'
import { compareConfig } from '../../../src/server/reload.ts'

const SECRET = 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY='
const route = (host: string, more: object = {}) => ({
  from: `http://${host}.localhost`,
  to: 'http://127.0.0.1:1',
  allow_any_authenticated_user: true,
  ...more,
})
const base = {
  authenticate_service_url: 'http://authenticate.localhost',
  idp_provider_url: 'https://dev-1.okta.com',
  idp_client_id: '0oa1',
  shared_secret: SECRET,
  storage: { type: 'memory' },
  routes: [route('a'), route('b')],
}

function compile(over: object): Config {
  const text = JSON.stringify({ ...base, ...over })
  const loaded = parseConfig(text, 'config.yaml', {}, (path) =>
    path === '/secret' ? SECRET : readFileSync(path, 'utf8'),
  )
  if (loaded.kind === 'invalid') throw new Error(loaded.issues.map(formatIssue).join('\n'))
  return loaded.config
}

function reload(a: object, b: object) {
  const running = compile(a)
  return compareConfig(running.fixed, running.live, compile(b))
}

describe('compareConfig names what needs a restart', () => {
  test('by the keys as they are written, in the order of the schema', () => {
    const { needsRestart } = reload({}, { storage: { type: 'embedded', path: '/a' }, idp_client_id: '0oa2' })
    expect(needsRestart).toEqual(['idp_client_id', 'storage.type', 'storage.path'])
  })

  test('against what the process was started with: a key that is back as it was needs none', () => {
    const [started, other] = [compile({}), compile({ idp_timeout: '7s' })]
    expect(compareConfig(started.fixed, started.live, other).needsRestart).toEqual(['idp_timeout'])
    expect(compareConfig(started.fixed, other.live, compile({})).needsRestart).toEqual([])
  })

  test.each([
    ['the same duration', { idp_timeout: '60s' }, { idp_timeout: '1m' }],
    ['the default, written down', {}, { idp_timeout: '10s', directory: { max_staleness: '1h' } }],
    ['a secret that moved into a file', {}, { shared_secret: undefined, shared_secret_file: '/secret' }],
    [
      "Pomerium's name of the same place",
      { storage: { type: 'embedded', path: '/a' } },
      { storage: undefined, databroker_storage_type: 'file', databroker_storage_connection_string: 'file:///a' },
    ],
  ])('and not for another way to say it: %s', (_, a, b) => {
    expect(reload(a, b).needsRestart).toEqual([])
  })

  test('the certificate, when the listener would have to begin with TLS', () => {
    const pem = (name: string) => readFileSync(new URL(`../config/fixtures/${name}`, import.meta.url), 'utf8')
    const tls = { certificate: pem('tls.crt'), certificate_key: pem('tls.key') }
    // The first https address is a route's: no key that needs a restart has changed.
    const https = { ...tls, routes: [...base.routes, { ...route('c'), from: 'https://c.localhost' }] }
    expect(reload(tls, https).needsRestart).toEqual(['certificate'])
    expect(reload(https, tls).needsRestart).toEqual(['certificate'])
  })
})

test.each([
  [{ cookie_name: 'other', log_level: 'debug' }, ['cookie_name', 'log_level']],
  [{ compatibility: 'pomerium' }, ['compatibility']],
  [{ trusted_proxies: ['10.0.0.0/8'], timeout_read: '2s' }, ['timeout_read', 'trusted_proxies']],
  [{ signout_redirect_url: 'https://www.corp.example' }, ['signout_redirect_url']],
  // Defaults of routes change routes, and that is what the summary says.
  [{ jwt_claims_headers: { 'x-email': 'email' }, cookie_expire: '1h' }, ['cookie_expire']],
  // What is said in another way, routes, and what waits for a restart have not changed here.
  [{ cookie_expire: '840m', routes: [route('a')], idp_client_id: '0oa2' }, []],
])('compareConfig names what %j changes at once', (over, keys) => {
  expect(reload({}, over).changed.toSorted()).toEqual(keys)
  expect(reload(over, {}).changed.toSorted()).toEqual(keys)
})

test.each([
  ['1 route added', [route('a'), route('b'), route('c')]],
  ['1 route removed', [route('a')]],
  ['1 route changed', [route('a'), route('b', { timeout: '7s' })]],
  ['1 route changed', [route('a'), route('b', { jwt_claims_headers: ['email'] })]],
  // Another upstream makes another route; one that only moves is the same.
  ['1 route added, 1 route removed', [route('b'), route('a', { to: 'http://127.0.0.1:2' })]],
  ['no route changed', [route('b'), route('a')]],
])('compareConfig sums up: %s', (summary, routes) => {
  expect(reload({}, { routes }).summary).toBe(summary)
})

test('the secret of a named provider is in force after a reload, and named as it is written', () => {
  const partners = (more: object) => ({
    identity_providers: { partners: { url: 'https://login.partner.example', client_id: 'postern', ...more } },
  })
  const rotation = reload(
    partners({ client_secret: 'a-secret-of-before' }),
    partners({ client_secret: 'a-secret-of-now' }),
  )
  expect([rotation.needsRestart, rotation.changed]).toEqual([[], ['identity_providers.partners.client_secret']])
  expect(reload(partners({}), partners({ timeout: '7s' })).needsRestart).toEqual(['identity_providers'])
})
