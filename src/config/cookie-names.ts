import type { CookieNames, Live } from './model.ts'

/**
 * On https always with `__Host-` (no Domain, Secure, Path=/; RFC 6265bis §4.1.3.2), also under a configured name: any host
 * of the domain could plant a plain one for all the others. Browsers refuse that prefix on http.
 */
export function cookieNames(
  { naming, cookieName }: Pick<Live, 'naming' | 'cookieName'>,
  scheme: 'http' | 'https',
): CookieNames {
  const plain = (cookieName ?? naming.cookie.http).replace(/^__(?:host|secure)-/i, '')
  const session = scheme === 'https' ? `__Host-${plain}` : plain
  return { session, provided: `${session}-of.`, nonce: `${session}-nonce.`, pending: `${session}-sign-in.` }
}

/** Every cookie of ours, whatever the scheme; a name that ends in `.` is a prefix. None of them reaches an upstream. */
export function ownCookieNames(live: Pick<Live, 'naming' | 'cookieName'>): readonly string[] {
  return [
    ...new Set((['https', 'http'] as const).flatMap((scheme) => Object.values(cookieNames(live, scheme)) as string[])),
  ]
}
