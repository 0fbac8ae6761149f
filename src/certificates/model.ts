/** What others know of certificates. Types only. */
import type { WallTime } from '../types.ts'

/** Of a host that needs a certificate by ACME; without `notAfter` it has none yet. */
export interface CertificateState {
  readonly host: string
  readonly notAfter?: WallTime
  /** Of the last order, when it failed. */
  readonly problem?: string
}
