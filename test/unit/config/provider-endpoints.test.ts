import { describe, expect, test } from 'vitest'
import { discoveryUrl, placed, unsafeEndpoint } from '../../../src/config/provider-endpoints.ts'

const PUBLIC = { issuer: 'https://login.corp.example/realms/one' }
const INNER = { ...PUBLIC, internalUrl: 'http://keycloak.internal:8080/auth/realms/one' }

describe('an issuer that Postern reaches at another address', () => {
  test('is discovered there', () => {
    expect(discoveryUrl(PUBLIC)).toBe('https://login.corp.example/realms/one/.well-known/openid-configuration')
    expect(discoveryUrl(INNER)).toBe('http://keycloak.internal:8080/auth/realms/one/.well-known/openid-configuration')
  })

  test.each([
    ['public', PUBLIC.issuer, 'https://login.corp.example'],
    ['inner', INNER.internalUrl, 'http://keycloak.internal:8080'],
  ])(
    'has its calls there and its pages in public, when it names all endpoints by its %s address',
    (_, base, origin) => {
      const metadata = {
        issuer: PUBLIC.issuer,
        authorization_endpoint: `${base}/protocol/auth?a=b`,
        end_session_endpoint: `${base}/protocol/logout`,
        token_endpoint: `${base}/protocol/token`,
        userinfo_endpoint: `${base}/protocol/userinfo`,
        // Beside the issuer, not below it.
        jwks_uri: `${origin}/keys?x=y`,
      }
      const found = placed(metadata, INNER)
      expect(found).toEqual({
        issuer: PUBLIC.issuer,
        authorization_endpoint: 'https://login.corp.example/realms/one/protocol/auth?a=b',
        end_session_endpoint: 'https://login.corp.example/realms/one/protocol/logout',
        token_endpoint: 'http://keycloak.internal:8080/auth/realms/one/protocol/token',
        userinfo_endpoint: 'http://keycloak.internal:8080/auth/realms/one/protocol/userinfo',
        jwks_uri: 'http://keycloak.internal:8080/keys?x=y',
      })
      expect(unsafeEndpoint(found, INNER)).toBeUndefined()
    },
  )

  test('keeps endpoints that stand elsewhere', () => {
    const metadata = {
      token_endpoint: 'https://tokens.corp.example/token',
      authorization_endpoint: 'https://a.example/',
    }
    expect(placed(metadata, INNER)).toEqual(metadata)
    expect(placed(metadata, PUBLIC)).toBe(metadata)
  })
})

test.each([
  ['a browser', { authorization_endpoint: 'http://keycloak.internal:8080/auth' }, INNER, 'authorization_endpoint'],
  ['codes', { token_endpoint: 'http://elsewhere.internal/token' }, INNER, 'token_endpoint'],
  ['codes', { token_endpoint: 'http://keycloak.internal:8080/token' }, PUBLIC, 'token_endpoint'],
  ['requests', { pushed_authorization_request_endpoint: 'http://login.corp.example/par' }, PUBLIC, 'pushed_auth'],
  ['tokens', { revocation_endpoint: 'javascript:alert(1)' }, INNER, 'revocation_endpoint'],
  ['codes', { token_endpoint: 'http://user:pass@keycloak.internal:8080/token' }, INNER, 'token_endpoint'],
  ['codes', { token_endpoint: 7 }, INNER, 'token_endpoint'],
  ['codes', { token_endpoint: 'no url' }, INNER, 'token_endpoint'],
] as const)('an endpoint that would send %s astray is refused', (_, metadata, address, name) => {
  expect(unsafeEndpoint(metadata, address)).toContain(name)
})
