/** J01–J13, what tokens say: every kind of token at every reader, and each claim that can be wrong. */
import { describe, expect, test } from 'vitest'
import type { TokenIssuer } from '../../../src/config/model.ts'
import {
  type Evidence,
  readAccessToken,
  readIdToken,
  readIssuedToken,
  type Refused,
  type Shown,
} from '../../../src/identity/bearer/claims.ts'
import { wallTime } from '../../../src/lib/time.ts'
import { compileClaimPath } from '../../../src/policy/claim-path.ts'
import type { JsonObject } from '../../../src/types.ts'

const NOW = wallTime(1_800_000_000_000)
const SECONDS = 1_800_000_000
const ISSUER = 'https://org.okta.com/oauth2/default'
const okta = {
  name: 'default',
  provider: 'okta',
  issuer: ISSUER,
  clientId: '0oaclient',
  allowUnverifiedEmail: false,
} as const
const keycloak = { ...okta, provider: 'oidc', issuer: 'https://kc.example/realms/corp' } as const
const WANTED = { audiences: ['api://default'], clients: [] }
const times = { iat: SECONDS - 10, exp: SECONDS + 3600 }

/** Layouts of the vendors' documents. */
const oktaAccess: JsonObject = {
  ver: 1,
  jti: 'AT.x',
  iss: ISSUER,
  aud: 'api://default',
  ...times,
  cid: '0oaother',
  uid: '00uabc',
  scp: ['openid', 'wiki.read'],
  auth_time: SECONDS - 20,
  sub: 'alice@example.com',
}
const oktaClient: JsonObject = {
  ver: 1,
  jti: 'AT.y',
  iss: ISSUER,
  aud: 'api://default',
  ...times,
  cid: '0oaservice',
  scp: ['wiki.read'],
  sub: '0oaservice',
}
const oktaId: JsonObject = {
  ver: 1,
  jti: 'ID.x',
  iss: ISSUER,
  aud: '0oaclient',
  ...times,
  sub: '00uabc',
  amr: ['pwd'],
  at_hash: 'x',
  nonce: 'n',
  email: 'alice@example.com',
  email_verified: true,
}
const logout: JsonObject = {
  iss: ISSUER,
  aud: '0oaclient',
  ...times,
  jti: 'l',
  sub: '00uabc',
  events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
}
const keycloakAccess: JsonObject = {
  iss: keycloak.issuer,
  aud: ['api://default', 'account'],
  ...times,
  typ: 'Bearer',
  azp: 'wiki-cli',
  sub: 'f3b0',
  scope: 'openid email',
  email: 'alice@example.com',
  email_verified: true,
  nonce: 'older versions write it here, too',
}
const github: TokenIssuer = {
  name: 'github',
  issuer: 'https://token.actions.githubusercontent.com',
  audiences: ['https://wiki.corp.example'],
  algorithms: ['RS256'],
  requiredClaims: [{ name: 'repository_owner', claim: compileClaimPath('repository_owner'), values: ['corp'] }],
  account: compileClaimPath('sub'),
  outbound: {},
}
const githubToken: JsonObject = {
  jti: 'example-id',
  sub: 'repo:corp/wiki:ref:refs/heads/main',
  aud: 'https://wiki.corp.example',
  ref: 'refs/heads/main',
  repository: 'corp/wiki',
  repository_owner: 'corp',
  iss: github.issuer,
  nbf: SECONDS - 600,
  ...times,
}

const isRefused = (read: Shown | Refused): boolean => 'refused' in read
const access = (claims: JsonObject, more: Partial<Evidence> = {}, idp: typeof okta | typeof keycloak = okta) =>
  readAccessToken({ claims, ...more }, idp, WANTED, NOW)

