import type { Live } from './model.ts'

export interface CookieNames {
  readonly session: string
  /** Prefix: one cookie for each sign-in that this browser has begun, on an application's host. */
  readonly nonce: string
  /** Prefix: one cookie for each sign-in that waits for its callback, on the authenticate host. */
  readonly pending: string
}

/** `__Host-` (no Domain, Secure, Path=/; RFC 6265bis §4.1.3.2) on https; browsers refuse that prefix on http. */
export function cookieNames(
  { naming, cookieName }: Pick<Live, 'naming' | 'cookieName'>,
  scheme: 'http' | 'https',
): CookieNames {
  const session = cookieName ?? naming.cookie[scheme]
  return { session, nonce: `${session}-nonce.`, pending: `${session}-sign-in.` }
}

/** Every cookie of ours, whatever the scheme; a name that ends in `.` is a prefix. None of them reaches an upstream. */
export function ownCookieNames(live: Pick<Live, 'naming' | 'cookieName'>): readonly string[] {
  return [
    ...new Set((['https', 'http'] as const).flatMap((scheme) => Object.values(cookieNames(live, scheme)) as string[])),
  ]
}
