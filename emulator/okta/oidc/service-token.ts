import { randomBytes } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, errors, importJWK, type JWTPayload, jwtVerify } from 'jose'
import type { Span } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import { type Call, json, type Reply } from '../http/call.ts'
import type { Caller } from '../management/caller.ts'
import type { Org } from '../model/org.ts'
import type { OrgApp } from '../model/types.ts'
import { FAULTS, fault, type OAuthFault } from './texts.ts'
import { TOKEN_SECONDS } from './tokens.ts'

/** Access tokens of service apps for the management API: client credentials at the org server (okta-api.md#service-apps). */
export interface ServiceTokens {
  grant(call: Call, body: URLSearchParams): Promise<Reply>
  /** undefined: unknown, expired, or the app is gone. The role is the app's own, now. */
  caller(accessToken: string): Caller | undefined
}

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512']
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
/** An assertion may not live longer. */
const HOUR_SECONDS = 3600

const REFUSED = {
  method: fault(
    401,
    'invalid_client',
    'Client Credentials requests to the Org Authorization Server must use the private_key_jwt token_endpoint_auth_method.',
  ),
  kid: fault(401, 'invalid_client', 'The client_assertion JWT kid is invalid.'),
  signature: fault(401, 'invalid_client', 'The client_assertion signature is invalid.'),
  audience: fault(
    401,
    'invalid_client',
    'The audience claim for client_assertion must be the endpoint invoked for the request.',
  ),
  // Okta does not document the texts of these four errors.
  malformed: fault(401, 'invalid_client', 'The client_assertion token is not a valid JWT.'),
  subject: fault(401, 'invalid_client', 'The issuer and subject of client_assertion must be the client_id.'),
  expired: fault(401, 'invalid_client', 'The client_assertion token is expired, or expires too far in the future.'),
  replayed: fault(401, 'invalid_client', 'The client_assertion token was used before.'),
} as const satisfies Record<string, OAuthFault>

interface Issued {
  readonly appId: string
  readonly scopes: readonly string[]
  readonly expiresAt: Span
}

export function createServiceTokens(deps: {
  readonly url: string
  readonly clock: Clock
  readonly org: Org
}): ServiceTokens {
  const { clock, org } = deps
  const issued = new Map<string, Issued>()
  const used = new Map<string, Span>()
  const endpoint = `${deps.url}/oauth2/v1/token`

  /** The app that signed the assertion (RFC 7523 §3), or why it is refused. */
  async function authenticate(call: Call, body: URLSearchParams): Promise<OrgApp | OAuthFault> {
    if (call.req.headers.authorization !== undefined || body.has('client_secret')) return REFUSED.method
    const assertion = body.get('client_assertion')
    if (assertion === null || body.get('client_assertion_type') !== ASSERTION_TYPE) return FAULTS.noCredentials
    const claims = decode(assertion)
    if (!claims) return REFUSED.malformed
    const app = org.apps.get(claims.payload.sub ?? '')
    if (!app) return FAULTS.unknownClient
    if (app.kind !== 'service') return REFUSED.method
    const key = app.jwks?.find((candidate) => candidate.kid !== undefined && candidate.kid === claims.kid)
    if (!key) return REFUSED.kid
    const now = Math.floor(clock.now() / 1000)
    try {
      const { payload } = await jwtVerify(assertion, await importJWK(key, claims.alg), {
        algorithms: ALGORITHMS,
        currentDate: new Date(clock.now()),
        issuer: app.id,
        audience: endpoint,
        requiredClaims: ['exp'],
      })
      if ((payload.exp ?? 0) > now + HOUR_SECONDS) return REFUSED.expired
      return replayed(app.id, payload) ? REFUSED.replayed : app
    } catch (error) {
      return reasonOf(error)
    }
  }

  /** A `jti` is optional, and single-use when there is one. */
  function replayed(appId: string, { jti, exp = 0 }: JWTPayload): boolean {
    if (jti === undefined) return false
    for (const [seen, until] of used) if (until <= clock.now()) used.delete(seen)
    const key = `${appId} ${jti}`
    if (used.has(key)) return true
    used.set(key, exp * 1000)
    return false
  }

  return {
    async grant(call, body) {
      const app = await authenticate(call, body)
      if ('error' in app) return refuse(app)
      const scopes = (body.get('scope') ?? '').split(' ').filter(Boolean)
      const granted = new Set(app.grantedScopes)
      if (scopes.length === 0 || scopes.some((scope) => !granted.has(scope))) return refuse(FAULTS.scope)
      const accessToken = randomBytes(48).toString('base64url')
      issued.set(accessToken, { appId: app.id, scopes, expiresAt: clock.now() + TOKEN_SECONDS * 1000 })
      return json(200, {
        token_type: 'Bearer',
        expires_in: TOKEN_SECONDS,
        access_token: accessToken,
        scope: scopes.join(' '),
      })
    },
    caller(accessToken) {
      const record = issued.get(accessToken)
      const app = record && org.apps.get(record.appId)
      if (!app || clock.now() >= record.expiresAt) return undefined
      return { id: app.id, role: app.role ?? 'NONE', scopes: record.scopes }
    },
  }
}

function refuse({ status, error, error_description }: OAuthFault): Reply {
  return json(status, { error, error_description })
}

function decode(assertion: string): { kid: string | undefined; alg: string; payload: JWTPayload } | undefined {
  try {
    const { kid, alg = '' } = decodeProtectedHeader(assertion)
    return { kid, alg, payload: decodeJwt(assertion) }
  } catch {
    // Not a JWT.
    return undefined
  }
}

function reasonOf(error: unknown): OAuthFault {
  if (error instanceof errors.JWTExpired) return REFUSED.expired
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') return REFUSED.audience
    return error.claim === 'iss' ? REFUSED.subject : REFUSED.expired
  }
  return REFUSED.signature
}
