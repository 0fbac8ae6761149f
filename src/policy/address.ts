import type { Identity } from '../types.ts'

/** Has somebody no address because the provider says that it is not verified (OIDC Core §5.1)? */
export function isAddressUnverified({ email, claims: { email_verified: verified } }: Identity): boolean {
  return email === undefined && verified !== undefined && verified !== true && verified !== 'true'
}
