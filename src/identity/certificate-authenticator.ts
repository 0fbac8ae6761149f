import type { DownstreamMtls } from '../config/model.ts'
import type { Authenticator } from '../http/exchange.ts'
import type { ClientCertificate } from '../http/request.ts'
import { personKey } from '../lib/person.ts'
import { standingOf } from '../policy/client-certificate.ts'
import { programMembership } from '../policy/membership.ts'
import type { CertificatePrincipal } from '../policy/model.ts'

/** Issuer of everybody who is known by a client certificate. */
const ISSUER = 'urn:postern:client-certificates'
/** Neither blanks nor control characters: names go into headers and logs. */
const NAME = /^[!-~]{1,256}$/

/**
 * Programs that show a client certificate, where the route says which of its names is theirs (`certificate_accounts`). A
 * certificate goes with everything that a browser sends, whatever page asked for it: for browsers it is no identity. Nor
 * is that of a trusted hop, which speaks for others.
 */
export function createCertificateAuthenticator(mtls: DownstreamMtls | undefined): Authenticator {
  /** One principal for each certificate and name, because what is told of it is remembered by its identity. */
  const principals = new WeakMap<ClientCertificate, Map<string, CertificatePrincipal>>()

  function principalOf(certificate: ClientCertificate, name: string): CertificatePrincipal {
    let known = principals.get(certificate)
    if (!known) principals.set(certificate, (known = new Map()))
    let principal = known.get(name)
    if (!principal) known.set(name, (principal = certificatePrincipal(certificate, name)))
    return principal
  }

  return {
    identify({ clientCertificate: shown, browser, hop }, { certificateAccounts: kind }, now) {
      if (kind === undefined || !shown || browser || hop || shown.checkedBy !== mtls?.version) return undefined
      if (standingOf(shown, now) !== 'valid') return undefined
      const [name, ...others] = shown.names[kind]
      // Of several nobody knows which is meant.
      if (name === undefined || others.length > 0 || !NAME.test(name)) return undefined
      return principalOf(shown, kind === 'dns' ? name.toLowerCase() : name)
    },
  }
}

function certificatePrincipal({ fingerprint, notAfter }: ClientCertificate, name: string): CertificatePrincipal {
  const identity = { issuer: ISSUER, subject: `certificate:${name}`, name, claims: {} }
  return {
    kind: 'certificate',
    account: `certificate/${name}`,
    tokenId: fingerprint,
    person: personKey(identity),
    identity,
    expiresAt: notAfter,
    membership: programMembership([], 'client certificate'),
    status: 'active',
  }
}
