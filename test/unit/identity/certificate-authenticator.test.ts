import { expect, test } from 'vitest'
import type { ClientCertificate } from '../../../src/http/request.ts'
import { createCertificateAuthenticator } from '../../../src/identity/certificate-authenticator.ts'
import { wallTime } from '../../../src/lib/time.ts'
import { facts, route } from '../upstream/support.ts'

const NOW = wallTime(1_000_000)
const certificate: ClientCertificate = {
  fingerprint: 'a'.repeat(64),
  spkiHash: '',
  names: { dns: ['Backup.corp.example'], email: [], ipAddress: [], uri: [], userPrincipalName: [] },
  notAfter: wallTime(2_000_000),
  fault: undefined,
  checkedBy: '1',
}
const to = { ...route('http://up.test'), certificateAccounts: 'dns' as const }

const accountOf = (over: Partial<ClientCertificate> = {}, version = '1') => {
  const mtls = { version } as Parameters<typeof createCertificateAuthenticator>[0]
  const shown = facts({ clientCertificate: { ...certificate, ...over } })
  const who = createCertificateAuthenticator(mtls).identify(shown, to, NOW)
  return who && 'account' in who ? who.account : who
}

test('a certificate is the account that it names', () => {
  expect(accountOf()).toBe('certificate/backup.corp.example')
})

test.each<readonly [string, Partial<ClientCertificate>]>([
  ['that did not pass', { fault: 'expired' }],
  ['that has expired since', { notAfter: NOW }],
  ['without a name of the kind', { names: { ...certificate.names, dns: [] } }],
  ['with two names of the kind', { names: { ...certificate.names, dns: ['a.example', 'b.example'] } }],
  ['with a name that no header can carry', { names: { ...certificate.names, dns: ['a b'] } }],
])('one %s is nobody', (_, over) => {
  expect(accountOf(over)).toBeUndefined()
})

test('one that was checked by another configuration, or by one that asks nobody any more, is nobody', () => {
  expect(accountOf({}, '2')).toBeUndefined()
  expect(createCertificateAuthenticator(undefined).identify(facts({ clientCertificate: certificate }), to, NOW)).toBe(
    undefined,
  )
})