describe('every kind of token at every reader', () => {
  const kinds: Readonly<Record<string, Evidence>> = {
    'access token': { claims: oktaAccess },
    'access token of a client': { claims: oktaClient },
    'access token (RFC 9068)': { typ: 'at+jwt', claims: { ...oktaAccess, client_id: '0oaother' } },
    'ID token': { claims: oktaId },
    'logout token': { typ: 'logout+jwt', claims: logout },
    'logout token without typ': { claims: logout },
    'security event': { typ: 'secevent+jwt', claims: { ...logout, aud: 'api://default' } },
    'Universal Logout': {
      typ: 'global-token-revocation+jwt',
      claims: { iss: ISSUER, aud: 'api://default', sub: '0oaclient', ...times },
    },
    'client assertion': { claims: { iss: '0oaclient', sub: '0oaclient', aud: 'api://default', ...times } },
    'our assertion': {
      typ: 'jwt',
      claims: { iss: 'wiki.corp.example', aud: 'api://default', sub: '00uabc', ...times },
    },
    'DPoP proof': { typ: 'dpop+jwt', claims: { ...oktaAccess, htm: 'GET' } },
    'bound to a key': { claims: { ...oktaAccess, cnf: { jkt: 'x' } } },
    'of GitHub': { typ: 'jwt', claims: githubToken },
  }
  // ID tokens and logout tokens have our client id as their audience: here every audience fits, so that the kind decides.
  const any = { audiences: ['api://default', '0oaclient', 'https://wiki.corp.example'], clients: [] }
  const readers: Readonly<Record<string, readonly [(evidence: Evidence) => Shown | Refused, readonly string[]]>> = {
    'access tokens': [
      (evidence) => readAccessToken(evidence, okta, any, NOW),
      ['access token', 'access token of a client', 'access token (RFC 9068)'],
    ],
    'ID tokens': [(evidence) => readIdToken(evidence, okta, any, NOW), ['ID token']],
    'tokens of an issuer': [(evidence) => readIssuedToken(evidence, github, any, NOW), ['of GitHub']],
  }
  for (const [reader, [read, good]] of Object.entries(readers)) {
    test.each(Object.keys(kinds))(`${reader}: %s`, (kind) => {
      const evidence = kinds[kind]
      expect(evidence && isRefused(read(evidence))).toBe(!good.includes(kind))
    })
  }
})

