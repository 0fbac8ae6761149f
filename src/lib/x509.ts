/** What is wrong with certificates, in words: for whoever checks a configuration before clients do. */
import { X509Certificate } from 'node:crypto'
import { describeDuration } from './duration.ts'
import { elapsed, isoTime, wallTime } from './time.ts'
import type { Span, WallTime } from '../types.ts'

export interface CertificateProblem {
  readonly status: 'fail' | 'warn' | 'note'
  readonly message: string
  readonly remedy: string
}

/** Long enough to renew one by hand. */
const SOON: Span = 14 * 86_400_000
/** What browsers take (CA/Browser Forum, Baseline Requirements §6.1.5). */
const MIN_RSA_BITS = 2048
const CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1'])

/** The certificates of a PEM bundle, all of them readable. */
export function certificatesIn(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? []
  return blocks.map((block) => new X509Certificate(block))
}

/** `app.corp.example, *.corp.example` or `Corp Root CA`. */
export function nameOf({ subjectAltName, subject }: X509Certificate): string {
  const names = subjectAltName?.split(', ').map((name) => name.replace(/^(?:DNS|IP Address|URI):/, ''))
  return names?.join(', ') ?? /^CN=(.*)$/m.exec(subject)?.[1] ?? subject.replaceAll('\n', ', ')
}

export function endOf(certificate: X509Certificate): WallTime {
  return wallTime(Date.parse(certificate.validTo))
}

/** Is it in force, and for how long? */
export function judgeDates(certificate: X509Certificate, now: WallTime): CertificateProblem | undefined {
  const from = wallTime(Date.parse(certificate.validFrom))
  const remedy = "see that this machine's clock is right"
  if (now < from) return { status: 'fail', message: `is not valid before ${isoTime(from)}`, remedy }
  return judgeEnd(endOf(certificate), now)
}

/** Of a certificate, or of a list of revoked ones. */
export function judgeEnd(end: WallTime, now: WallTime): CertificateProblem | undefined {
  const left = elapsed(end, now)
  if (left < 0) return { status: 'fail', message: `expired ${describeDuration(-left)} ago`, remedy: 'renew it' }
  return left < SOON
    ? { status: 'warn', message: `expires in ${describeDuration(left)}`, remedy: 'renew it' }
    : undefined
}

/**
 * A chain as a server shows it: its own certificate, then each issuer. `authorities`: those that clients may have, in PEM.
 */
export function judgeChain(
  chain: readonly X509Certificate[],
  now: WallTime,
  authorities: readonly string[],
): readonly CertificateProblem[] {
  const [leaf] = chain
  if (!leaf) return []
  return [...judgeKey(leaf), ...chain.flatMap((each) => judgeDates(each, now) ?? []), ...judgeOrder(chain, authorities)]
}

function judgeKey({ publicKey }: X509Certificate): readonly CertificateProblem[] {
  const { modulusLength = MIN_RSA_BITS, namedCurve = '' } = publicKey.asymmetricKeyDetails ?? {}
  const remedy = 'browsers take RSA keys of 2048 bits and more, and the curves P-256, P-384 and P-521'
  switch (publicKey.asymmetricKeyType) {
    case 'rsa':
      return modulusLength < MIN_RSA_BITS
        ? [{ status: 'fail', message: `has an RSA key of ${modulusLength} bits`, remedy }]
        : []
    case 'ec':
      return CURVES.has(namedCurve)
        ? []
        : [{ status: 'warn', message: `has a key of the curve ${namedCurve}, which browsers do not take`, remedy }]
    default:
      return [
        {
          status: 'warn',
          message: `has a key of type ${publicKey.asymmetricKeyType}, which browsers do not take`,
          remedy,
        },
      ]
  }
}

/** RFC 8446 §4.4.2: each certifies the one before it. What is left out must be a root that clients have. */
function judgeOrder(chain: readonly X509Certificate[], authorities: readonly string[]): readonly CertificateProblem[] {
  const stranger = chain.find((each, i) => i > 0 && !hasIssued(each, chain[i - 1] as X509Certificate))
  if (stranger) {
    const message = `its chain is out of order: ${nameOf(stranger)} has not issued the certificate before it`
    return [{ status: 'warn', message, remedy: 'put its own certificate first, then each issuer' }]
  }
  const top = chain.at(-1) as X509Certificate
  if (hasIssued(top, top)) {
    const message = 'is signed by itself'
    return chain.length > 1 ? [] : [{ status: 'warn', message, remedy: 'every client must be told to trust it' }]
  }
  if (authorities.some((pem) => hasIssued(new X509Certificate(pem), top))) return []
  const issuer = /^CN=(.*)$/m.exec(top.issuer)?.[1] ?? top.issuer.replaceAll('\n', ', ')
  // Only public authorities say where their own certificate is to be had.
  return top.infoAccess?.includes('CA Issuers')
    ? [
        {
          status: 'warn',
          message: `its chain is incomplete: the certificate of ${issuer} is missing`,
          remedy: 'append it to the file (fullchain.pem)',
        },
      ]
    : [{ status: 'note', message: `was issued by ${issuer}`, remedy: 'see that clients trust it' }]
}

function hasIssued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

/**
 * When a list of revoked certificates (PEM) is over: `nextUpdate` (RFC 5280 §5.1.2.5). undefined: never, or it cannot be read.
 * Node reads no such lists.
 */
export function crlEnd(pem: string): WallTime | undefined {
  const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
  const list = contentOf(der, 0)
  const signed = list && contentOf(list, 0)
  // Skipped: the version, when there is one, the algorithm, the issuer.
  let at = signed?.[0] === INTEGER ? elementEnd(signed, 0) : 0
  if (!signed) return undefined
  for (let i = 0; i < 3; i++) at = elementEnd(signed, at)
  const tag = signed[at]
  const text = tag === UTC_TIME || tag === GENERALIZED_TIME ? contentOf(signed, at)?.toString('latin1') : undefined
  const [, century = '', rest = ''] = /^(\d\d)?(\d{12})Z$/.exec(text ?? '') ?? []
  if (rest === '') return undefined
  // RFC 5280 §4.1.2.5.1.
  const year = (century || (Number(rest.slice(0, 2)) < 50 ? '20' : '19')) + rest.slice(0, 2)
  const [month, day, hour, minute, second] = [2, 4, 6, 8, 10].map((from) => rest.slice(from, from + 2))
  return wallTime(Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`))
}

const INTEGER = 0x02
const UTC_TIME = 0x17
const GENERALIZED_TIME = 0x18

/** DER (X.690 §8.1): what is in the element at `at`. */
function contentOf(der: Buffer, at: number): Buffer | undefined {
  const header = headerOf(der, at)
  return header && der.subarray(header.from, header.to)
}

function elementEnd(der: Buffer, at: number): number {
  return headerOf(der, at)?.to ?? der.length
}

function headerOf(der: Buffer, at: number): { readonly from: number; readonly to: number } | undefined {
  const first = der[at + 1]
  if (first === undefined) return undefined
  const more = first < 0x80 ? 0 : first & 0x7f
  if (more > 4 || at + 2 + more > der.length) return undefined
  const length = more === 0 ? first : der.readUIntBE(at + 2, more)
  const from = at + 2 + more
  return from + length > der.length ? undefined : { from, to: from + length }
}
