/** What the identity provider says of groups, where no directory is read. */
import type { Fixed, Live } from './config/model.ts'
import { entryFromClaims } from './directory/claims.ts'
import type { Directories } from './directory/directories.ts'
import { groupsFromClaims, isClaimAbsent } from './identity/claims.ts'
import { personKey } from './lib/person.ts'
import { later } from './lib/time.ts'
import { isAddressUnverified } from './policy/address.ts'
import { asksForGroups, policiesOf } from './policy/explain.ts'
import type { Identity, Logger, Span, Tokens, WallTime } from './types.ts'

/** Where no directory is read, what the provider says at a sign-in and at each refresh tells groups. */
export function createClaims({ idps }: Fixed, directory: Directories['directory'], logger: Logger) {
  async function tell(provider: string, identity: Identity, live: Live, now: WallTime): Promise<void> {
    if (claimsAge({ idps }, provider) === undefined) return
    const { groupsClaim, groupsClaimAbsent, routes } = live
    const person = personKey(identity)
    const { claims } = identity
    const isAbsent = isClaimAbsent(claims, groupsClaim)
    const groups = isAbsent && groupsClaimAbsent === 'none' ? [] : groupsFromClaims(claims, groupsClaim)
    if (groups) return directory.observe(person, entryFromClaims(identity.subject, groups, now))
    await directory.forget(person)
    if (!routes.flatMap(policiesOf).some(asksForGroups)) return
    const what = isAbsent ? 'is neither in the ID token nor in userinfo' : 'is no list of names, or too long'
    logger.warn(
      { user_id: identity.subject, groups_claim: groupsClaim, claims: Object.keys(claims) },
      `the claim with groups ${what}: rules about groups do not let this person in`,
    )
  }

  return {
    tell,

    /** How long a session may live. Without a refresh token its groups stay those of the sign-in: it ends when they are too old, and the provider's own session makes the next sign-in a redirect. */
    admit: async (
      provider: string,
      { identity, tokens }: { readonly identity: Identity; readonly tokens: Tokens },
      live: Live,
      now: WallTime,
    ): Promise<{ readonly expiresAt: WallTime }> => {
      if (isAddressUnverified(identity)) {
        logger.warn(
          { user_id: identity.subject },
          'the identity provider says that the e-mail address is not verified: rules and applications do not see it (idp_allow_unverified_email)',
        )
      }
      await tell(provider, identity, live, now)
      const age = tokens.refreshToken === undefined ? claimsAge({ idps }, provider) : undefined
      return { expiresAt: later(now, Math.min(live.cookieExpire, age ?? live.cookieExpire)) }
    },
  }
}

/** Of a provider without a directory: how old groups may be that its claims told. */
export function claimsAge(
  { idps: [first, ...others] }: Pick<Fixed, 'idps'>,
  provider: string | undefined,
): Span | undefined {
  const { directory } = others.find(({ name }) => name === provider) ?? first
  return directory.kind === 'claims' ? directory.maxStaleness : undefined
}
