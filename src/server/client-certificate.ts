/** Client certificates (`downstream_mtls`): OpenSSL has checked the chain; what it does not check is checked here. */
import { createHash, X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { DownstreamMtls } from '../config/model.ts'
import type { ClientCertificate, SubjectAltNames } from '../http/request.ts'
import { wallTime } from '../lib/time.ts'

/** No chain that people make is longer. */
const LONGEST_CHAIN = 32

export interface ClientCertificates {
  /** What was shown in a handshake that is over; undefined: nothing. */
  read(socket: TLSSocket): ClientCertificate | undefined
}

export function createClientCertificates(auth: DownstreamMtls): ClientCertificates {
  const authorities = pemBlocks(auth.ca).map((pem) => new X509Certificate(pem))

  /** Signatures from the certificate to one of the authorities; undefined: they do not lead there. */
  function depthOf(leaf: X509Certificate): { readonly depth: number; readonly notAfter: number } | undefined {
    let notAfter = Date.parse(leaf.validTo)
    let current: X509Certificate | undefined = leaf
    for (let depth = 1; current && depth <= LONGEST_CHAIN; depth++) {
      const below: X509Certificate = current
      const anchor = authorities.find((each) => hasSigned(each, below))
      if (anchor) return { depth, notAfter: Math.min(notAfter, Date.parse(anchor.validTo)) }
      current = below.issuerCertificate
      if (!current || !hasSigned(current, below)) return undefined
      notAfter = Math.min(notAfter, Date.parse(current.validTo))
    }
    return undefined
  }

  function faultOf(socket: TLSSocket, depth: number | undefined, names: SubjectAltNames): string | undefined {
    // Node sets it from OpenSSL's verdict; its type says that it is an Error.
    const problem: unknown = socket.authorizationError
    if (!socket.authorized) return String(problem instanceof Error ? problem.message : problem)
    if (depth === undefined) return 'its chain does not lead to downstream_mtls.ca'
    if (auth.maxVerifyDepth > 0 && depth > auth.maxVerifyDepth)
      return `its chain is longer than max_verify_depth (${auth.maxVerifyDepth})`
    const fits = auth.names.length === 0 || auth.names.some(({ kind, test }) => names[kind].some((name) => test(name)))
    return fits ? undefined : 'it has none of match_subject_alt_names'
  }

  return {
    read(socket) {
      const leaf = socket.getPeerX509Certificate()
      if (!leaf) return undefined
      const described = describeCertificate(leaf)
      const { names } = described
      const chain = socket.authorized ? depthOf(leaf) : undefined
      const fault = faultOf(socket, chain?.depth, names)
      return Object.freeze({
        ...described,
        notAfter: wallTime(chain?.notAfter ?? 0),
        fault,
        checkedBy: auth.version,
      })
    },
  }
}

/** What rules see of a certificate, whoever has signed it. */
export function describeCertificate(
  leaf: X509Certificate,
): Pick<ClientCertificate, 'fingerprint' | 'spkiHash' | 'names'> {
  return {
    fingerprint: digest(leaf.raw, 'hex'),
    spkiHash: digest(leaf.publicKey.export({ type: 'spki', format: 'der' }), 'base64'),
    names: subjectAltNames(leaf.subjectAltName ?? ''),
  }
}

function hasSigned(authority: X509Certificate, certificate: X509Certificate): boolean {
  return authority.ca && certificate.checkIssued(authority) && certificate.verify(authority.publicKey)
}

function digest(bytes: Buffer, encoding: 'hex' | 'base64'): string {
  return createHash('sha256').update(bytes).digest(encoding)
}

function pemBlocks(bundle: string): readonly string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? []
}

const KINDS: ReadonlyMap<string, keyof SubjectAltNames> = new Map([
  ['DNS', 'dns'],
  ['email', 'email'],
  ['IP Address', 'ipAddress'],
  ['URI', 'uri'],
  ['othername:UPN', 'userPrincipalName'],
])

/**
 * Node's text of the extension: `KIND:value` with commas between, values in JSON where they hold what could be taken for
 * more (https://nodejs.org/docs/latest-v20.x/api/crypto.html#x509subjectaltname). What does not read so is no name.
 */
export function subjectAltNames(text: string): SubjectAltNames {
  const names = { dns: [], email: [], ipAddress: [], uri: [], userPrincipalName: [] } satisfies Record<
    keyof SubjectAltNames,
    string[]
  >
  const found: Readonly<Record<keyof SubjectAltNames, string[]>> = names
  for (const [, kind = '', value = ''] of text.matchAll(
    /(?:^|, )((?:othername:)?[^:,"]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?=, |$)/g,
  )) {
    const known = KINDS.get(kind)
    if (known) found[known].push(value.startsWith('"') ? String(JSON.parse(value)) : value)
  }
  return Object.freeze(found)
}
