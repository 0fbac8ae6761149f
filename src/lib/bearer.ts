/** Bearer tokens in an `Authorization` header (RFC 6750 §2.1). */
import { basicCredentials } from './basic.ts'
import { PROGRAM_TOKEN_PREFIX } from './program-token.ts'

/** With tabs, too: applications read them so, and what we did not know for a token of ours would be passed on to one. */
const BEARER = /^bearer[ \t]+([\w.~+/-]+=*)[ \t]*$/i

/** The token; undefined: another scheme, or nothing that can be one. */
export function bearerToken(authorization: string): string | undefined {
  return BEARER.exec(authorization)?.[1]
}

/** Credentials meant for Postern itself, by their form: none of them reaches an application, good or bad. */
const OURS = /^\s*(?:(?:pomerium|postern)\s|bearer\s+psl_)/i

export function isOurAuthorization(value: string): boolean {
  return OURS.test(value) || basicCredentials(value)?.password.startsWith(PROGRAM_TOKEN_PREFIX) === true
}
