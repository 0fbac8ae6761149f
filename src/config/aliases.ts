/** Names of Okta's own samples, and of curl → our environment names. */
export const environmentAliases: ReadonlyMap<string, string> = new Map([
  ['OKTA_ISSUER_URI', 'IDP_PROVIDER_URL'],
  ['OKTA_CLIENT_ID', 'IDP_CLIENT_ID'],
  ['OKTA_CLIENT_SECRET', 'IDP_CLIENT_SECRET'],
  ['OKTA_CLIENT_SECRET_FILE', 'IDP_CLIENT_SECRET_FILE'],
  ['OKTA_API_TOKEN', 'DIRECTORY_OKTA_API_TOKEN'],
  ['https_proxy', 'HTTPS_PROXY'],
  ['no_proxy', 'NO_PROXY'],
  ['OKTA_API_TOKEN_FILE', 'DIRECTORY_OKTA_API_TOKEN_FILE'],
])

/**
 * Okta's API token from any of the forms of `idp_service_account` that Pomerium's guides printed: base64 of
 * `{"api_key": "…"}` (as `base64` breaks the lines), that JSON, base64 of the token, or the token itself.
 */
export function parseServiceAccount(
  value: string | { readonly api_key: string },
): { readonly token: string } | { readonly problem: string } {
  if (typeof value !== 'string') return tokenOf(value.api_key)
  const text = value.trim()
  if (text.startsWith('{')) return fromJson(text)
  const compact = text.replace(/\s+/g, '')
  const decoded = decodeBase64(compact)?.trim()
  if (decoded?.startsWith('{')) return fromJson(decoded)
  // Okta's tokens are 42 characters, `00…`: never base64 of something printable by accident.
  if (decoded !== undefined && /^[\x21-\x7e]{16,}$/.test(decoded) && !compact.startsWith('00')) return tokenOf(decoded)
  return tokenOf(compact)
}

function fromJson(text: string): ReturnType<typeof parseServiceAccount> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's message quotes the text, which is a secret.
    return { problem: 'begins like JSON and is not; expected {"api_key": "…"}' }
  }
  if (typeof value === 'object' && value !== null && 'api_key' in value && typeof value.api_key === 'string') {
    return tokenOf(value.api_key)
  }
  return { problem: 'has no "api_key"; expected {"api_key": "…"}' }
}

function tokenOf(text: string): ReturnType<typeof parseServiceAccount> {
  const token = text.trim()
  if (token === '') return { problem: 'the api_key is empty; create a token in Okta under Security, API, Tokens' }
  if (!/^[\x21-\x7e]+$/.test(token) || /["'#]/.test(token))
    return { problem: 'the api_key has characters that no Okta token has' }
  return { token }
}

/** undefined: not base64 of UTF-8 text. */
export function decodeBase64(text: string): string | undefined {
  const standard = text.replace(/\s+/g, '').replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '')
  const bytes = Buffer.from(standard, 'base64')
  if (bytes.length === 0 || bytes.toString('base64').replace(/=+$/, '') !== standard) return undefined
  const decoded = bytes.toString('utf8')
  return decoded.includes('\ufffd') ? undefined : decoded
}
