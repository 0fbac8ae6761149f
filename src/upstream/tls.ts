/** TLS to upstreams: what a connection is made with, and what is wrong with a certificate in words. */
import { isIP } from 'node:net'
import type { PeerCertificate, SecureContext } from 'node:tls'
import type { UpstreamTls } from '../config/route-model.ts'
import { contextTrusting } from '../lib/authorities.ts'

/** Options of `tls.connect`, without a server name: that is for each upstream. */
export interface TlsOptions {
  readonly rejectUnauthorized: boolean
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** Instead of these three. */
  readonly secureContext?: SecureContext
}

/** `authorities`: PEM bundle that counts beside the system's, unless the route has its own (`certificate_authority`). */
export function tlsOptions({ skipVerify, ca, client }: UpstreamTls, authorities?: string): TlsOptions {
  if (ca === undefined && authorities !== undefined) {
    const shown = client && { cert: client.chain, key: client.key.reveal() }
    return { rejectUnauthorized: !skipVerify, secureContext: contextTrusting(authorities, shown) }
  }
  return {
    rejectUnauthorized: !skipVerify,
    ...(ca !== undefined && { ca }),
    ...(client && { cert: client.chain, key: client.key.reveal() }),
  }
}

/** The name that a certificate must carry; `''` for addresses, which are verified as such and never sent as SNI (RFC 6066 §3). */
export function tlsName({ serverName }: UpstreamTls, hostname: string): string {
  if (serverName !== undefined) return serverName
  return isIP(hostname.replaceAll(/^\[|\]$/g, '')) === 0 ? hostname : ''
}

/** Codes of OpenSSL and Node → which check failed, and the key that mends it. */
const PROBLEMS: ReadonlyMap<string, string> = new Map([
  ['CERT_HAS_EXPIRED', 'its certificate, or one of its chain, has expired'],
  ['CERT_NOT_YET_VALID', 'its certificate is not valid yet; is the clock of this machine right?'],
  ['CERT_REVOKED', 'its certificate is revoked'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate is self-signed; trust it with tls_custom_ca'],
  [
    'SELF_SIGNED_CERT_IN_CHAIN',
    'its certificate is from an unknown authority; trust that authority with tls_custom_ca',
  ],
  [
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'its certificate is from an unknown authority; trust that authority with tls_custom_ca',
  ],
  ['UNABLE_TO_GET_ISSUER_CERT', 'the certificate of its authority is missing; add it to tls_custom_ca'],
  [
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'its certificate is from an unknown authority, or it sends no intermediate certificates; trust that authority with tls_custom_ca',
  ],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'it does not speak TLS on this port; write http:// in `to`?'],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', 'it does not speak TLS on this port; write http:// in `to`?'],
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'it offers no TLS version that is safe to use'],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'it offers no TLS version that is safe to use'],
  [
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'it asks for a client certificate; set tls_client_cert and tls_client_key',
  ],
  ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', 'it refuses our client certificate (tls_client_cert)'],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'it does not trust the authority of our client certificate (tls_client_cert)'],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN', 'it refuses our client certificate (tls_client_cert)'],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', 'our client certificate (tls_client_cert) has expired'],
  [
    'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
    'it refuses the handshake: it may ask for a client certificate (tls_client_cert), or know no such name (tls_server_name)',
  ],
  ['ERR_SSL_TLSV1_UNRECOGNIZED_NAME', 'it knows no such name; set tls_server_name'],
])

/** Names of a certificate that are shown: more would fill the log. */
const SHOWN_NAMES = 10

/**
 * Which check of TLS failed and for which name; undefined: the error is of another kind.
 * @param name what the certificate must carry, see `tlsName`.
 */
export function tlsProblem(error: unknown, name: string): string | undefined {
  const { code, cert } = error as { readonly code?: unknown; readonly cert?: PeerCertificate }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' && cert) {
    return `its certificate is for ${namesOf(cert)}, and not for ${name}; set tls_server_name to a name of the certificate`
  }
  const problem = typeof code === 'string' ? PROBLEMS.get(code) : undefined
  return problem === undefined ? undefined : `${problem} (${name}, ${String(code)})`
}

/** As the certificate lists them, or its subject, for people. */
function namesOf({ subjectaltname, subject }: PeerCertificate): string {
  const names = subjectaltname?.split(', ').map((name) => name.replace(/^(?:DNS|IP Address):/, '')) ?? []
  if (names.length === 0) return `no name at all, subject ${String(subject?.CN ?? 'empty')}`
  const more = names.length - SHOWN_NAMES
  return names.slice(0, SHOWN_NAMES).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
