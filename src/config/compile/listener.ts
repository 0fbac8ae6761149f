/** The listener's address and certificates, and the listeners beside it. */
import type { Report } from '../issues.ts'
import type { Address, ListenConfig } from '../model.ts'
import type { Certificate, Route } from '../route-model.ts'
import type { GlobalInput } from '../schema.ts'
import type { Draft } from '../validate.ts'
import { compileCertificate, compileCertificates } from './secrets.ts'
import { parseAddress } from './urls.ts'

/** Where it listens, and with which certificates; undefined: that was reported. */
export function compileListener(
  draft: Draft,
  authenticateUrl: URL | undefined,
  routes: readonly Route[],
  autocert: boolean,
  report: Report,
):
  | {
      readonly listen: ListenConfig
      readonly certificate: Certificate | undefined
      readonly certificates: readonly Certificate[]
    }
  | undefined {
  const { globals, broken } = draft
  const { certificate, certificate_key: key, insecure_server: insecure } = globals
  const certificates = compileCertificates(globals.certificates, report)
  const wantsTls =
    !insecure && (authenticateUrl?.protocol === 'https:' || routes.some(({ from }) => from.scheme === 'https'))
  let used: Certificate | undefined
  if (certificate !== undefined && key !== undefined) {
    const pair = compileCertificate(
      { text: certificate, path: ['certificate'] },
      { text: key, path: ['certificate_key'] },
      report,
    )
    if (wantsTls) used = pair
    else
      report.warning(
        ['certificate'],
        `not used: ${insecure ? 'insecure_server is true' : 'every external URL is http'}`,
      )
  } else if (
    broken.has('certificate') ||
    broken.has('certificates') ||
    broken.has('certificate_key') ||
    broken.has('insecure_server')
  ) {
    return undefined
  } else if (certificate !== undefined || key !== undefined) {
    report.error(
      [certificate === undefined ? 'certificate_key' : 'certificate'],
      'expected certificate and certificate_key (or their _file forms) together',
    )
  } else if (wantsTls && !autocert && globals.certificates.length === 0) {
    report.error(
      ['certificate_file'],
      'missing; https needs certificate_file and certificate_key_file, `autocert: true`, or `insecure_server: true` behind a hop that ends TLS',
    )
  }
  if (certificates.length > 0 && !wantsTls) {
    report.warning(['certificates'], `not used: ${insecure ? 'insecure_server is true' : 'every external URL is http'}`)
  }
  if (autocert && !wantsTls) {
    report.warning(['autocert'], `not used: ${insecure ? 'insecure_server is true' : 'every external URL is http'}`)
  }
  const address = parseAddress(globals.address ?? (wantsTls ? ':8443' : ':8080'), ['address'], report)
  return (
    address && { listen: { ...address, tls: wantsTls }, certificate: used, certificates: wantsTls ? certificates : [] }
  )
}

/** The authority asks there (RFC 8555 §8.3). */
export function openPlainHttp(report: Report): Address {
  report.warning(['http_redirect_addr'], 'not written: port 80 is opened, because autocert is asked for proof there')
  return { host: '', port: 80 }
}

/** One of the addresses beside the listener; undefined: none is written. */
export function sideAddress(
  globals: GlobalInput,
  key: 'http_redirect_addr' | 'health_check_addr' | 'metrics_address',
  report: Report,
): Address | undefined {
  const written = globals[key]
  return written === undefined ? undefined : parseAddress(written, [key], report)
}
