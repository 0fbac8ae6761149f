/** Whose keys a pushed message is checked with, and what it must be like: a validator for each kind, none of which takes another's. */
import type { IdpConfig, SharedSignalsConfig } from '../../config/model.ts'
import { constantTimeEqual } from '../../lib/crypto.ts'
import type { CurrentSecret } from '../../lib/secret.ts'
import { createSend } from '../../lib/outbound.ts'
import { isSameIssuer, personKey } from '../../lib/person.ts'
import type { Clock, IdentityProviders, Json, JsonObject, ShownTokens } from '../../types.ts'
import { createJwsVerifier, MAX_JWS_LENGTH } from '../jws.ts'
import { createKeySet, fetchKeySet } from '../key-set.ts'
import type { LogoutToken, ProviderSignals, Refused, RevocationToken } from '../model.ts'
import { readLogoutToken } from './logout-token.ts'
import { readRevocationToken } from './revocation-token.ts'
import { readSecurityEvents, type Subjects } from './security-event.ts'
import { createTransmitterKeys } from './transmitter.ts'

type Verifier = Pick<ShownTokens, 'verify'>

const FOREIGN: Refused = Object.freeze({ refused: 'of no identity provider of ours' })

export function createProviderSignals(deps: {
  readonly configs: readonly [IdpConfig, ...IdpConfig[]]
  readonly idps: Pick<IdentityProviders, 'named'>
  readonly sharedSignals: SharedSignals | undefined
  readonly clock: Clock
}): ProviderSignals {
  const { configs, idps, sharedSignals, clock } = deps
  const providers = configs.map((config) => ({ ...config, verifiers: verifiersOf(config) }))

  /** An Okta org signs with keys of its own what concerns the whole org, also beside a custom authorization server. */
  function verifiersOf({ name, provider, issuer, outbound, timeout }: IdpConfig): readonly Verifier[] {
    const own: Verifier = { verify: async (token) => (await idps.named(name)?.tokens.verify(token)) ?? FOREIGN }
    const { origin } = new URL(issuer)
    if (provider !== 'okta' || issuer === origin) return [own]
    const send = createSend(outbound ?? {}, timeout)
    const read = () => fetchKeySet(`${origin}/oauth2/v1/keys`, { send, timeout })
    return [own, createJwsVerifier({ keys: createKeySet({ read, clock }) })]
  }

  return {
    async logoutToken(token, now) {
      const claims = unverifiedClaims(token)
      let outcome: LogoutToken | Refused = FOREIGN
      for (const { name, issuer, clientId } of providers) {
        if (!isFrom(claims, [issuer])) continue
        const signed = (await idps.named(name)?.tokens.verify(token)) ?? FOREIGN
        outcome = 'refused' in signed ? signed : readLogoutToken(signed, { issuer, clientId }, now)
        if (!('refused' in outcome)) break
      }
      return outcome
    },

    async revocationToken(token, endpoint, now) {
      const claims = unverifiedClaims(token)
      let outcome: RevocationToken | Refused = FOREIGN
      for (const { provider, issuer, clientId, verifiers } of providers) {
        const issuers = [...new Set([issuer, new URL(issuer).origin])]
        if (provider !== 'okta' || !isFrom(claims, issuers) || claims?.['sub'] !== clientId) continue
        const signed = await firstSigned(verifiers, token)
        outcome = 'refused' in signed ? signed : readRevocationToken(signed, { issuers, clientId, endpoint }, now)
        if (!('refused' in outcome)) break
      }
      return outcome
    },

    ...(sharedSignals && { securityEvents: securityEvents(sharedSignals, configs, clock) }),
  }
}

type SharedSignals = Omit<SharedSignalsConfig, 'authorization'> & { readonly authorization: CurrentSecret }

function securityEvents(
  config: SharedSignals,
  providers: readonly [IdpConfig, ...IdpConfig[]],
  clock: Clock,
): NonNullable<ProviderSignals['securityEvents']> {
  const { issuer, authorization } = config
  const verifier = createJwsVerifier({ keys: createTransmitterKeys(issuer, providers[0], clock) })
  // An org speaks of the people of all its authorization servers; one that is elsewhere (an org behind a domain of its own), of
  // the default provider's.
  const { origin } = new URL(issuer)
  const here = providers.map((each) => each.issuer).filter((each) => new URL(each).origin === origin)
  const issuers = here.length > 0 ? [...new Set(here)] : [providers[0].issuer]
  const subjects: Subjects = {
    persons: (iss, subject) =>
      [issuer, ...issuers].some((each) => isSameIssuer(each, iss))
        ? issuers.map((each) => ({ kind: 'person', person: personKey({ issuer: each, subject }) }))
        : [],
    address: (address) => ({ kind: 'address', address, issuers }),
  }
  return {
    isAuthorized: (shown) => constantTimeEqual(shown ?? '', authorization.reveal()),
    async read(token, now) {
      const signed = await verifier.verify(token)
      if ('refused' in signed)
        return { ...signed, error: KEY_PROBLEMS.has(signed.refused) ? 'invalid_key' : 'invalid_request' }
      return readSecurityEvents(signed, config, subjects, now)
    },
  }
}

const KEY_PROBLEMS: ReadonlySet<string> = new Set(['unknown key', 'signature', 'algorithm'])

async function firstSigned(verifiers: readonly Verifier[], token: string): ReturnType<Verifier['verify']> {
  let outcome: Awaited<ReturnType<Verifier['verify']>> = FOREIGN
  for (const verifier of verifiers) {
    outcome = await verifier.verify(token)
    if (!('refused' in outcome)) return outcome
  }
  return outcome
}

/** Says whose keys to look for, and nothing that is believed. */
function unverifiedClaims(token: string): JsonObject | undefined {
  if (token.length > MAX_JWS_LENGTH) return undefined
  try {
    const value = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Json
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined
  } catch {
    return undefined
  }
}

function isFrom(claims: JsonObject | undefined, issuers: readonly string[]): boolean {
  const iss = claims?.['iss']
  return typeof iss === 'string' && issuers.some((issuer) => isSameIssuer(issuer, iss))
}
