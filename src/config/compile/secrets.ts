import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { Secret } from '../../lib/secret.ts'
import { decodeBase64 } from '../aliases.ts'
import type { Certificate } from '../route-model.ts'
import type { Path, Report } from '../issues.ts'
import { isPlaceholder } from '../placeholder.ts'

const GENERATE = 'run `postern secrets generate`'
const BYTES = 32
/** Fewer different characters than this in a secret of full length is a person at a keyboard. */
const MIN_DISTINCT = 8

/** Reports a placeholder; answers the secret otherwise. */
export function realSecret(text: string, path: Path, report: Report): Secret | undefined {
  if (!isPlaceholder(text)) return new Secret(text)
  report.error(path, 'this is the placeholder of an example; expected a real secret')
  return undefined
}

/** One secret a line: the first signs, all verify. Each is 32 bytes in base64, base64url or hex, or 32 characters. */
export function compileSharedSecrets(
  text: string,
  path: Path,
  report: Report,
): readonly [Secret, ...Secret[]] | undefined {
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter(Boolean)
  const problems = lines.map(problemOfSecret)
  for (const [i, problem] of problems.entries()) {
    if (problem) report.error(path, `${lines.length > 1 ? `line ${i + 1}: ` : ''}${problem}; ${GENERATE}`)
  }
  const [first, ...others] = lines.map((line) => new Secret(line))
  if (!first) report.error(path, `expected ${BYTES} bytes, found nothing; ${GENERATE}`)
  return first && problems.every((problem) => !problem) ? [first, ...others] : undefined
}

function problemOfSecret(text: string): string | undefined {
  const { form, bytes } = measure(text)
  if (bytes < BYTES)
    return `expected ${BYTES} bytes in base64, base64url or hex, or ${BYTES} characters; found ${bytes} ${form}`
  if (new Set(text).size < MIN_DISTINCT)
    return `expected ${BYTES} random bytes, found ${new Set(text).size} different characters`
  return undefined
}

function measure(text: string): { readonly form: string; readonly bytes: number } {
  if (/^(?:[0-9a-f]{2})+$/i.test(text)) return { form: 'bytes in hex', bytes: text.length / 2 }
  const bytes = Buffer.from(text, 'base64')
  // Padding, or 32 bytes to the point, is how base64 is told from a phrase of the same letters.
  const isBase64 = /^[A-Za-z0-9+/_-]+=*$/.test(text) && (text.endsWith('=') || bytes.length === BYTES)
  return isBase64 ? { form: 'bytes in base64', bytes: bytes.length } : { form: 'characters', bytes: text.length }
}

/** PEM as it is, or out of base64; undefined when there is no PEM block in it. */
export function pemOf(text: string): string | undefined {
  const pem = text.includes('-----BEGIN ') ? text : decodeBase64(text)
  return pem?.includes('-----BEGIN ') ? `${pem.trim()}\n` : undefined
}

/** Private keys for ES256 (P-256) or RS256 (RSA, 2048 bits and more), one per PEM block. */
export function compileSigningKeys(text: string, path: Path, report: Report): readonly Secret[] {
  const blocks = pemOf(text)?.match(/-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----/gs) ?? []
  if (blocks.length === 0) {
    report.error(path, 'expected a PEM private key, or base64 of it; run `postern secrets generate signing-key`')
  }
  for (const [i, block] of blocks.entries()) {
    const key = privateKey(block)
    const { namedCurve, modulusLength } = key?.asymmetricKeyDetails ?? {}
    const fits =
      (key?.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') ||
      (key?.asymmetricKeyType === 'rsa' && (modulusLength ?? 0) >= 2048)
    if (!fits)
      report.error(path, `key ${i + 1}: expected a P-256 key, or an RSA key of at least 2048 bits, without passphrase`)
  }
  return blocks.map((block) => new Secret(`${block}\n`))
}

/** A certificate chain and the private key of its first certificate. */
export function compileCertificate(
  certificate: { readonly text: string; readonly path: Path },
  key: { readonly text: string; readonly path: Path },
  report: Report,
): Certificate | undefined {
  const chain = pemOf(certificate.text)
  const leaf = chain === undefined ? undefined : x509(chain)
  const pem = pemOf(key.text)
  const secretKey = pem === undefined ? undefined : privateKey(pem)
  if (!leaf) report.error(certificate.path, 'expected a PEM certificate, or base64 of it')
  if (!secretKey) report.error(key.path, 'expected a PEM private key without passphrase, or base64 of it')
  if (chain === undefined || pem === undefined || !leaf || !secretKey) return undefined
  if (!leaf.checkPrivateKey(secretKey)) {
    report.error(key.path, 'this is not the key of the certificate; the first certificate of the file must be its own')
    return undefined
  }
  const refusal = refusedByTls(chain, pem)
  if (refusal !== undefined) {
    report.error(certificate.path, `no client could be served with it: ${refusal}`)
    return undefined
  }
  return { chain, key: new Secret(pem) }
}

/** More of them (`certificates`); what cannot be used is left out, and reported. */
export function compileCertificates(
  pairs: readonly { readonly cert: string; readonly key: string }[],
  report: Report,
): readonly Certificate[] {
  return pairs.flatMap(({ cert, key }, i) => {
    const path = ['certificates', i]
    return (
      compileCertificate({ text: cert, path: [...path, 'cert'] }, { text: key, path: [...path, 'key'] }, report) ?? []
    )
  })
}

/** Why a listener would not take it; undefined: it would. */
function refusedByTls(cert: string, key: string): string | undefined {
  try {
    createSecureContext({ cert, key })
    return undefined
  } catch (error) {
    // OpenSSL's reason (`ee key too small`); its message may quote more.
    return error instanceof Error && 'reason' in error ? String(error.reason) : 'OpenSSL refuses it'
  }
}

/** PEM bundle of authorities. */
export function compileAuthorities(text: string, path: Path, report: Report): string | undefined {
  const pem = pemOf(text)
  const blocks = pem?.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? []
  if (blocks.length > 0 && blocks.every((block) => x509(block))) return pem
  report.error(path, 'expected PEM certificates, or base64 of them')
  return undefined
}

function privateKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    // The caller says what was expected; the message of OpenSSL says nothing that helps.
    return undefined
  }
}

function x509(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    // As above.
    return undefined
  }
}
