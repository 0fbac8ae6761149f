import { type DataIssue, invalid, isMap, parseStringMatcher, unknownOperators } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

const KEYS = ['fingerprint', 'spki_hash', 'san_dns', 'san_email', 'san_uri'] as const
const EXPECTED = `expected an object with ${KEYS.join(', ')}`

/** The client's certificate is the one described. No certificate reaches Postern, so nobody has one. */
export const clientCertificate: CriterionRow = {
  needs: 'nothing',
  ok: 'client-certificate-ok',
  no: 'client-certificate-unauthorized',
  compile(data) {
    if (!isMap(data) || Object.keys(data).length === 0) return invalid(EXPECTED)
    const unknown = unknownOperators(data, KEYS)
    if (unknown) return unknown
    const issues = Object.entries(data).flatMap(([key, value]) => problemsOf(key, value))
    if (issues.length > 0) return { kind: 'invalid', issues }
    const warnings = [{ path: [], message: 'client certificates are not supported yet, so this never holds' }]
    return { kind: 'ok', test: () => false, describe: Object.keys(data).join(', '), warnings }
  },
}

/** The client has no certificate that can be trusted, which is so for everybody. Whatever its data. */
export const invalidClientCertificate: CriterionRow = {
  needs: 'nothing',
  ok: 'client-certificate-required',
  no: 'valid-client-certificate',
  compile: () => ({
    kind: 'ok',
    test: () => true,
    describe: '',
    warnings: [{ path: [], message: 'client certificates are not supported yet, so this holds for every request' }],
  }),
}

function problemsOf(key: string, value: unknown): readonly DataIssue[] {
  if (key.startsWith('san_')) {
    const matcher = parseStringMatcher(value)
    return matcher.kind === 'ok' ? [] : matcher.issues.map(({ path, message }) => ({ path: [key, ...path], message }))
  }
  const texts: readonly unknown[] = Array.isArray(value) ? value : [value]
  const form = key === 'fingerprint' ? /^(?:[0-9a-f]{64}|[0-9A-F]{2}(?::[0-9A-F]{2}){31})$/ : /^[A-Za-z0-9+/]{43}=$/
  if (texts.length > 0 && texts.every((text) => typeof text === 'string' && form.test(text))) return []
  const expected = key === 'fingerprint' ? 'SHA-256 fingerprints in hex' : 'SHA-256 hashes in base64'
  return [{ path: [key], message: `expected ${expected}` }]
}
