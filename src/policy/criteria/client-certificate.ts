import { standingOf } from '../client-certificate.ts'
import type { ClientCertificate } from '../../http/request.ts'
import { type DataIssue, invalid, isMap, parseStringMatcher, unknownOperators } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

const KEYS = ['fingerprint', 'spki_hash', 'san_dns', 'san_email', 'san_uri'] as const
const EXPECTED = `expected an object with ${KEYS.join(', ')}`

type Test = (certificate: ClientCertificate) => boolean

/** The client's certificate is valid, and the one described: all that is written must hold. */
export const clientCertificate: CriterionRow = {
  needs: 'nothing',
  ok: 'client-certificate-ok',
  no: 'client-certificate-unauthorized',
  compile(data) {
    if (!isMap(data) || Object.keys(data).length === 0) return invalid(EXPECTED)
    const unknown = unknownOperators(data, KEYS)
    if (unknown) return unknown
    const tests: Test[] = []
    const issues: DataIssue[] = []
    for (const [key, value] of Object.entries(data)) {
      const compiled = key.startsWith('san_') ? nameTest(key, value) : hashTest(key, value)
      if (typeof compiled === 'function') tests.push(compiled)
      else issues.push(...compiled)
    }
    if (issues.length > 0) return { kind: 'invalid', issues }
    return {
      kind: 'ok',
      test: ({ request: { clientCertificate: shown }, now }) =>
        shown !== undefined && standingOf(shown, now) === 'valid' && tests.every((test) => test(shown)),
      describe: Object.keys(data).join(', '),
    }
  },
}

/** The client has no certificate that is valid. Whatever its data. */
export const invalidClientCertificate: CriterionRow = {
  needs: 'nothing',
  ok: 'client-certificate-required',
  no: 'valid-client-certificate',
  compile: () => ({
    kind: 'ok',
    test: ({ request, now }) => standingOf(request.clientCertificate, now) !== 'valid',
    describe: '',
  }),
}

const NAMES = { san_dns: 'dns', san_email: 'email', san_uri: 'uri' } as const

function nameTest(key: string, value: unknown): Test | readonly DataIssue[] {
  const matcher = parseStringMatcher(value)
  if (matcher.kind !== 'ok') return matcher.issues.map(({ path, message }) => ({ path: [key, ...path], message }))
  const kind = NAMES[key as keyof typeof NAMES]
  return ({ names }) => names[kind].some((name) => matcher.test(name))
}

function hashTest(key: string, value: unknown): Test | readonly DataIssue[] {
  const isFingerprint = key === 'fingerprint'
  const form = isFingerprint ? /^(?:[0-9a-f]{64}|[0-9A-F]{2}(?::[0-9A-F]{2}){31})$/ : /^[A-Za-z0-9+/]{43}=$/
  const written: readonly unknown[] = Array.isArray(value) ? value : [value]
  const texts = written.filter((text) => typeof text === 'string').filter((text) => form.test(text))
  if (texts.length === 0 || texts.length < written.length) {
    const expected = isFingerprint ? 'SHA-256 fingerprints in hex' : 'SHA-256 hashes in base64'
    return [{ path: [key], message: `expected ${expected}` }]
  }
  const hashes = new Set(texts.map((text) => (isFingerprint ? text.replaceAll(':', '').toLowerCase() : text)))
  return ({ fingerprint, spkiHash }) => hashes.has(isFingerprint ? fingerprint : spkiHash)
}