describe('an access token', () => {
  test('of a person of Okta is about the id, not the login', () => {
    expect(access(oktaAccess)).toMatchObject({
      identity: { issuer: ISSUER, subject: '00uabc' },
      scopes: ['openid', 'wiki.read'],
      expiresAt: wallTime((SECONDS + 3660) * 1000),
    })
    expect(access(oktaAccess)).not.toHaveProperty('account')
  })

  test('of client credentials is about a program', () => {
    expect(access(oktaClient)).toMatchObject({
      account: 'default/0oaservice',
      identity: { subject: 'default/0oaservice' },
    })
    expect(access({ ...oktaClient, email: 'a@corp.example' })).not.toHaveProperty('identity.email')
  })

  test('of another provider is about its subject', () => {
    expect(access(keycloakAccess, {}, keycloak)).toMatchObject({
      identity: { subject: 'f3b0', email: 'alice@example.com' },
      scopes: ['openid', 'email'],
    })
    expect(access({ ...keycloakAccess, sub: 'wiki-cli' }, {}, keycloak)).toMatchObject({ account: 'default/wiki-cli' })
  })

  // As their documents show them; `sub` is not the client's id.
  test.each<[string, JsonObject]>([
    ['Auth0', { sub: 'wiki-cli@clients', gty: 'client-credentials' }],
    ['Keycloak', { sub: 'd0b8122f-8dfb', preferred_username: 'service-account-wiki-cli', client_id: 'wiki-cli' }],
    ['an older Keycloak', { preferred_username: 'service-account-wiki-cli', clientId: 'wiki-cli' }],
    ['Entra', { sub: 'c1d2', oid: 'c1d2', idtyp: 'app' }],
    ['Entra, without the optional claim', { sub: 'c1d2', oid: 'c1d2' }],
    ['RFC 9068, with an attribute that Okta has for people', { sub: 'wiki-cli', uid: 'x' }],
  ])('of client credentials of %s is about a program, which is nobody of the directory', (_, claims) => {
    const read = access({ ...keycloakAccess, ...claims }, {}, keycloak)
    expect(read).toMatchObject({ account: 'default/wiki-cli' })
    expect(read).not.toHaveProperty('identity.email')
  })

  test.each<[string, JsonObject]>([
    ['of Entra', { oid: 'c1d2' }],
    ['who calls themselves as a client of Keycloak does', { preferred_username: 'service-account-wiki-cli' }],
  ])('of a person %s is about a person', (_, claims) => {
    expect(access({ ...keycloakAccess, ...claims }, {}, keycloak)).not.toHaveProperty('account')
  })

  test.each<[string, JsonObject]>([
    ['aud missing', { aud: null }],
    ['aud another', { aud: 'api://other' }],
    ['aud a list with strangers only', { aud: ['api://other', 'x'] }],
    ['aud in other case', { aud: 'API://default' }],
    ['aud an object', { aud: { 0: 'api://default' } }],
    ['iss another', { iss: 'https://org.okta.com' }],
    ['iss with a slash', { iss: `${ISSUER}/` }],
    ['iss in other case', { iss: ISSUER.toUpperCase() }],
    ['iss missing', { iss: null }],
    ['uid missing', { uid: null }],
    ['uid empty', { uid: '' }],
    ['uid with a space', { uid: '00u abc' }],
    ['exp past', { exp: SECONDS - 61 }],
    ['exp text', { exp: String(SECONDS + 60) }],
    ['exp 1e300', { exp: 1e300 }],
    ['exp a fraction', { exp: SECONDS + 0.5 }],
    ['exp null', { exp: null }],
    ['nbf in the future', { nbf: SECONDS + 120 }],
    ['iat in the future', { iat: SECONDS + 120 }],
    ['typ of an ID token', { typ: 'ID' }],
    ['typ of a refresh token', { typ: 'Refresh' }],
    ['token_use of an ID token', { token_use: 'id' }],
    ['a nonce', { nonce: 'x' }],
    ['at_hash', { at_hash: 'x' }],
    ['a subject that is its client, and a person', { sub: '0oaother', uid: '' }],
  ])('with %s is refused', (_, wrong) => {
    expect(isRefused(access({ ...oktaAccess, ...wrong }))).toBe(true)
  })

  test('without exp is refused', () => {
    const { exp: _, ...rest } = oktaAccess
    expect(access(rest)).toEqual({ refused: 'exp is missing' })
  })

  test('of the org itself must be of our client, or of one that is named', () => {
    const org = { ...okta, issuer: 'https://org.okta.com' }
    const wanted = { audiences: ['https://org.okta.com'], clients: [] as string[] }
    const answer = { ...oktaAccess, iss: org.issuer, aud: org.issuer, token_type: 'Bearer', client_id: '0oaother' }
    const read = (claims: JsonObject, clients: readonly string[] = []) =>
      readAccessToken({ claims, introspected: true }, org, { ...wanted, clients }, NOW)
    expect(read(answer)).toEqual({ refused: 'issued to another client' })
    expect(isRefused(read({ ...answer, client_id: '0oaclient' }))).toBe(false)
    expect(isRefused(read(answer, ['0oaother']))).toBe(false)
    // The issuer says yes to refresh tokens and ID tokens, too, without a type.
    expect(read({ ...answer, client_id: '0oaclient', token_type: null })).toEqual({ refused: 'not an access token' })
  })

  test('that the issuer reads may say nothing about its end, and is asked again soon', () => {
    const { exp: _e, iss: _i, ...rest } = oktaAccess
    expect(access({ ...rest, token_type: 'Bearer' }, { introspected: true })).toMatchObject({
      identity: { issuer: ISSUER },
      expiresAt: wallTime(SECONDS * 1000 + 60_000),
    })
  })

  test('that another issuer made is refused, also when ours was asked', () => {
    const answer = { ...oktaAccess, iss: 'https://other.example', token_type: 'Bearer' }
    expect(access(answer, { introspected: true })).toEqual({ refused: 'iss is another' })
  })
})

