import type { Config } from '../types.ts'

export interface CookieNames {
  readonly session: string
  /** Binds a sign-in to the browser that began it, on an application's host. */
  readonly nonce: string
  /** Sign-ins waiting for their callback, on the authenticate host. */
  readonly pending: string
}

/** `__Host-` (no Domain, Secure, Path=/; RFC 6265bis §4.1.3.2) on https; browsers refuse that prefix on http. */
export function cookieNames(
  { naming, cookie }: Pick<Config, 'naming' | 'cookie'>,
  scheme: 'http' | 'https',
): CookieNames {
  const session = cookie.name ?? naming.cookie[scheme]
  return { session, nonce: `${session}-nonce`, pending: `${session}-sign-in` }
}

/** Every cookie of ours, whatever the scheme: none of them reaches an upstream. */
export function ownCookieNames(config: Pick<Config, 'naming' | 'cookie'>): readonly string[] {
  return [
    ...new Set(
      (['https', 'http'] as const).flatMap((scheme) => Object.values(cookieNames(config, scheme)) as string[]),
    ),
  ]
}
