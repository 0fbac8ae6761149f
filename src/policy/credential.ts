import type { Principal } from './model.ts'

/** Names the credential that somebody shows, for caches and for what must end with it. Ids of the kinds differ in form. */
export function credentialOf(who: Principal): string {
  return who.kind === 'session' ? who.sessionId : who.tokenId
}
