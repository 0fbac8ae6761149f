/**
 * Stands for `offline_access` inside oidc-provider, which grants that scope only with `prompt=consent`
 * (OIDC Core §11); Okta asks for the scope and the app's Refresh Token grant alone.
 */
export const OFFLINE = 'offline'

/** Okta's scope list as oidc-provider gets it. */
export function inward(scope: string): string {
  return rename(scope, 'offline_access', OFFLINE)
}

/** The inverse of `inward`. */
export function outward(scope: string): string {
  return rename(scope, OFFLINE, 'offline_access')
}

function rename(scope: string, from: string, to: string): string {
  return scope
    .split(' ')
    .map((name) => (name === from ? to : name))
    .join(' ')
}
