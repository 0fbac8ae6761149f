import { createHash, randomBytes, verify as verifySignature } from 'node:crypto'
import type { JsonObject, Span } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import { accessTokenClaims, type ClaimContext, idTokenClaims } from './claims.ts'
import { createSigningKey, type Keys, type SigningKey, signJwt } from './keys.ts'
import type { ServerAddress } from './metadata.ts'

/** What an access token stands for. */
export interface AccessRecord {
  readonly serverId: string
  readonly personId: string
  readonly appId: string
  readonly scopes: readonly string[]
  /** oidc-provider's own value for the same token, which revocation and introspection use. */
  readonly inner: string
  readonly expiresAt: Span
  /** Claims of the token itself, as introspection shows them. */
  readonly claims: JsonObject
}

/** The facts of one sign-in that its tokens repeat; refreshed tokens keep the original ones. */
export interface SignInFacts {
  readonly authTime: number
  readonly amr: readonly string[]
  readonly acr: string
  readonly nonce: string | undefined
}

/** Makes tokens in Okta's shape and remembers access tokens. One for all authorization servers. */
export interface Tokens {
  issue(
    address: ServerAddress,
    keys: Keys,
    context: ClaimContext,
    facts: SignInFacts,
    inner: string,
  ): Promise<{ readonly accessToken: string; readonly idToken: string | undefined }>
  /** Client credentials at a custom server: nobody but the client is in it (okta-api.md#service-apps). */
  issueToClient(
    address: ServerAddress,
    keys: Keys,
    client: { readonly id: string; readonly audience: string; readonly scopes: readonly string[] },
  ): Promise<string>
  access(token: string): AccessRecord | undefined
  /** Claims of an ID token that one of these keys signed, expired or not; undefined for anything else. */
  readIdToken(token: string, keys: Keys): Promise<JsonObject | undefined>
  clear(): void
}

/** Both kinds live an hour at the org server, and by default at custom ones (okta-api.md#tokens). */
export const TOKEN_SECONDS = 3600

export function createTokens(deps: { readonly clock: Clock }): Tokens {
  const issued = new Map<string, AccessRecord>()
  // The org server's access tokens look like JWTs, but their key is not published: clients cannot verify them.
  let unpublished: Promise<SigningKey> | undefined

  return {
    async issue(address, keys, context, facts, inner) {
      const { person, app, server, scopes } = context
      const iat = Math.floor(deps.clock.now() / 1000)
      const common = { ver: 1, iss: address.issuer, iat, exp: iat + TOKEN_SECONDS, auth_time: facts.authTime }
      const key = await keys.current()
      const accessClaims: JsonObject = {
        ...common,
        exp: iat + (app.accessTokenSeconds ?? TOKEN_SECONDS),
        jti: `AT.${randomBytes(32).toString('base64url')}`,
        aud: server?.audience ?? address.issuer,
        cid: app.id,
        uid: person.id,
        scp: [...scopes],
        // `sub` is the login in an access token and the id in an ID token.
        sub: person.login,
        ...(server && { acr: facts.acr, ...accessTokenClaims(context) }),
      }
      const accessToken = signJwt(server ? key : await (unpublished ??= createSigningKey()), accessClaims)
      issued.set(accessToken, {
        serverId: address.id,
        personId: person.id,
        appId: app.id,
        scopes: [...scopes],
        inner,
        expiresAt: (iat + (app.accessTokenSeconds ?? TOKEN_SECONDS)) * 1000,
        claims: accessClaims,
      })
      if (!scopes.has('openid')) return { accessToken, idToken: undefined }
      const idToken = signJwt(key, {
        ...idTokenClaims(context),
        ...common,
        sub: person.id,
        aud: app.id,
        jti: `ID.${randomBytes(32).toString('base64url')}`,
        amr: facts.amr,
        acr: facts.acr,
        idp: context.org.id,
        at_hash: createHash('sha256').update(accessToken).digest().subarray(0, 16).toString('base64url'),
        ...(facts.nonce !== undefined && { nonce: facts.nonce }),
      })
      return { accessToken, idToken }
    },
    async issueToClient(address, keys, { id, audience, scopes }) {
      const iat = Math.floor(deps.clock.now() / 1000)
      return signJwt(await keys.current(), {
        ver: 1,
        jti: `AT.${randomBytes(32).toString('base64url')}`,
        iss: address.issuer,
        aud: audience,
        iat,
        exp: iat + TOKEN_SECONDS,
        cid: id,
        scp: [...scopes],
        sub: id,
      })
    },
    access(token) {
      const record = issued.get(token)
      return record && deps.clock.now() < record.expiresAt ? record : undefined
    },
    readIdToken: async (token, keys) => {
      const [header = '', payload = '', signature = ''] = token.split('.')
      const kid = parse(header)?.['kid']
      const key = (await keys.all()).find((candidate) => candidate.kid === kid)
      if (!key) return undefined
      const signed = Buffer.from(`${header}.${payload}`)
      // A private KeyObject also verifies; its public half is derived.
      const genuine = verifySignature('RSA-SHA256', signed, key.privateKey, Buffer.from(signature, 'base64url'))
      return genuine ? parse(payload) : undefined
    },
    clear: () => issued.clear(),
  }
}

function parse(part: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined
  } catch {
    // Not a JWT part.
    return undefined
  }
}
