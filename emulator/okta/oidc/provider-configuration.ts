import { generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import type * as OidcProvider from 'oidc-provider'
import type { Configuration } from 'oidc-provider'
import type { Org } from '../model/org.ts'
import type { Person } from '../model/types.ts'
import type { Clock } from '../clock.ts'
import type { BrowserIdentities } from '../browser-identities.ts'
import { chooseAssurance, factorsOf } from './assurance.ts'
import { builtInScopes, type ServerAddress } from './metadata.ts'
import { inward, OFFLINE } from './scopes.ts'
import { type OidcStorage, rotationOf } from './storage.ts'
import { FAULTS, type OAuthFault } from './texts.ts'
import { textOf } from './text-of.ts'
import { TOKEN_SECONDS } from './tokens.ts'

/** Okta's session cookie. One session serves every authorization server of the org. */
export const SESSION_COOKIE = 'idx'

type Library = typeof OidcProvider

export interface ProviderDeps {
  readonly address: ServerAddress
  readonly org: Org
  readonly storage: OidcStorage
  readonly clock: Clock
  /** HTML for an error that cannot go back to the client. */
  readonly errorPage: (fault: OAuthFault) => string
  readonly identities?: BrowserIdentities
}

/** oidc-provider set up as Okta: routes, lifetimes, who may sign in, no consent. */
export function providerConfiguration(deps: ProviderDeps, oidc: Library): Configuration {
  const { address, storage } = deps
  const at = (name: string): string => `${address.base}/${name}`
  const days = 24 * 3600
  return {
    adapter: storage.adapter(address.id),
    routes: {
      authorization: at('authorize'),
      token: at('token'),
      introspection: at('introspect'),
      revocation: at('revoke'),
      pushed_authorization_request: at('par'),
      jwks: `${address.base}/inner-keys`,
      end_session: `${address.base}/inner-logout`,
    },
    cookies: {
      names: { session: SESSION_COOKIE, interaction: 'okta-interaction', resume: 'okta-resume' },
      long: { httpOnly: true, sameSite: 'lax', signed: false },
      short: { httpOnly: true, sameSite: 'lax', signed: false },
    },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: { enabled: false },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
    },
    scopes: [
      ...builtInScopes(address.id).map(inward),
      ...(deps.org.authorizationServers.get(address.id)?.scopes ?? []),
    ],
    claims: { openid: ['sub'] },
    responseTypes: ['code'],
    pkce: { required: () => false },
    jwks: { keys: [innerKey()] },
    ttl: {
      AccessToken: (_ctx, _token, client) => deps.org.apps.get(client.clientId)?.accessTokenSeconds ?? TOKEN_SECONDS,
      AuthorizationCode: 300,
      Grant: 100 * days,
      IdToken: TOKEN_SECONDS,
      Interaction: 3600,
      RefreshToken: 90 * days,
      Session: 7200,
    },
    clientBasedCORS: () => false,
    expiresWithSession: () => false,
    issueRefreshToken: (_ctx, client, source) => client.grantTypeAllowed('refresh_token') && source.scopes.has(OFFLINE),
    rotateRefreshToken: (ctx) => rotationOf(deps.org.apps.get(ctx.oidc.client?.clientId ?? '')).rotation === 'ROTATE',
    findAccount: (ctx, id, token) => {
      const person = deps.org.people.get(id)
      const clientId = ctx.oidc.client?.clientId ?? ''
      const may = token
        ? person && mayKeepTokens(person) && deps.org.isAssigned(clientId, id)
        : person?.status === 'ACTIVE'
      return may ? { accountId: id, claims: () => ({ sub: id }) } : undefined
    },
    async loadExistingGrant(ctx) {
      const { client, account, session, params } = ctx.oidc
      const person = account && deps.org.people.get(account.accountId)
      if (!client || !person || !session) return undefined
      const server = deps.org.authorizationServers.get(address.id)
      if (!deps.org.isAssigned(client.clientId, person.id)) throw denied(oidc, FAULTS.notAssigned)
      if (server?.accessPolicy === 'none') throw denied(oidc, FAULTS.noPolicy)
      const assurance = chooseAssurance(textOf(params?.['acr_values']), person)
      if (assurance === 'unmet')
        throw new oidc.errors.UnmetAuthenticationRequirements(FAULTS.unmetAcr.error_description)
      session.acr = assurance.acr
      const grant = new ctx.oidc.provider.Grant({ accountId: person.id, clientId: client.clientId })
      grant.addOIDCScope(textOf(params?.['scope']) ?? '')
      await grant.save()
      return grant
    },
    interactions: { policy: signInPolicy(deps, oidc), url: (_ctx, { uid }) => `/signin/${address.id}/${uid}` },
    renderError(ctx, out) {
      ctx.type = 'html'
      ctx.body = deps.errorPage({
        status: ctx.status,
        error: out.error,
        error_description: out.error_description ?? '',
      })
    },
  }
}

