import * as oidc from 'openid-client'
import { AppError } from '../errors.ts'
import { sha256 } from '../lib/crypto.ts'
import { maxAgeOf } from '../policy/demand.ts'
import { later, wallTime } from '../lib/time.ts'
import { personKey } from '../lib/person.ts'
import type {
  Clock,
  Identity,
  IdentityProvider,
  JsonObject,
  Logger,
  PendingSignIn,
  Refreshable,
  Refreshed,
  SignInDemand,
  Tokens,
} from '../types.ts'
import { boundedFetch } from './bounded-fetch.ts'
import { mergeClaims, toIdentity } from './claims.ts'
import { checkIdToken } from './id-token.ts'
import { checkCallback } from './oidc/callback.ts'
import { createOidcClient, type OidcClientDeps } from './oidc/client.ts'
import { appErrorIn, challengeOf, isDefiniteRefusal, messages, toFault } from './oidc/faults.ts'
import type { OidcSettings } from './oidc/settings.ts'
import { createFaultLog } from '../lib/fault-tally.ts'
import { createOptionalPush } from './pushed-requests.ts'
import { isAboutAnother, keepingRefreshToken, refreshedIdentity } from './refreshed.ts'

type TokenAnswer = oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers

/** Of `idp_timeout`, the share that somebody waits for a pushed request that need not be one. */
const PATIENCE = 0.2

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
/** Answers to whoever asks before somebody has entered the code, and after (RFC 8628 §3.5). */
const WAITING = ['authorization_pending', 'slow_down', 'access_denied', 'expired_token'] as const

export type { OidcSettings } from './oidc/settings.ts'

