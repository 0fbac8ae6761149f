import { keyRingsOf } from '../../support/key-rings.ts'
import { expect, onTestFinished, test } from 'vitest'
import { generateKey } from '../../../src/certificates/acme.ts'
import { openAutocert } from '../../../src/certificates/autocert.ts'
import type { KeyRings } from '../../../src/lib/key-ring.ts'
import { accountContext, createCertificates, sealCertificatesAnew } from '../../../src/certificates/certificates.ts'
import { accountsTable, certificatesTable } from '../../../src/certificates/tables.ts'
import { renewalOf, retryAfter } from '../../../src/certificates/schedule.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { wallTime } from '../../../src/lib/time.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { manualClock } from '../../support/clock.ts'
import { CERTIFICATE, KEY } from '../upstream/certificate.ts'

const HOUR = 3_600_000
const issued = { chain: CERTIFICATE, key: new Secret(KEY) }
const clock = manualClock(Date.UTC(2026, 11, 1))

function open(secret = 'a', store = createMemoryStore({ clock })) {
  const certificates = createCertificates({
    store,
    clock,
    logger: silentLogger,
    keyRings: keyRingsOf(secret.repeat(32)),
  })
  onTestFinished(() => certificates.close())
  return { certificates, store }
}

test('a certificate for another host, or of another key, is neither stored nor used', async () => {
  const { certificates, store } = open()
  await expect(certificates.save('app.test', issued)).rejects.toThrow('the certificate is not for app.test')
  const other = { chain: CERTIFICATE, key: await generateKey() }
  await expect(certificates.save('localhost', other)).rejects.toThrow('the certificate for localhost has another key')
  await expect(certificates.save('localhost', { ...issued, chain: 'no certificate' })).rejects.toThrow()
  expect(await store.get(certificatesTable, 'localhost')).toBeUndefined()
  expect(certificates.get('localhost')).toBeUndefined()
})

test('keys are sealed at rest, for their host and by shared_secret', async () => {
  const { certificates, store } = open()
  await certificates.save('localhost', issued)
  const stored = (await store.get(certificatesTable, 'localhost'))?.value
  expect(JSON.stringify(stored)).not.toContain('PRIVATE KEY')
  const same = open('a', store).certificates
  await same.loadAll()
  expect(same.get('localhost')?.notAfter).toBe(certificates.get('localhost')?.notAfter)
  const another = open('b', store).certificates
  await another.loadAll()
  expect(another.get('localhost')).toBeUndefined()
  // Moved to another host it opens nothing.
  if (stored) await store.put(certificatesTable, 'app.internal', stored)
  await same.loadAll()
  expect(same.get('app.internal')).toBeUndefined()
})

test('after a change of shared_secret keys are sealed with the new one, and the old one is not needed', async () => {
  const { certificates, store } = open()
  await certificates.save('localhost', issued)
  const account = (keyRings: KeyRings) =>
    keyRings('acme-keys').seal('the account', accountContext('https://acme.test/'))
  await store.put(accountsTable, 'https://acme.test/', { sealedKey: account(keyRingsOf('a'.repeat(32))) })
  await sealCertificatesAnew(store, keyRingsOf('b'.repeat(32), 'a'.repeat(32)))
  const another = open('b', store).certificates
  await another.loadAll()
  expect(another.get('localhost')?.notAfter).toBe(certificates.get('localhost')?.notAfter)
  const { sealedKey = '' } = (await store.get(accountsTable, 'https://acme.test/'))?.value ?? {}
  expect(another.unseal(sealedKey, accountContext('https://acme.test/'))?.reveal()).toBe('the account')
})

test('what another process stores is in force here, and what cannot be used leaves the one in force', async () => {
  const { certificates, store } = open()
  const other = open('a', store).certificates
  await other.save('localhost', issued)
  await expect.poll(() => certificates.get('localhost')).toBeDefined()
  await store.put(certificatesTable, 'localhost', { chain: 'broken', sealedKey: 'broken' })
  await certificates.load('localhost')
  expect(certificates.get('localhost')).toBeDefined()
})

test('renewal is due after two thirds of the lifetime, not at the same time for all', () => {
  const due = ['a', 'b', 'c'].map((chain) => renewalOf({ chain, notBefore: wallTime(0), lifetime: 90 * HOUR }))
  for (const at of due) expect([at >= wallTime(60 * HOUR), at <= wallTime(63 * HOUR)]).toEqual([true, true])
  expect(new Set(due).size).toBe(3)
})

test('tries of a host stay below five an hour, and go on once a day', () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 8, 100].map((count) => retryAfter(count, 'host') / HOUR)
  expect(waits).toEqual([0.25, 0.5, 1, 2, 4, 8, 16, 24, 24])
  expect([1, 2, 100].map((count) => retryAfter(count, 'server') / HOUR)).toEqual([1 / 60, 1 / 30, 6])
})

test('a failure is everybody’s: nobody asks again before its time, and it ends when another process has the certificate', async () => {
  const store = createMemoryStore({ clock })
  const keyRings = keyRingsOf(new Secret('a'.repeat(32)))
  const outcomes: string[] = []
  const config = { directoryUrl: new URL('https://127.0.0.1:1/directory'), outbound: {} }
  const start = async () => {
    const autocert = await openAutocert({
      config,
      keyRings,
      hosts: () => ['localhost'],
      store,
      clock,
      logger: silentLogger,
      ordered: (outcome) => void outcomes.push(outcome),
    })
    onTestFinished(() => autocert.close())
    await autocert.renew()
    return autocert
  }
  const [first, second] = [await start(), await start()]
  expect(outcomes).toEqual(['failed'])
  for (const process of [first, second])
    expect(process.state()).toMatchObject([
      { host: 'localhost', problem: expect.stringContaining('127.0.0.1:1: ') as unknown },
    ])
  await open('a', store).certificates.save('localhost', issued)
  for (const process of [first, second]) {
    await expect.poll(() => process.state()).toMatchObject([{ notAfter: expect.anything() as unknown }])
    expect(process.state()[0]).not.toHaveProperty('problem')
  }
})
