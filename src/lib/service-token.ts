/** The form of the tokens that `postern tokens` makes: a fixed prefix, that scanners of secrets know, and 192 random bits. */
import { randomBytes } from 'node:crypto'
import { basicCredentials } from './basic.ts'
import { bearerToken } from './bearer.ts'

const PREFIX = 'pst_'
const FORM = /^pst_[\w-]{32}$/

/** Issuer of everybody who has such a token. */
export const SERVICE_ISSUER = 'urn:postern:service-accounts'

export function newServiceToken(): string {
  return PREFIX + randomBytes(24).toString('base64url')
}

/** Could it be one? Of anything else there is no record. */
export function isServiceToken(text: string): boolean {
  return FORM.test(text)
}

/**
 * What claims to be one: a bearer token, or the password of a user of any name (git and pip know no other place).
 * undefined: whatever the header holds is the application's own.
 */
export function serviceTokenIn(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined
  const text = bearerToken(authorization) ?? basicCredentials(authorization)?.password
  return text?.startsWith(PREFIX) ? text : undefined
}
