import type { JsonObject } from '../../../src/types.ts'

/** How one authorization server is addressed; `org` is the one at the root (okta-api.md#authorization-servers). */
export interface ServerAddress {
  readonly id: string
  /** Origin of the org. */
  readonly url: string
  /** Exact `iss`, no trailing slash. */
  readonly issuer: string
  /** Path under which the endpoints live: `/oauth2/v1` or `/oauth2/{id}/v1`. */
  readonly base: string
}

export function serverAddress(id: string, url: string): ServerAddress {
  return id === 'org'
    ? { id, url, issuer: url, base: '/oauth2/v1' }
    : { id, url, issuer: `${url}/oauth2/${id}`, base: `/oauth2/${id}/v1` }
}

const AUTH_METHODS = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none']
const ORG_SCOPES = ['openid', 'email', 'profile', 'address', 'phone', 'offline_access', 'groups']
const CUSTOM_SCOPES = ['openid', 'profile', 'email', 'address', 'phone', 'offline_access', 'device_sso']

export function builtInScopes(id: string): readonly string[] {
  return id === 'org' ? ORG_SCOPES : CUSTOM_SCOPES
}

/**
 * Okta's discovery document. What is absent is absent on purpose: `authorization_response_iss_parameter_supported`,
 * back- and front-channel logout, `acr_values_supported`, `claims_parameter_supported`.
 */
export function metadata(address: ServerAddress, scopes: readonly string[]): JsonObject {
  const at = (name: string): string => `${address.url}${address.base}/${name}`
  return {
    issuer: address.issuer,
    authorization_endpoint: at('authorize'),
    token_endpoint: at('token'),
    userinfo_endpoint: at('userinfo'),
    // Also of a custom server: clients belong to the org.
    registration_endpoint: `${address.url}/oauth2/v1/clients`,
    jwks_uri: at('keys'),
    response_types_supported: [
      'code',
      'id_token',
      'code id_token',
      'code token',
      'id_token token',
      'code id_token token',
    ],
    response_modes_supported: ['query', 'fragment', 'form_post', 'okta_post_message'],
    grant_types_supported: [
      'authorization_code',
      'implicit',
      'refresh_token',
      'password',
      'urn:ietf:params:oauth:grant-type:device_code',
    ],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    scopes_supported: scopes,
    token_endpoint_auth_methods_supported: AUTH_METHODS,
    claims_supported: CLAIMS,
    code_challenge_methods_supported: ['S256'],
    introspection_endpoint: at('introspect'),
    introspection_endpoint_auth_methods_supported: AUTH_METHODS,
    revocation_endpoint: at('revoke'),
    revocation_endpoint_auth_methods_supported: AUTH_METHODS,
    end_session_endpoint: at('logout'),
    request_parameter_supported: true,
    request_object_signing_alg_values_supported: [
      'HS256',
      'HS384',
      'HS512',
      'RS256',
      'RS384',
      'RS512',
      'ES256',
      'ES384',
      'ES512',
    ],
    device_authorization_endpoint: at('device/authorize'),
    pushed_authorization_request_endpoint: at('par'),
  }
}

const CLAIMS = [
  'iss',
  'ver',
  'sub',
  'aud',
  'iat',
  'exp',
  'jti',
  'auth_time',
  'amr',
  'idp',
  'nonce',
  'name',
  'nickname',
  'preferred_username',
  'given_name',
  'middle_name',
  'family_name',
  'email',
  'email_verified',
  'profile',
  'zoneinfo',
  'locale',
  'address',
  'phone_number',
  'picture',
  'website',
  'gender',
  'birthdate',
  'updated_at',
  'at_hash',
  'c_hash',
]
