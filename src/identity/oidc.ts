import * as oidc from 'openid-client'
import { AppError, assertNever, messageOf } from '../errors.ts'
import { discoveryUrl, placed, unsafeEndpoint } from '../config/provider-endpoints.ts'
import { maxAgeOf } from '../policy/demand.ts'
import { systemTime } from '../lib/clock.ts'
import { constantTimeEqual } from '../lib/crypto.ts'
import { createOutboundFetch } from '../lib/outbound.ts'
import { isSameIssuer } from '../lib/person.ts'
import { epochMillis, later, wallTime } from '../lib/time.ts'
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
import type { IdpConfig } from '../config/model.ts'
import { boundedFetch } from './bounded-fetch.ts'
import { explainCallbackError } from './callback-errors.ts'
import { mergeClaims, toIdentity } from './claims.ts'
import { checkIdToken } from './id-token.ts'
import { createJwsVerifier, SIGNING_ALGORITHMS } from './jws.ts'
import { createKeySet, fetchKeySet, type KeySet } from './key-set.ts'
import { createOptionalPush } from './pushed-requests.ts'
import { isAboutAnother, keepingRefreshToken, refreshedIdentity } from './refreshed.ts'
import { createStale } from './stale.ts'
import { CLOCK_TOLERANCE_S } from './token-times.ts'

type TokenAnswer = oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers

/** Endpoints rarely move; a provider that cannot be asked again keeps its old ones. */
const METADATA = { maxAge: 3_600_000, maxStale: Number.POSITIVE_INFINITY, pause: 3000 }
/** openid-client fetches keys for an unknown `kid` only when its set is this old, and forgets a set after 300 s. */
const KEY_REFETCH_FLOOR_S = 60

/** Of `idp_timeout`, the share that somebody waits for a pushed request that need not be one. */
const PATIENCE = 0.2

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
/** Answers to whoever asks before somebody has entered the code, and after (RFC 8628 §3.5). */
const WAITING = ['authorization_pending', 'slow_down', 'access_denied', 'expired_token'] as const

/** What of a provider's configuration the protocol needs. */
export type OidcSettings = Omit<IdpConfig, 'directory' | 'label' | 'callbackPath'>

