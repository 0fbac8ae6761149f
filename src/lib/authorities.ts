/** Certificate authorities that count beside those of the system. */
import * as tls from 'node:tls'

/** What we show a server that asks for a certificate, in PEM. */
export interface ClientCertificate {
  readonly cert: string
  readonly key: string
}

/** By bundle: a configuration has a few. */
const contexts = new Map<string, tls.SecureContext>()

/**
 * A TLS context that trusts the system's authorities and `more` (a PEM bundle). Kept, because to read all the system's costs
 * tens of milliseconds, and a connection that is given `ca` reads them each time.
 */
export function contextTrusting(more: string, client?: ClientCertificate): tls.SecureContext {
  const known = client ? undefined : contexts.get(more)
  if (known) return known
  const context = tls.createSecureContext({ ca: [...systemAuthorities(), more], ...client })
  if (!client) contexts.set(more, context)
  return context
}

/** With those of NODE_EXTRA_CA_CERTS where Node tells them (22.15 and later). */
export function systemAuthorities(): readonly string[] {
  const { getCACertificates } = tls as { readonly getCACertificates?: (kind: 'default') => readonly string[] }
  return getCACertificates?.('default') ?? tls.rootCertificates
}
