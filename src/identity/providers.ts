import { isSameIssuer } from '../lib/person.ts'
import type { IdentityProvider, IdentityProviders } from '../types.ts'

/** The providers of one configuration, which are named differently. */
export function createIdentityProviders(all: IdentityProviders['all']): IdentityProviders {
  const byName = new Map<string, IdentityProvider>(all.map((idp) => [idp.name, idp]))
  return {
    all,
    named: (name) => byName.get(name),
    of({ provider, identity }) {
      const idp = provider === undefined ? all[0] : byName.get(provider)
      return idp && isSameIssuer(idp.issuer, identity.issuer) ? idp : undefined
    },
  }
}