export interface OidcProviderDeps {
  readonly idp: OidcSettings
  /** The registered callback: authenticate URL plus callback path. */
  readonly redirectUri: URL
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * OpenID Connect for one provider: authorization code with PKCE S256, `state` and `nonce`, always,
 * whatever the metadata says (OIDC Core, RFC 7636, RFC 9700). Does no I/O until it is used, and recovers by
 * itself from a provider that was down. ERR_IDP_REJECTED carries `error`, `hint`, `title`, `whatToDo` and,
 * when the provider sent one, `description` (its text: escape it) as details.
 */
export function createOidcProvider({ idp, redirectUri, clock, logger }: OidcProviderDeps): IdentityProvider {
  const send = createOutboundFetch(idp.outbound ?? {}, idp.timeout)
  const metadata = createStale({ ...METADATA, clock, read: () => readMetadata(idp, send, logger) })
  /** Signing keys: read by the library when there are none, or when a token names one that is unknown. */
  const keys = createKeySet({ clock, read: async () => readKeys(await metadata.get(), idp, send, logger) })
  const signatures = createJwsVerifier({ keys })
  const authentication = clientAuthentication(idp)
  const pushIfPossible = createOptionalPush({ issuer: idp.issuer, clock, logger })

  /** A configuration for one operation, so that its calls end with the caller's signal. */
  async function connect(signal: AbortSignal): Promise<oidc.Configuration> {
    const config = new oidc.Configuration(
      await metadata.get(),
      idp.clientId,
      // The library reads the wall clock; the skew makes it judge by ours.
      {
        [oidc.clockSkew]: Math.round((epochMillis(clock.now()) - systemTime()) / 1000),
        [oidc.clockTolerance]: CLOCK_TOLERANCE_S,
      },
      authentication,
    )
    config.timeout = idp.timeout / 1000
    config[oidc.customFetch] = (url, init) => boundedFetch(url, init, signal, send)
    if (isHttp(idp.issuer) || isHttp(idp.internalUrl ?? '')) oidc.allowInsecureRequests(config)
    // Without this the signature of an ID token from the token endpoint goes unread: TLS would be the only proof.
    oidc.enableNonRepudiationChecks(config)
    const known = keys.peek()
    // As old as the library allows before it would wait for new ones, and old enough that it looks for a key published a
    // second ago. ID tokens come from the provider itself, so nobody can use an unknown `kid` to make us hammer it.
    if (known) oidc.setJwksCache(config, { jwks: known, uat: Math.floor(systemTime() / 1000) - KEY_REFETCH_FLOOR_S })
    return config
  }

  /** Keys that the library had to read. */
  function rememberKeys(config: oidc.Configuration): void {
    const read = oidc.getJwksCache(config)
    if (read && read.uat > systemTime() / 1000 - KEY_REFETCH_FLOOR_S / 2) keys.put(read.jwks)
  }

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
    tokens: { verify: (token) => signatures.verify(token), introspect },
    name: idp.name,
    issuer: idp.issuer,
    callbackPath: redirectUri.pathname,
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
        code_challenge: await oidc.calculatePKCECodeChallenge(pending.codeVerifier),
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
        throw toFault('sign-in', error)
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
        throw toFault('device code', error)
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
        logger.warn({ issuer: idp.issuer, reason: messageOf(error) }, 'no sign-out at the identity provider')
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

async function readMetadata(idp: OidcSettings, send: typeof fetch, logger: Logger): Promise<oidc.ServerMetadata> {
  try {
    const value = await discover(idp, send)
    logger.info({ issuer: value.issuer }, 'identity provider discovered')
    return value
  } catch (error) {
    const fault = discoveryFault(idp, error)
    const what = fault.code === 'ERR_IDP_UNUSABLE' ? 'identity provider unusable' : 'identity provider unreachable'
    logger.error({ issuer: idp.issuer, code: fault.code, reason: fault.message }, what)
    throw fault
  }
}

/** In the background: the keys that are known serve meanwhile. */
async function readKeys(
  { jwks_uri: url = '' }: oidc.ServerMetadata,
  idp: OidcSettings,
  send: typeof fetch,
  logger: Logger,
): Promise<KeySet> {
  try {
    return await fetchKeySet(url, { send, timeout: idp.timeout })
  } catch (error) {
    logger.warn(
      { issuer: idp.issuer, reason: messages(error) },
      'keys of the identity provider could not be read again',
    )
    throw error
  }
}

async function discover(idp: OidcSettings, send: typeof fetch): Promise<oidc.ServerMetadata> {
  const url = discoveryUrl(idp)
  let status = 200
  // Named in full: given an issuer, the library compares parsed URLs, for which a trailing slash is nothing.
  const config = await oidc
    .discovery(new URL(url), idp.clientId, undefined, oidc.None(), {
      timeout: idp.timeout / 1000,
      [oidc.customFetch]: async (asked, init) => {
        const response = await boundedFetch(asked, init, AbortSignal.timeout(idp.timeout), send)
        status = response.status
        return response
      },
      execute: isHttp(url) ? [oidc.allowInsecureRequests] : [],
    })
    .catch((error: unknown) => {
      // The library does not say which.
      throw status === 200 ? error : new TypeError(`GET ${url} answered ${status}`)
    })
  const found = placed(config.serverMetadata(), idp)
  // Configuration cuts a trailing slash, which belongs to the issuer of some providers (never of Okta).
  const expected = idp.provider === 'okta' ? [idp.issuer] : [idp.issuer, `${idp.issuer}/`]
  if (!expected.includes(found.issuer)) throw new TypeError(`it calls itself ${JSON.stringify(found.issuer)}`)
  for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const) {
    if (!found[name]) throw new TypeError(`its metadata has no ${name}`)
  }
  const unsafe = unsafeEndpoint(found, idp)
  if (unsafe !== undefined) throw new TypeError(unsafe)
  return {
    ...(found as oidc.ServerMetadata),
    id_token_signing_alg_values_supported: [...SIGNING_ALGORITHMS],
    userinfo_signing_alg_values_supported: [...SIGNING_ALGORITHMS],
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

/** Everything that can be judged without the provider, state first. Rejects ERR_SIGN_IN_STATE, ERR_BAD_REQUEST or ERR_IDP_REJECTED. */
function checkCallback(query: URLSearchParams, expectedState: string, issuer: string): void {
  for (const name of ['state', 'code', 'error', 'error_description', 'iss']) {
    // RFC 6749 §3.1: parameters must not be repeated; the second one could be anybody's.
    if (query.getAll(name).length > 1) throw new AppError('ERR_BAD_REQUEST', `callback: more than one ${name}`)
  }
  const state = query.get('state')
  if (!state) throw new AppError('ERR_SIGN_IN_STATE', 'callback: no state')
  if (!constantTimeEqual(state, expectedState)) {
    throw new AppError('ERR_SIGN_IN_STATE', 'callback: state belongs to another sign-in')
  }
  const iss = query.get('iss')
  // In errors, too: what another one says is not shown as this one's words. The library sees that there is one where it must be.
  if (iss !== null && !isSameIssuer(iss, issuer)) {
    throw rejected('callback', 'bad_answer', undefined, 'iss names another issuer')
  }
  const error = query.get('error')
  if (error) throw rejected('callback', error, query.get('error_description') ?? undefined)
  if (!query.get('code')) throw new AppError('ERR_BAD_REQUEST', 'callback: neither code nor error')
}

function clientAuthentication({ clientAuth }: OidcSettings): oidc.ClientAuth {
  switch (clientAuth.kind) {
    case 'basic':
      return oidc.ClientSecretBasic(clientAuth.secret.reveal())
    case 'post':
      return oidc.ClientSecretPost(clientAuth.secret.reveal())
    case 'none':
      return oidc.None()
    case 'elsewhere':
      return () => {
        throw new AppError('ERR_IDP_UNREACHABLE', 'this process serves routes alone and has no secret of the provider')
      }
    default:
      return assertNever(clientAuth)
  }
}

/** 429 never comes here: it is ERR_IDP_UNREACHABLE before its body is looked at. */
function isDefiniteRefusal(error: unknown): boolean {
  return error instanceof oidc.ResponseBodyError && (error.error === 'invalid_grant' || error.error === 'access_denied')
}

/**
 * Library errors are put into words and dropped: their causes hold responses and tokens, and a cause gets logged.
 */
function toFault(doing: string, error: unknown): AppError {
  const own = appErrorIn(error)
  if (own) return own.code === 'ERR_IDP_REJECTED' ? withExplanation(own) : own
  if (error instanceof oidc.ResponseBodyError) return rejected(doing, error.error, error.error_description)
  const challenge = challengeOf(error)
  if (challenge) return rejected(doing, challenge.error ?? 'invalid_client', challenge.error_description)
  return rejected(doing, 'bad_answer', undefined, messages(error))
}

function rejected(doing: string, error: string, description?: string, reason?: string): AppError {
  const code = /^[\w.:/-]{1,64}$/.test(error) ? error : 'unknown'
  return new AppError('ERR_IDP_REJECTED', `${doing}: ${reason ?? `the identity provider answered ${code}`}`, {
    details: {
      error: code,
      ...explainCallbackError(code, description),
      ...(description === undefined ? {} : { description: description.slice(0, 500) }),
    },
  })
}

function withExplanation(fault: AppError): AppError {
  if (fault.details['hint'] !== undefined) return fault
  const details = { error: 'bad_answer', ...explainCallbackError('bad_answer') }
  return new AppError(fault.code, fault.message, { details })
}

/** No answer may be one in a moment; another answer than an issuer gives stays what it is. */
function discoveryFault(idp: OidcSettings, error: unknown): AppError {
  const own = appErrorIn(error)
  if (own) return new AppError('ERR_IDP_UNREACHABLE', `discovery of ${idp.issuer} failed: ${own.message}`)
  const advice = 'waiting does not help: see idp_provider_url'
  return new AppError('ERR_IDP_UNUSABLE', `discovery of ${idp.issuer} failed: ${messages(error)}; ${advice}`)
}

/** The library wraps what our fetch throws. */
function appErrorIn(error: unknown): AppError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof AppError) return at
  return undefined
}

function challengeOf(error: unknown): { readonly error?: string; readonly error_description?: string } | undefined {
  return error instanceof oidc.WWWAuthenticateChallengeError ? (error.cause[0]?.parameters ?? {}) : undefined
}

/** Messages along the causes; they name the claim or the check, never its value. */
function messages(error: unknown): string {
  const parts: string[] = []
  for (let at = error; at instanceof Error && parts.length < 3; at = at.cause) parts.push(at.message)
  return parts.length === 0 ? messageOf(error) : parts.join(': ')
}

function isHttp(url: string): boolean {
  return url.startsWith('http:')
}
