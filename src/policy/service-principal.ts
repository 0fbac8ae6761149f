import { personKey } from '../lib/person.ts'
import { SERVICE_ISSUER } from '../lib/service-token.ts'
import type { ServiceToken } from '../tokens/model.ts'
import { programMembership } from './membership.ts'
import type { ServicePrincipal } from './model.ts'

/** Whoever has this token. The subject has a prefix: to an application no program shall look like a person of that name. */
export function servicePrincipal({
  id,
  account,
  expiresAt,
  groups,
}: Pick<ServiceToken, 'id' | 'account' | 'expiresAt' | 'groups'>): ServicePrincipal {
  const identity = { issuer: SERVICE_ISSUER, subject: `service:${account}`, name: account, claims: {} }
  return {
    kind: 'service',
    account,
    tokenId: id,
    person: personKey(identity),
    identity,
    expiresAt,
    membership: programMembership(groups, 'service token'),
    status: 'active',
    consumed: true,
  }
}
