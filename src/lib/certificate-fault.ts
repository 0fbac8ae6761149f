/** What Node and OpenSSL say when a certificate is not believed: expired, of nobody who is trusted, for another name. */
const FAULTS =
  /^(?:ERR_TLS_CERT_ALTNAME_INVALID|CERT_\w+|CRL_\w+|UNABLE_TO_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED)$/

/** The code of a certificate that is not believed, also as a cause; undefined: the error is of another kind. */
export function certificateFault(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { readonly code?: unknown }
    if (typeof code === 'string' && FAULTS.test(code)) return code
  }
  return undefined
}
