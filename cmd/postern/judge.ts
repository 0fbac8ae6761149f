import { AppError } from '../../src/errors.ts'
import { isSameIssuer, personKey } from '../../src/lib/person.ts'
import { FOREVER } from '../../src/lib/time.ts'
import { servicePrincipal } from '../../src/policy/service-principal.ts'
import type { Config, IdpConfig } from '../../src/config/model.ts'
import type { Group } from '../../src/directory/model.ts'
import type { Identity, JsonObject } from '../../src/types.ts'
import type { Principal } from '../../src/policy/model.ts'

/** The identity provider of this name, the default one without. Throws ERR_USAGE when there is none. */
export function providerNamed({ fixed: { idps } }: Config, name: string | undefined): IdpConfig {
  const found = name === undefined ? idps[0] : idps.find((idp) => idp.name === name)
  if (found) return found
  throw new AppError(
    'ERR_USAGE',
    `--provider: expected one of ${idps.map((idp) => idp.name).join(', ')}, found ${name}`,
  )
}

/** The name of the first provider that somebody of this issuer can come from. */
export function providerOf({ fixed: { idps } }: Config, { issuer }: Identity): string {
  return (idps.find((idp) => isSameIssuer(idp.issuer, issuer)) ?? idps[0]).name
}

/** Somebody who is signed in, made up from what is said about them. `claims` are completed by subject and address. */
export function makeIdentity(
  { issuer }: Pick<IdpConfig, 'issuer'>,
  { subject, email, claims = {} }: { readonly subject: string; readonly email?: string; readonly claims?: JsonObject },
): Identity {
  const address = email?.toLowerCase()
  return {
    issuer,
    subject,
    ...(address !== undefined && { email: address }),
    claims: { sub: subject, ...(address !== undefined && { email: address }), ...claims },
  }
}

/** They as they would ask: signed in. */
export function makePrincipal(
  provider: string,
  identity: Identity,
  membership: Principal['membership'],
  status: Principal['status'],
): Principal {
  return {
    kind: 'session',
    person: personKey(identity),
    identity,
    sessionId: 'command-line',
    // Just now, whatever the time is.
    signedInAt: FOREVER,
    provider,
    expiresAt: FOREVER,
    membership,
    status,
  }
}

/** Whoever has a service token of this name, with these groups. */
export function makeProgram(account: string, groups: readonly string[]): Principal {
  return servicePrincipal({ id: 'command-line', account, groups, expiresAt: FOREVER })
}

/** Groups of which only the name, or the id, is known. */
export function groupsNamed(names: readonly string[]): readonly Group[] {
  return names.map((name) => ({ id: name, name, type: 'CLAIM' }))
}
