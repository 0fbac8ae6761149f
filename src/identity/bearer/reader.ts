/** Whose a token is, and what its issuer says of it: by the keys that the issuer publishes, or by asking it. */
import type { IdpConfig, TokenIssuer } from '../../config/model.ts'
import type { Bearer } from '../../config/route-model.ts'
import { assertNever } from '../../errors.ts'
import { sha256 } from '../../lib/crypto.ts'
import { isSameIssuer } from '../../lib/person.ts'
import { elapsed } from '../../lib/time.ts'
import type { Clock, IdentityProviders, JsonObject, Monotonic, ShownTokens, Span, WallTime } from '../../types.ts'
import { MAX_JWS_LENGTH } from '../jws.ts'
import { type Evidence, readAccessToken, readIdToken, readIssuedToken, type Refused, type Shown } from './claims.ts'
import type { createIntrospection, Answer } from './introspection.ts'

/** A key that was withdrawn lets nobody in after this. */
const VERIFIED_FOR: Span = 60_000
const MAX_KNOWN = 4096

/** An identity provider, as far as its tokens are concerned. */
export interface Provider
  extends Pick<IdpConfig, 'name' | 'provider' | 'issuer' | 'clientId' | 'allowUnverifiedEmail'> {
  readonly tokens: ShownTokens
}

/** An issuer of `token_issuers`, with its keys. */
export interface Issuer extends Pick<ShownTokens, 'verify'> {
  readonly config: TokenIssuer
}

/** `provider`: of tokens of an identity provider. */
export type Reading = (Shown & { readonly provider?: Provider }) | Refused

export interface TokenReader {
  /** What the token says. Rejects when the issuer's keys, or the issuer itself, cannot be asked. */
  read(token: string, asked: Asked): Reading | Promise<Reading>
}

export function createTokenReader(deps: {
  readonly configs: readonly IdpConfig[]
  readonly idps: Pick<IdentityProviders, 'named'>
  readonly issuers: readonly Issuer[]
  readonly introspection: ReturnType<typeof createIntrospection>
  readonly clock: Clock
}): TokenReader {
  const { configs, idps, issuers, introspection, clock } = deps
  const providers = configs.flatMap((config): Provider[] => {
    const tokens = idps.named(config.name)?.tokens
    return tokens ? [{ ...config, tokens }] : []
  })
  /** Tokens whose signature was good. What they say is judged each time. */
  const verified = new Map<string, { readonly evidence: Evidence; readonly at: Monotonic }>()

  function verify(
    name: string,
    source: Pick<ShownTokens, 'verify'>,
    token: string,
  ): Evidence | Promise<Evidence | Refused> {
    const key = keyOf(name, token)
    const known = verified.get(key)
    if (known && elapsed(clock.monotonic(), known.at) < VERIFIED_FOR) return known.evidence
    return source.verify(token).then((found) => {
      verified.delete(key)
      if ('refused' in found) return found
      // The oldest first.
      for (const old of verified.keys()) if (verified.size >= MAX_KNOWN) verified.delete(old)
      verified.set(key, { evidence: found, at: clock.monotonic() })
      return found
    })
  }

  function providerOf({ providers: names }: Asked, fits: (each: Provider) => boolean): Provider | undefined {
    return providers.find((each) => (names === undefined || names.includes(each.name)) && fits(each))
  }

  /** `iss`: whom the token names; undefined: it is no JWT. */
  function readAccess(token: string, iss: string | undefined, asked: Asked): Reading | Promise<Reading> {
    const provider = providerOf(asked, (each) => (iss === undefined ? isOpaque(each) : isSameIssuer(each.issuer, iss)))
    if (!provider) return FOREIGN
    const read = (evidence: Evidence | Refused): Reading =>
      'refused' in evidence
        ? evidence
        : withProvider(readAccessToken(evidence, provider, asked.bearer, asked.now), provider)
    // Of an Okta org alone even a JWT can be read by nobody else.
    if (iss !== undefined && !(provider.provider === 'okta' && isOpaque(provider))) {
      return mapped(verify(provider.name, provider.tokens, token), read)
    }
    const ask = (): Promise<JsonObject | undefined> => provider.tokens.introspect(token)
    const answer = introspection.read(keyOf(provider.name, token), asked.clientIp, ask)
    return mapped(answer, (said) => read(asEvidence(said)))
  }

  function readId(token: string, iss: string, asked: Asked): Reading | Promise<Reading> {
    const { bearer, now } = asked
    const provider = providerOf(asked, (each) => isSameIssuer(each.issuer, iss))
    if (!provider) return FOREIGN
    return mapped(verify(provider.name, provider.tokens, token), (found) =>
      'refused' in found ? found : withProvider(readIdToken(found, provider, bearer, now), provider),
    )
  }

  function readIssued(token: string, iss: string, { bearer, now }: Asked): Reading | Promise<Reading> {
    const issuer = issuers.find(({ config }) => config.issuer === iss && bearer.issuers?.includes(config.name))
    if (!issuer) return FOREIGN
    const { config } = issuer
    return mapped(verify(`issuer ${config.name}`, issuer, token), (found) =>
      'refused' in found ? found : readIssuedToken(found, config, bearer, now),
    )
  }

  return {
    read(token, asked) {
      const { bearer } = asked
      if (token.length > MAX_JWS_LENGTH) return TOO_LONG
      const claims = unverified(token)
      if (claims === 'opaque') return bearer.kind === 'access-token' ? readAccess(token, undefined, asked) : MALFORMED
      const { iss } = claims ?? {}
      if (!claims || typeof iss !== 'string') return MALFORMED
      switch (bearer.kind) {
        case 'access-token':
          return isOfAnotherKind(claims) ? ID_TOKEN : readAccess(token, iss, asked)
        case 'id-token':
          return readId(token, iss, asked)
        case 'jwt':
          return readIssued(token, iss, asked)
        default:
          return assertNever(bearer.kind)
      }
    },
  }
}

