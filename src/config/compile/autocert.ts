import { isIP } from 'node:net'
import { createCertificateTable, type HeldCertificates } from '../../routing/certificates.ts'
import { parseFrom } from '../../routing/host.ts'
import { Secret } from '../../lib/secret.ts'
import type { Report } from '../issues.ts'
import type { AcmeConfig, Outbound } from '../model.ts'
import type { GlobalInput } from '../schema.ts'
import type { Draft } from '../validate.ts'
import { compileAuthorities } from './secrets.ts'
import { ANY_SCHEME, parseUrl } from './urls.ts'

/** https://letsencrypt.org/docs/acme-protocol-updates/ and https://letsencrypt.org/docs/staging-environment/ */
const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory'
const STAGING = 'https://acme-staging-v02.api.letsencrypt.org/directory'

/** Where certificates are ordered; undefined: nowhere. */
export function compileAutocert(globals: GlobalInput, outbound: Outbound, report: Report): AcmeConfig | undefined {
  if (!globals.autocert) return undefined
  const {
    autocert_ca: written,
    autocert_use_staging: staging,
    autocert_email: email,
    autocert_trusted_ca: authority,
  } = globals
  if (written !== undefined && staging) {
    report.warning(['autocert_use_staging'], `not used: autocert_ca is written (${report.where(['autocert_ca'])})`)
  }
  const directoryUrl = parseUrl(written ?? (staging ? STAGING : LETS_ENCRYPT), ANY_SCHEME, ['autocert_ca'], report)
  if (directoryUrl?.protocol === 'http:') {
    report.error(['autocert_ca'], 'expected a URL that begins with https:// (RFC 8555 §6.1)')
  }
  if (email !== undefined && !/^[^\s@,?]+@[^\s@,?]+$/.test(email)) {
    report.error(['autocert_email'], `expected one e-mail address, found ${JSON.stringify(email)}`)
  }
  const ca = authority === undefined ? outbound.ca : compileAuthorities(authority, ['autocert_trusted_ca'], report)
  const externalAccount = compileExternalAccount(globals, report)
  return (
    directoryUrl && {
      directoryUrl,
      ...(email !== undefined && { email }),
      ...(externalAccount && { externalAccount }),
      outbound: { ...outbound, ...(ca !== undefined && { ca }) },
    }
  )
}

/** RFC 8555 §7.3.4. */
function compileExternalAccount(
  { autocert_eab_key_id: keyId, autocert_eab_mac_key: macKey }: GlobalInput,
  report: Report,
): AcmeConfig['externalAccount'] {
  if (keyId === undefined && macKey === undefined) return undefined
  if (keyId === undefined || macKey === undefined) {
    report.error(
      [keyId === undefined ? 'autocert_eab_mac_key' : 'autocert_eab_key_id'],
      'expected autocert_eab_key_id and autocert_eab_mac_key together',
    )
    return undefined
  }
  if (!/^[A-Za-z0-9_+/-]+=*$/.test(macKey)) report.error(['autocert_eab_mac_key'], 'expected base64url')
  return { keyId, macKey: new Secret(macKey) }
}

/** The https hosts that `certificate` does not cover, each once. HTTP-01 proves single names only (RFC 8555 §8.3). */
export function compileAcmeHosts(
  draft: Draft,
  authenticateUrl: URL | undefined,
  held: HeldCertificates,
  report: Report,
): readonly string[] {
  const table = createCertificateTable(held)
  const covered = (host: string): boolean => table.find(host.replaceAll('*', 'x')) !== undefined
  const hosts = new Set<string>()
  if (authenticateUrl?.protocol === 'https:' && !covered(authenticateUrl.hostname)) hosts.add(authenticateUrl.hostname)
  for (const { path, input } of draft.routes) {
    const from = parseFrom(input.from)
    if ('problem' in from || from.scheme !== 'https' || covered(from.host)) continue
    const { host, wildcard } = from
    if (wildcard || isIP(host) !== 0 || host.startsWith('[')) {
      report.warning(
        [...path, 'from'],
        `${host} gets no certificate: autocert proves single host names only; ${wildcard ? 'write each host as a route, or ' : ''}give a certificate for ${host} with certificate_file and certificate_key_file`,
      )
    } else hosts.add(host)
  }
  return [...hosts]
}