/** When the sign-in page is shown. `prompt=none` answers with the description of the first check that asks for it. */
function signInPolicy(deps: ProviderDeps, oidc: Library): OidcProvider.interactionPolicy.DefaultPolicy {
  const { base, Check, Prompt } = oidc.interactionPolicy
  const policy = base()
  const login = policy.get('login')
  if (!login) throw new TypeError('oidc-provider has no login prompt')
  for (const reason of login.checks.map((check) => check.reason)) {
    if (reason !== 'login_prompt') login.checks.remove(reason)
  }
  login.checks.add(
    // The session of somebody who may no longer sign in is ignored.
    new Check(
      'no_session',
      FAULTS.notLoggedIn.error_description,
      'login_required',
      ({ oidc: { account } }) => !account,
    ),
  )
  login.checks.add(
    new Check(
      'max_age',
      FAULTS.needsLogin.error_description,
      'login_required',
      ({ oidc: { session, params, result } }) => {
        const maxAge = textOf(params?.['max_age'])
        if (maxAge === undefined || result?.login) return false
        // By the clock that wrote it, which is not always the machine's.
        return deps.clock.now() / 1000 - (session?.loginTs ?? 0) > Number(maxAge)
      },
    ),
  )
  login.checks.add(
    new Check(
      'assurance',
      FAULTS.needsLogin.error_description,
      'login_required',
      ({ oidc: { account, session, params } }) => {
        const person = account && deps.org.people.get(account.accountId)
        const assurance = person ? chooseAssurance(textOf(params?.['acr_values']), person) : 'unmet'
        return assurance !== 'unmet' && assurance.factors > factorsOf(session?.amr)
      },
    ),
  )
  login.checks.add(
    new Check(
      'other_identity',
      FAULTS.needsLogin.error_description,
      'login_required',
      ({ req, oidc: { account, result } }) => {
        const wanted = deps.org.findPerson(deps.identities?.signInAs(req.headers.cookie) ?? '')
        return wanted !== undefined && wanted.id !== account?.accountId && !result?.login
      },
    ),
  )
  // Apps are trusted by the org: nobody is asked for consent, `prompt=consent` is accepted.
  policy.remove('consent')
  const consent = new Prompt({ name: 'consent', requestable: true })
  consent.checks.clear()
  policy.add(consent)
  return policy
}

/** okta-api.md#users: an expired password shows at the next sign-in only; refreshing goes on. */
function mayKeepTokens(person: Person): boolean {
  return ['ACTIVE', 'PASSWORD_EXPIRED', 'RECOVERY'].includes(person.status)
}

function denied(oidc: Library, fault: OAuthFault): Error {
  return new oidc.errors.AccessDenied(fault.error_description)
}

/** Signs oidc-provider's ID tokens, which are replaced by Okta's (tokens.ts). An EC key is quick to make. */
function innerKey(): JsonWebKey & { readonly kid: string; readonly alg: string; readonly use: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...privateKey.export({ format: 'jwk' }), kid: 'inner', alg: 'ES256', use: 'sig' }
}
