import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { sha256 } from '../../lib/crypto.ts'
import { compileRegex } from '../../routing/regex.ts'
import type { Policy } from '../../policy/model.ts'
import type { Path, Report } from '../issues.ts'
import type { DownstreamMtls, SubjectAltNamePattern } from '../model.ts'
import type { GlobalInput } from '../schema.ts'
import { compileAuthorities, pemOf } from './secrets.ts'

const KEY = 'downstream_mtls'
/** Programs are called by who vouches for them and a name: so are those with a client certificate. */
export const CERTIFICATE = 'certificate'
export const OF_CERTIFICATES =
  'expected another name: accounts that begin with certificate/ are those of client certificates'

/** Whose client certificates count (`downstream_mtls`); undefined: nobody is asked for one. */
export function compileDownstreamMtls(
  { downstream_mtls: input }: GlobalInput,
  report: Report,
): DownstreamMtls | undefined {
  if (!input) return undefined
  const { enforcement, max_verify_depth: maxVerifyDepth } = input
  if (input.ca === undefined) {
    report.error([KEY], 'missing; expected ca (or ca_file): whose certificates count')
    return undefined
  }
  const ca = compileAuthorities(input.ca, [KEY, 'ca'], report)
  const crls = input.crl === undefined ? [] : (pemOf(input.crl)?.match(CRL) ?? [])
  if (input.crl !== undefined && crls.length === 0) report.error([KEY, 'crl'], 'expected PEM lists, or base64 of them')
  if (ca === undefined) return undefined
  const rootless = certificatesOf(ca).find((one, _, all) => !all.some((other) => one.checkIssued(other)))
  if (rootless) {
    report.error([KEY, 'ca'], `the authority of ${lineOf(rootless.subject)} is missing: the bundle must lead to a root`)
  }
  for (const crl of crls) {
    try {
      createSecureContext({ ca, crl })
    } catch {
      report.error([KEY, 'crl'], 'expected lists of revoked certificates (X509 CRL) that OpenSSL can read')
    }
  }
  const names = input.match_subject_alt_names.flatMap((written, i) =>
    KINDS.flatMap(([name, kind]): readonly SubjectAltNamePattern[] => {
      const pattern = written[name]
      if (pattern === undefined) return []
      const regex = compileRegex(pattern)
      if (!('problem' in regex)) return [{ kind, pattern, test: regex.test }]
      report.error([KEY, 'match_subject_alt_names', i, name], `expected an RE2 expression: ${regex.problem}`)
      return []
    }),
  )
  const checks = { ca, crls, enforcement, maxVerifyDepth, names: names.map(({ kind, pattern }) => [kind, pattern]) }
  return {
    ca,
    crls,
    enforcement,
    maxVerifyDepth,
    names,
    version: sha256(JSON.stringify(checks)).slice(0, 16),
  }
}

const CRL = /-----BEGIN X509 CRL-----.*?-----END X509 CRL-----/gs
const KINDS = [
  ['dns', 'dns'],
  ['email', 'email'],
  ['ip_address', 'ipAddress'],
  ['uri', 'uri'],
  ['user_principal_name', 'userPrincipalName'],
] as const

/** Rules about certificates that nobody is asked for. */
export function warnOfCertificateRules(
  policy: Policy | undefined,
  mtls: DownstreamMtls | undefined,
  path: Path,
  report: Report,
): void {
  if (mtls || policy?.kind !== 'rules') return
  const names = [...policy.allow, ...policy.deny].flatMap(({ criteria }) => criteria.map(({ name }) => name))
  const found = names.find((name) => name.endsWith('client_certificate'))
  if (found === undefined) return
  const message = 'nobody is asked for a certificate, so nobody has one; write `downstream_mtls: {ca: …}`'
  report.warning([...path, 'policy'], `${found}: ${message}`)
}

/** The certificates of a PEM bundle. */
function certificatesOf(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? []
  return blocks.map((block) => new X509Certificate(block))
}

function lineOf(subject: string): string {
  return subject.replaceAll('\n', ', ')
}