/** By whom and where a token was shown. */
export interface Asked {
  /** What the route takes. */
  readonly bearer: Bearer
  /** Names of the identity providers whose people the route is for (`identity_provider`); absent: all. */
  readonly providers?: readonly string[] | undefined
  readonly clientIp: string
  readonly now: WallTime
}

const FOREIGN: Refused = Object.freeze({ refused: 'of no issuer that this route takes tokens of' })
const TOO_LONG: Refused = Object.freeze({ refused: 'too long' })
const ID_TOKEN: Refused = Object.freeze({ refused: 'not an access token' })
const MALFORMED: Refused = Object.freeze({ refused: 'malformed' })
const INACTIVE: Refused = Object.freeze({ refused: 'not active, says its issuer' })

/**
 * What a JWT says before anything of it is believed: where to look for the keys, and nothing that lets anybody in.
 * `opaque`: it is no JWT, so that its issuer alone can read it; undefined: it looks like one, and is none that we read.
 */
function unverified(token: string): JsonObject | 'opaque' | undefined {
  const parts = token.split('.')
  // Five parts are encrypted (RFC 7516).
  if (parts.length !== 3) return parts.length === 5 ? undefined : 'opaque'
  try {
    const claims: unknown = JSON.parse(Buffer.from(parts[1] ?? '', 'base64url').toString('utf8'))
    return typeof claims === 'object' && claims !== null && !Array.isArray(claims) ? (claims as JsonObject) : undefined
  } catch {
    return undefined
  }
}

/** Then nobody has to be asked. */
function isOfAnotherKind({ at_hash: hash, events }: JsonObject): boolean {
  return hash !== undefined || events !== undefined
}

/** May its access tokens be readable by itself alone? An Okta org publishes no keys for them; its custom servers sign all of them (okta-api.md#authorization-servers). */
function isOpaque({ provider, issuer }: Provider): boolean {
  return provider !== 'okta' || !new URL(issuer).pathname.startsWith('/oauth2/')
}

function asEvidence(answer: Answer): Evidence | Refused {
  return answer === 'inactive' ? INACTIVE : { claims: answer, introspected: true }
}

function withProvider(read: Shown | Refused, provider: Provider): Reading {
  return 'refused' in read ? read : { ...read, provider }
}

function keyOf(source: string, token: string): string {
  return `${source} ${sha256(token)}`
}

/** At once where the value is at hand: a promise costs every request. */
function mapped<T, U>(value: T | Promise<T>, map: (value: T) => U): U | Promise<U> {
  return value instanceof Promise ? value.then((settled) => map(settled)) : map(value)
}
