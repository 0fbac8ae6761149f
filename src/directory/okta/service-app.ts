import { createPrivateKey } from 'node:crypto'
import { SignJWT } from 'jose'
import { AppError } from '../../errors.ts'
import { randomId } from '../../lib/crypto.ts'
import { createSingleFlight } from '../../lib/single-flight.ts'
import type { Clock, Span, Monotonic } from '../../types.ts'
import type { OktaCredentials } from '../../config/model.ts'
import type { RawAnswer } from './answer.ts'
import { epochSeconds, later } from '../../lib/time.ts'

const TOKEN_PATH = '/oauth2/v1/token'
/** Okta takes assertions up to an hour ahead; ours is used at once. */
const ASSERTION_LIFE: Span = 5 * 60_000
/** Renewed so long before its end, or at half of its life when that is shorter. */
const RENEW_BEFORE: Span = 5 * 60_000

/** What a call to Okta shows. */
export interface Authorizer {
  /** Value of the Authorization header. Rejects with ERR_DIRECTORY_… */
  header(signal: AbortSignal): Promise<string>
  /** Okta refused it: is there another one to be had at once? */
  renew(): boolean
}

/** Sends a form to a path of the org. */
export type PostForm = (path: string, form: URLSearchParams, signal: AbortSignal) => Promise<RawAnswer>

export function createAuthorizer(
  credentials: OktaCredentials,
  deps: { readonly origin: string; readonly clock: Clock; readonly post: PostForm },
): Authorizer {
  if (credentials.kind === 'service-app') return createServiceApp(credentials, deps)
  const { token } = credentials
  return { header: async () => `SSWS ${token.reveal()}`, renew: () => false }
}

/**
 * An API Services app (okta-api.md#service-apps): `client_credentials` with an assertion that the app's own key signs (RFC 7523);
 * the access token is kept until shortly before it ends. No DPoP: the app must not require it.
 */
function createServiceApp(
  { clientId, privateKey, keyId, scopes }: Extract<OktaCredentials, { kind: 'service-app' }>,
  { origin, clock, post }: { readonly origin: string; readonly clock: Clock; readonly post: PostForm },
): Authorizer {
  const key = createPrivateKey(privateKey.reveal())
  const alg = key.asymmetricKeyType === 'ec' ? 'ES256' : 'RS256'
  const flight = createSingleFlight<string>()
  let token: { readonly header: string; readonly renewAt: Monotonic } | undefined

  async function assertion(): Promise<string> {
    const now = epochSeconds(clock.now())
    return new SignJWT({})
      .setProtectedHeader({ alg, ...(keyId !== undefined && { kid: keyId }) })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(origin + TOKEN_PATH)
      .setIssuedAt(now)
      .setExpirationTime(now + ASSERTION_LIFE / 1000)
      .setJti(randomId())
      .sign(key)
  }

  async function fetchToken(signal: AbortSignal): Promise<string> {
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      scope: scopes.join(' '),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await assertion(),
    })
    const askedAt = clock.monotonic()
    const { status, body } = await post(TOKEN_PATH, form, signal)
    const answer = parse(body)
    if (status !== 200) throw refusal(status, answer)
    const { access_token: value, token_type: type, expires_in: seconds } = answer
    if (typeof value !== 'string' || typeof seconds !== 'number' || String(type).toLowerCase() !== 'bearer') {
      throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: POST ${TOKEN_PATH} gave no bearer token`)
    }
    const life = seconds * 1000
    token = { header: `Bearer ${value}`, renewAt: later(askedAt, Math.max(life / 2, life - RENEW_BEFORE)) }
    return token.header
  }

  return {
    async header(signal) {
      return token && clock.monotonic() < token.renewAt ? token.header : flight('token', () => fetchToken(signal))
    },
    renew() {
      if (!token) return false
      token = undefined
      return true
    },
  }
}

function refusal(status: number, { error }: Readonly<Record<string, unknown>>): AppError {
  const word = typeof error === 'string' && /^\w{1,60}$/.test(error) ? ` ${error}` : ''
  const said = `okta: POST ${TOKEN_PATH} answered ${status}${word}`
  if (status === 429) return new AppError('ERR_DIRECTORY_RATE_LIMITED', `${said}: rate limit`)
  if (status >= 500) return new AppError('ERR_DIRECTORY_UNREACHABLE', said)
  if (word === ' invalid_scope') {
    return new AppError(
      'ERR_DIRECTORY_FORBIDDEN',
      `${said}: a scope of directory.okta.scopes is not granted to the app`,
    )
  }
  return new AppError('ERR_DIRECTORY_UNAUTHORIZED', `${said}: the service app or its key is not accepted`)
}

/** What cannot be read says nothing. */
function parse(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    // An error page of something in between.
    return {}
  }
}
