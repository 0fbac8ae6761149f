import type { ClientCertificate } from '../http/request.ts'
import type { WallTime } from '../types.ts'

/** What is to be thought of the certificate of a client at this moment. */
export type CertificateStanding = 'valid' | 'none' | 'invalid'

export function standingOf(certificate: ClientCertificate | undefined, now: WallTime): CertificateStanding {
  if (!certificate) return 'none'
  return certificate.fault === undefined && now < certificate.notAfter ? 'valid' : 'invalid'
}