describe('an ID token', () => {
  const read = (claims: JsonObject, audiences: readonly string[] = []) =>
    readIdToken({ claims: { ...oktaId, ...claims } }, okta, { audiences, clients: [] }, NOW)

  test('of our client is about the person', () => {
    expect(read({})).toMatchObject({ identity: { subject: '00uabc', email: 'alice@example.com' } })
  })

  test.each<[string, JsonObject]>([
    ['aud another', { aud: '0oaother' }],
    ['several audiences and no azp', { aud: ['0oaclient', 'x'] }],
    ['azp another', { azp: '0oaother' }],
    ['scp', { scp: ['openid'] }],
    ['cid', { cid: '0oaclient' }],
    ['events', { events: {} }],
    ['sub empty', { sub: '' }],
    ['iat null', { iat: null }],
  ])('with %s is refused', (_, wrong) => {
    expect(isRefused(read(wrong))).toBe(true)
  })

  test('without iat is refused', () => {
    const { iat: _, ...rest } = oktaId
    expect(readIdToken({ claims: rest }, okta, { audiences: [], clients: [] }, NOW)).toEqual({
      refused: 'iat is missing',
    })
  })

  test('of another client is taken where its audience is named', () => {
    expect(isRefused(read({ aud: '0oacli' }, ['0oacli']))).toBe(false)
    expect(isRefused(read({}, ['0oacli']))).toBe(true)
  })
})

describe('a token of an issuer', () => {
  const read = (claims: JsonObject, issuer = github, wanted = { audiences: [] as string[], clients: [] as string[] }) =>
    readIssuedToken({ typ: 'jwt', claims: { ...githubToken, ...claims } }, issuer, wanted, NOW)

  test('is about the account that its claim names', () => {
    expect(read({})).toMatchObject({ account: 'github/repo:corp/wiki:ref:refs/heads/main' })
    expect(read({}, { ...github, account: compileClaimPath('repository') })).toMatchObject({
      account: 'github/corp/wiki',
    })
  })

  test.each<[string, JsonObject]>([
    ['the claim of another owner', { repository_owner: 'evil' }],
    ['the claim in a list with others', { repository_owner: ['evil'] }],
    ['the claim missing', { repository_owner: null }],
    ['aud another', { aud: 'https://github.com/corp' }],
    ['iss with a slash', { iss: `${github.issuer}/` }],
    ['no name', { sub: 'x y' }],
    ['exp past', { exp: SECONDS - 100 }],
  ])('with %s is refused', (_, wrong) => {
    expect(isRefused(read(wrong))).toBe(true)
  })

  test('has the groups of its claim; one whose groups cannot be read is refused', () => {
    const grouped = { ...github, groups: 'teams' }
    expect(read({ teams: ['deploy', 'ops'] }, grouped)).toMatchObject({ groups: ['deploy', 'ops'] })
    expect(read({}, grouped)).toEqual({ refused: 'its groups cannot be read' })
    expect(read({ teams: [{ name: 'deploy' }] }, grouped)).toEqual({ refused: 'its groups cannot be read' })
    expect(read({ teams: ['deploy'] })).toMatchObject({ groups: [] })
  })

  test('has the audience of the route, where it has one', () => {
    const wanted = { audiences: ['https://other.corp.example'], clients: [] }
    expect(isRefused(read({}, github, wanted))).toBe(true)
    expect(isRefused(read({ aud: 'https://other.corp.example' }, github, wanted))).toBe(false)
  })
})
