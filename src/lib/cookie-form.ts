/**
 * What the values of our cookies look like, whatever the cookies are called: an old `cookie_name` stays in browsers, and
 * its cookies go to no application. The forms are our own, so that no application's cookie is taken for one of them.
 */

/** `v1.`, 22 characters of id, `.`, 43 characters of HMAC-SHA256. */
export const SESSION_VERSION = 'v1.'
/** Begins the nonce that binds a sign-in to a browser; 22 random characters follow. */
export const NONCE_VERSION = 'v1.nonce.'
/** Header of the JWE (RFC 7516) that a sign-in waits in. `typ` tells it from an application's own: `dir` and A256GCM are common. */
const PENDING_HEADER = { alg: 'dir', enc: 'A256GCM', typ: 'postern-sign-in' } as const
/** `dir` has no encrypted key, hence the two dots (RFC 7516 §7.1). */
export const PENDING_START = `${Buffer.from(JSON.stringify(PENDING_HEADER)).toString('base64url')}..`

const FORM = new RegExp(
  `^"?(?:v1\\.[\\w-]{22}\\.[\\w-]{43}|v1\\.nonce\\.[\\w-]{22}|${PENDING_START.replaceAll('.', '\\.')}[\\w.-]+)"?$`,
)

/** Can anything in this `Cookie` header have one of our forms? Cheap, for the many that have none. */
export function mayHaveOurForm(header: string): boolean {
  return header.includes(SESSION_VERSION) || header.includes(PENDING_START)
}

/** A cookie's value, without blanks around it. Quoted ones, too: some servers read what is inside. */
export function hasOurForm(value: string): boolean {
  return FORM.test(value)
}
