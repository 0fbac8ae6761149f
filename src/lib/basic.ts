/** User and password in an `Authorization` header (RFC 7617 §2). */
const BASIC = /^basic[ \t]+(\S+)[ \t]*$/i

/** undefined: another scheme, or not readable. */
export function basicCredentials(
  authorization: string,
): { readonly user: string; readonly password: string } | undefined {
  const [, encoded] = BASIC.exec(authorization) ?? []
  if (encoded === undefined) return undefined
  const pair = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return colon === -1 ? undefined : { user: pair.slice(0, colon), password: pair.slice(colon + 1) }
}