export interface OidcProviderDeps extends Pick<OidcClientDeps, 'clientAuth' | 'waitingFor'> {
  readonly idp: OidcSettings
  /** The registered callback: authenticate URL plus callback path. */
  readonly redirectUri: URL
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * OpenID Connect for one provider: authorization code with PKCE S256, `state` and `nonce`, always,
 * whatever the metadata says (OIDC Core, RFC 7636, RFC 9700). Does no I/O until it is used, and recovers by
 * itself from a provider that was down. ERR_CLOCK_SKEW carries `difference`, in words; ERR_IDP_REJECTED carries `error`, `hint`, `title`, `whatToDo` and,
 * when the provider sent one, `description` (its text: escape it) as details.
 */
export function createOidcProvider({
  idp,
  clientAuth,
  redirectUri,
  clock,
  logger,
  waitingFor,
}: OidcProviderDeps): IdentityProvider {
  const { send, trouble, close, connect, rememberKeys, skewOf, verify } = createOidcClient({
    idp,
    clientAuth,
    clock,
    logger,
    waitingFor,
  })
  const tell = createFaultLog({ clock, logger })
  const pushIfPossible = createOptionalPush({ issuer: idp.issuer, trouble, clock, logger })

  async function signedIn(
    config: oidc.Configuration,
    answer: TokenAnswer,
  ): Promise<{ readonly identity: Identity; readonly tokens: Tokens }> {
    const claims = checkedClaims(config, answer)
    if (!claims || answer.id_token === undefined) throw new AppError('ERR_IDP_REJECTED', 'token endpoint: no id token')
    const { subject } = toIdentity(claims)
    const more = await userinfo(config, answer.access_token, subject)
    return { identity: toIdentity(mergeClaims(claims, more), idp), tokens: tokensOf(answer, claims, answer.id_token) }
  }

  /** Of the ID token, when there is one. Rejects ERR_IDP_REJECTED. */
  function checkedClaims(config: oidc.Configuration, answer: TokenAnswer): JsonObject | undefined {
    rememberKeys(config)
    if (answer.token_type !== 'bearer') throw new AppError('ERR_IDP_REJECTED', 'token endpoint: not a bearer token')
    const claims = answer.claims() as JsonObject | undefined
    if (claims) checkIdToken(claims, idp.clientId, clock.now())
    return claims
  }

  function tokensOf(answer: TokenAnswer, claims: JsonObject | undefined, idToken: string): Tokens {
    const { expires_in: seconds, refresh_token: refreshToken } = answer
    const exp = claims?.['exp']
    const accessTokenExpiresAt =
      seconds !== undefined
        ? later(clock.now(), Math.round(seconds * 1000))
        : typeof exp === 'number'
          ? wallTime(exp * 1000)
          : undefined
    return {
      idToken,
      ...(refreshToken !== undefined && { refreshToken }),
      ...(accessTokenExpiresAt !== undefined && { accessTokenExpiresAt }),
    }
  }

  /** An answer about a token has no address of the person; userinfo does, where the token is for it. */
  async function withUserinfo(config: oidc.Configuration, token: string, answer: JsonObject): Promise<JsonObject> {
    const { token_type: type, scope, uid, sub } = answer
    // Okta writes the login into `sub` here, and the id everywhere else (okta-api.md#userinfo-and-sign-out).
    const subject = uid ?? sub
    const isAccessToken = typeof type === 'string' && type.toLowerCase() === 'bearer'
    const isForUserinfo = isAccessToken && typeof scope === 'string' && scope.split(' ').includes('openid')
    if (!isForUserinfo || typeof subject !== 'string') return answer
    return mergeClaims(answer, await userinfo(config, token, subject))
  }

  async function introspect(token: string): Promise<JsonObject | undefined> {
    const config = await connect(AbortSignal.timeout(idp.timeout))
    if (config.serverMetadata().introspection_endpoint === undefined) return undefined
    try {
      // `active` is a boolean then: the library takes nothing else.
      const answer = await oidc.tokenIntrospection(config, token, { token_type_hint: 'access_token' })
      return answer.active ? await withUserinfo(config, token, answer as unknown as JsonObject) : undefined
    } catch (error) {
      // Whatever it is, nobody knows whose token this is: never a no, which would be remembered.
      const reason = appErrorIn(error)?.message ?? messages(error)
      throw new AppError('ERR_IDP_UNREACHABLE', `introspection failed: ${reason}`)
    }
  }

  /** `answer` is good: who is it about? */
  async function renewed(config: oidc.Configuration, answer: TokenAnswer, current: Refreshable): Promise<Refreshed> {
    const { issuer, subject } = current.identity
    const idToken = checkedClaims(config, answer)
    const said = idToken && toIdentity(idToken)
    if (said && personKey(said) !== personKey({ issuer, subject })) return { outcome: 'mismatch' }
    const more = await userinfo(config, answer.access_token, subject)
    const tokens = tokensOf(answer, idToken, answer.id_token ?? current.idToken)
    return {
      outcome: 'renewed',
      identity: refreshedIdentity(current.identity, { idToken, userinfo: more }, idp),
      // A provider that does not rotate may leave it out (RFC 6749 §6).
      tokens: { refreshToken: current.refreshToken, ...tokens },
    }
  }

  /** A custom Okta server keeps claims out of the ID token unless told otherwise, so userinfo is always asked (okta-api.md#tokens). */
  async function userinfo(config: oidc.Configuration, accessToken: string, subject: string): Promise<JsonObject> {
    if (config.serverMetadata().userinfo_endpoint === undefined) return {}
    try {
      return (await oidc.fetchUserInfo(config, accessToken, subject)) as JsonObject
    } catch (error) {
      // The definite answer for a sign-in with `openid` alone: there is no more to know.
      if (challengeOf(error)?.error === 'insufficient_scope') return {}
      // A refresh tells another subject from other faults.
      throw isAboutAnother(error) ? error : toFault('userinfo', error)
    }
  }

  /** The parameters go through the browser, or ahead of it and then nobody on the way can change or read them (RFC 9126). */
  async function authorizationUrl(parameters: Record<string, string>, signal: AbortSignal): Promise<URL> {
    const config = await connect(signal)
    const { require_pushed_authorization_requests: isRequired, pushed_authorization_request_endpoint: endpoint } =
      config.serverMetadata()
    const isOffered = endpoint !== undefined
    if (isRequired === true || (isOffered && idp.pushedRequests === 'always')) return pushed(config, parameters)
    const url =
      isOffered && idp.pushedRequests === 'when-possible'
        ? await pushIfPossible(async () => {
            const patience = AbortSignal.timeout(Math.ceil(idp.timeout * PATIENCE))
            return pushed(await connect(AbortSignal.any([signal, patience])), parameters)
          })
        : undefined
    return url ?? oidc.buildAuthorizationUrl(config, parameters)
  }

  async function pushed(config: oidc.Configuration, parameters: Record<string, string>): Promise<URL> {
    try {
      return await oidc.buildAuthorizationUrlWithPAR(config, parameters)
    } catch (error) {
      throw toFault('pushed request', error)
    }
  }

  return {
    tokens: { verify, introspect },
    name: idp.name,
    issuer: idp.issuer,
    callbackPath: redirectUri.pathname,
    trouble,
    close,
    timeout: idp.timeout,

    async begin(signal, { scopes: wanted = [], state = oidc.randomState(), demand = {}, chooseAccount = false } = {}) {
      const config = await connect(signal)
      const { scopes_supported: offered = [], grant_types_supported: grants } = config.serverMetadata()
      const scopes = new Set(['openid', ...idp.scopes, ...wanted.filter((scope) => offered.includes(scope))])
      // Without the grant it could not be used, and would only be one more thing to be refused or to consent to.
      if (grants && !grants.includes('refresh_token')) scopes.delete('offline_access')
      const pending: PendingSignIn = {
        state,
        nonce: oidc.randomNonce(),
        codeVerifier: oidc.randomPKCECodeVerifier(),
      }
      const parameters = {
        ...idp.requestParams,
        response_type: 'code',
        client_id: idp.clientId,
        redirect_uri: redirectUri.href,
        scope: [...scopes].join(' '),
        state: pending.state,
        nonce: pending.nonce,
        // RFC 7636 §4.2.
        code_challenge: sha256(pending.codeVerifier),
        code_challenge_method: 'S256',
        ...demandParams(demand),
        ...(chooseAccount && { prompt: 'select_account' }),
      }
      return { redirect: await authorizationUrl(parameters, signal), pending }
    },

    async complete(callback, pending, signal) {
      checkCallback(callback.searchParams, pending.state, idp.issuer)
      const url = new URL(redirectUri)
      url.search = callback.search
      const config = await connect(signal)
      try {
        const answer = await oidc.authorizationCodeGrant(config, url, {
          expectedState: pending.state,
          expectedNonce: pending.nonce,
          pkceCodeVerifier: pending.codeVerifier,
          idTokenExpected: true,
        })
        return await signedIn(config, answer)
      } catch (error) {
        throw toFault('sign-in', error, skewOf(config))
      }
    },

    async beginDevice(signal) {
      const config = await connect(signal)
      if (config.serverMetadata().device_authorization_endpoint === undefined) return undefined
      try {
        return await oidc.initiateDeviceAuthorization(config, {
          scope: [...new Set(['openid', ...idp.scopes])].join(' '),
        })
      } catch (error) {
        const refused = error instanceof oidc.ResponseBodyError && error.error === 'unauthorized_client'
        if (refused) return undefined
        throw toFault('device code', error)
      }
    },

    async pollDevice(deviceCode, signal) {
      const config = await connect(signal)
      try {
        return await signedIn(config, await oidc.genericGrantRequest(config, DEVICE_GRANT, { device_code: deviceCode }))
      } catch (error) {
        const pending = error instanceof oidc.ResponseBodyError && WAITING.find((known) => known === error.error)
        if (pending) return { error: pending }
        throw toFault('device code', error, skewOf(config))
      }
    },

    async refresh(current, signal, keep) {
      const config = await connect(signal)
      config[oidc.customFetch] = keepingRefreshToken(
        (url, init: oidc.CustomFetchOptions) => boundedFetch(url, init, signal, send),
        config.serverMetadata().token_endpoint,
        keep,
      )
      try {
        return await renewed(config, await oidc.refreshTokenGrant(config, current.refreshToken), current)
      } catch (error) {
        if (isDefiniteRefusal(error)) return { outcome: 'refused' }
        if (isAboutAnother(error)) return { outcome: 'mismatch' }
        throw toFault('refresh', error)
      }
    },

    async revoke(refreshToken, signal) {
      const config = await connect(signal)
      if (config.serverMetadata().revocation_endpoint === undefined) return
      try {
        await oidc.tokenRevocation(config, refreshToken, { token_type_hint: 'refresh_token' })
      } catch (error) {
        throw toFault('revocation', error)
      }
    },

    async signOutUrl(idToken, returnTo, state) {
      try {
        const config = await connect(AbortSignal.timeout(idp.timeout))
        if (idp.logout === 'cognito') return cognitoLogout(config, idp.clientId, returnTo)
        if (config.serverMetadata().end_session_endpoint === undefined) return undefined
        return oidc.buildEndSessionUrl(config, {
          id_token_hint: idToken,
          post_logout_redirect_uri: returnTo.href,
          ...(state !== undefined && { state }),
        })
      } catch (error) {
        // The local session ends all the same; the person stays signed in at the provider.
        tell(error, 'no sign-out at the identity provider', { issuer: idp.issuer })
        return undefined
      }
    },
  }
}

/**
 * OIDC Core §3.1.2.1: with `max_age` the provider proves again who somebody is when that was longer ago, and says when it was.
 * `prompt=login` would ask those, too, who have just done so for another application.
 */
function demandParams(demand: SignInDemand): Record<string, string> {
  const { acrValues } = demand
  const maxAge = maxAgeOf(demand)
  return {
    ...(acrValues && { acr_values: acrValues.join(' ') }),
    ...(maxAge !== undefined && { max_age: String(Math.floor(maxAge / 1000)) }),
  }
}

/** Amazon's /logout stands beside its /oauth2/authorize and has parameters of its own. */
function cognitoLogout(config: oidc.Configuration, clientId: string, returnTo: URL): URL | undefined {
  const { authorization_endpoint: authorize } = config.serverMetadata()
  if (authorize === undefined) return undefined
  const url = new URL('/logout', authorize)
  url.search = new URLSearchParams({ client_id: clientId, logout_uri: returnTo.href }).toString()
  return url
}
