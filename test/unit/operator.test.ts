/** The command line's view of one store that holds people of two issuers. */
import { keyRingsOf } from '../support/key-rings.ts'
import { Secret } from '../../src/lib/secret.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Config } from '../../src/config/model.ts'
import { createDirectoryTable } from '../../src/directory/records.ts'
import { silentLogger as logger } from '../../src/lib/log.ts'
import { personKey } from '../../src/lib/person.ts'
import { epochMillis, later, sourceTime } from '../../src/lib/time.ts'
import { openOperator, type Operator } from '../../src/operator.ts'
import { createSessions } from '../../src/session/sessions.ts'
import { openLmdbStore } from '../../src/store/lmdb.ts'
import type { Store } from '../../src/types.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'

const HERE = 'https://here.okta.example'
const THERE = 'https://there.okta.example'
const ANN_HERE = personKey({ issuer: HERE, subject: '00ann' })
const ANN_THERE = personKey({ issuer: THERE, subject: '00ann' })
const FROM = { provider: 'okta', requestId: 'r1', userAgent: 'Firefox', clientIp: '::1' }
const sharedSecrets = [new Secret('a shared secret of 32 characters')] as const
const keyRings = keyRingsOf(...sharedSecrets)

let clock: ManualClock
let path: string
let operator: Operator
beforeEach(() => {
  clock = manualClock()
  path = mkdtempSync(join(tmpdir(), 'postern-operator-'))
})
afterEach(async () => {
  await operator.close()
  rmSync(path, { recursive: true })
})

/** What a Postern wrote that has ended: LMDB must not have one map open twice in a process. */
async function written(write: (store: Store) => Promise<void>): Promise<Operator> {
  const store = openLmdbStore({ path, clock, logger })
  await write(store)
  await store.close()
  const fixed = {
    storage: { kind: 'embedded', path },
    idps: [{ issuer: HERE, directory: { kind: 'claims', order: [], maxStaleness: 3_600_000 } }],
  }
  operator = await openOperator({ fixed, live: { credentials: { sharedSecrets } } } as unknown as Config, {
    clock,
    logger,
  })
  return operator
}

async function signIn(store: Store, issuer: string, email: string): Promise<void> {
  const sessions = createSessions({ store, clock, keyRings, audit: () => {} })
  const expiresAt = later(clock.now(), 3_600_000)
  await sessions.create({ issuer, subject: '00ann', email, claims: {} }, { idToken: 'a' }, expiresAt, FROM)
  sessions.close()
}

async function twoOfOneSubject(store: Store): Promise<void> {
  await signIn(store, HERE, 'ann@here.example')
  await signIn(store, THERE, 'ann@there.example')
  for (const [person, name] of [
    [ANN_HERE, 'Here'],
    [ANN_THERE, 'There'],
  ] as const) {
    await store.put(createDirectoryTable(), person, {
      source: 'claims',
      status: 'active',
      statusText: 'SIGNED_IN',
      groups: [{ id: name, name, type: 'CLAIM' }],
      asOf: sourceTime(epochMillis(clock.now())),
      readAt: clock.now(),
    })
  }
}

const emails = async (user?: string) =>
  (await operator.sessions(user)).map(({ identity }) => identity.email ?? '').sort()

test('revokeAll of an id that two issuers have given ends nobody, and names them both', async () => {
  await written(twoOfOneSubject)
  await expect(operator.revokeAll('00ann')).rejects.toMatchObject({ code: 'ERR_USAGE' })
  await expect(operator.revokeAll('00ann')).rejects.toThrow(ANN_HERE)
  expect(await emails()).toEqual(['ann@here.example', 'ann@there.example'])
})

test('revokeAll of issuer and id, or of an address, ends the sessions of that person alone', async () => {
  await written(twoOfOneSubject)
  expect(await operator.revokeAll(ANN_THERE)).toBe(1)
  expect(await emails()).toEqual(['ann@here.example'])
  expect(await operator.revokeAll('Ann@here.example')).toBe(1)
  expect(await emails()).toEqual([])
})

test('session names one by its tag, with device and times; nobody by another', async () => {
  await written(twoOfOneSubject)
  const [ann] = await operator.sessions(ANN_HERE)
  expect(await operator.session(ann?.tag ?? '')).toEqual(ann)
  expect(ann).toMatchObject({ signedInAt: clock.now(), lastSeenAt: clock.now(), userAgent: 'Firefox', clientIp: '::1' })
  expect(await operator.session('000000000000')).toBeUndefined()
})

test('people shows two of one id as two, with the groups of the configured issuer alone', async () => {
  await written(twoOfOneSubject)
  const people = await operator.people('00ann')
  const groups = new Map(people.map(({ person, record }) => [person, record?.groups.map(({ name }) => name)]))
  expect(groups).toEqual(
    new Map([
      [ANN_HERE, ['Here']],
      [ANN_THERE, undefined],
    ]),
  )
  const everybody: string[] = []
  for await (const { person } of operator.everybody()) everybody.push(person)
  expect(everybody).toEqual([ANN_HERE])
})
