import type { Secret } from '../lib/secret.ts'
import type { Principal } from '../policy/model.ts'
import type { JsonObject } from '../types.ts'
import { claimHeaderValue } from './claim-value.ts'

/** Users and groups of the cluster itself, `system:masters` among them (kubernetes.io, Authentication): of no person. */
const OF_THE_CLUSTER = 'system:'

/**
 * A service account acts as this person (kubernetes.io, User impersonation): name, value, name, value. Without a name
 * that can be impersonated there is no token either, because the request would have the rights of the account.
 */
export function kubernetesHeaders({ identity }: Principal, { groups }: JsonObject, token: Secret): readonly string[] {
  const user = nameOf(identity.email ?? identity.subject)
  if (user === undefined) return []
  const headers = ['authorization', `Bearer ${token.reveal()}`, 'impersonate-user', user]
  for (const group of Array.isArray(groups) ? groups : []) {
    const name = typeof group === 'string' ? nameOf(group) : undefined
    if (name !== undefined) headers.push('impersonate-group', name)
  }
  return headers
}

function nameOf(text: string): string | undefined {
  const value = text.toLowerCase().startsWith(OF_THE_CLUSTER) ? undefined : claimHeaderValue(text)
  return value === 'too-large' ? undefined : value?.text
}
