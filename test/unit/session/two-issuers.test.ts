import { keyRingsOf } from '../../support/key-rings.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { personKey } from '../../../src/lib/person.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { createSessions } from '../../../src/session/sessions.ts'
import { createStreamRegistry } from '../../../src/session/streams.ts'
import { hasOlderSessions } from '../../../src/session/tables.ts'
import { openLmdbStore } from '../../../src/store/lmdb.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { Identity, PersonKey, Store, Table } from '../../../src/types.ts'
import type { Sessions } from '../../../src/session/model.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'

const HERE = 'https://here.okta.example'
const THERE = 'https://there.okta.example'
const HOUR = 3_600_000
const identity = (issuer: string, subject = '00ann'): Identity => ({ issuer, subject, claims: {} })

let clock: ManualClock
let path: string
beforeEach(() => {
  clock = manualClock()
  path = mkdtempSync(join(tmpdir(), 'postern-issuers-'))
})
afterEach(() => rmSync(path, { recursive: true }))

const stores: [string, () => Store][] = [
  ['embedded', () => openLmdbStore({ path, clock, logger: silentLogger })],
  ['memory', () => createMemoryStore({ clock })],
]

async function withSessions(store: Store, work: (sessions: Sessions) => Promise<void>): Promise<void> {
  const keyRings = keyRingsOf('a shared secret of 32 characters')
  const sessions = createSessions({ store, clock, keyRings, audit: () => {} })
  try {
    await work(sessions)
  } finally {
    sessions.close()
    await store.close()
  }
}

async function ids(sessions: Sessions, person?: PersonKey): Promise<readonly string[]> {
  const found: string[] = []
  for await (const { id } of sessions.list(person)) found.push(id)
  return found
}

describe.each(stores)('sessions of two people whom two issuers gave the same subject, %s store', (_, open) => {
  test('list and revokePerson touch the sessions of the one who is named only', async () => {
    await withSessions(open(), async (sessions) => {
      const here = await sessions.create(identity(HERE), { idToken: 'a' }, clock.now() + HOUR)
      const there = await sessions.create(identity(THERE), { idToken: 'b' }, clock.now() + HOUR)
      expect(await ids(sessions, here.person)).toEqual([here.id])
      expect(await ids(sessions, there.person)).toEqual([there.id])
      expect(await sessions.revokePerson(here.person, 'directory')).toBe(1)
      expect(await ids(sessions)).toEqual([there.id])
      expect(await sessions.get(there.id)).toEqual(there)
    })
  })

  test('replaceTokens refuses the same subject of the other issuer', async () => {
    await withSessions(open(), async (sessions) => {
      const here = await sessions.create(identity(HERE), { idToken: 'a' }, clock.now() + HOUR)
      await expect(sessions.replaceTokens(here, { idToken: 'b' }, identity(THERE))).rejects.toThrow(TypeError)
      expect(await sessions.get(here.id)).toEqual(here)
    })
  })

  test.each([
    ['of 255 characters, with an issuer of 2000', `https://idp.example/${'i'.repeat(1980)}`, 's'.repeat(255)],
    ['that looks like a key', HERE, `${THERE} 00ann`],
    ['with control characters', HERE, '00\u0000ann\r\n\u001b[31m'],
    ['with a lone surrogate', HERE, '\ud800'],
    ['named like a property', HERE, '__proto__'],
  ])('a subject %s is listed and revoked like any other', async (_what, issuer, subject) => {
    await withSessions(open(), async (sessions) => {
      const ann = await sessions.create(identity(THERE), { idToken: 'a' }, clock.now() + HOUR)
      const odd = await sessions.create(identity(issuer, subject), { idToken: 'b' }, clock.now() + HOUR)
      expect(await ids(sessions, personKey({ issuer, subject }))).toEqual([odd.id])
      expect(await sessions.revokePerson(odd.person, 'directory')).toBe(1)
      expect(await ids(sessions)).toEqual([ann.id])
    })
  })
})

test('recheck judges the streams of one person, not those of the same subject of another issuer', () => {
  const streams = createStreamRegistry({ clock })
  const cut: string[] = []
  for (const issuer of [HERE, THERE]) {
    streams.add({
      credential: issuer,
      person: personKey(identity(issuer)),
      openedAt: clock.monotonic(),
      expiresAt: clock.now() + HOUR,
      stillAllowed: () => false,
      stillKnown: () => Promise.resolve(true),
      cut: () => cut.push(issuer),
    })
  }
  streams.recheck(personKey(identity(HERE)))
  expect(cut).toEqual([HERE])
  streams.close()
})

describe('a store of an older Postern, which kept sessions by subject alone', () => {
  const olderSessions: Table<unknown> = {
    name: 'sessions',
    parse: (value) => value,
    index: (value) => (value as { subject: string }).subject,
  }
  const older = () => ({
    id: 'here'.padEnd(22, '-'),
    subject: '00ann',
    identity: identity(HERE),
    createdAt: clock.now() - HOUR,
    expiresAt: clock.now() + HOUR,
    sealedTokens: 'sealed',
  })

  test('hasOlderSessions tells of sessions that nothing else reads, until they expire', async () => {
    const store = openLmdbStore({ path, clock, logger: silentLogger })
    expect(await hasOlderSessions(store)).toBe(false)
    const left = older()
    await store.put(olderSessions, left.id, left, { expiresAt: left.expiresAt })
    expect(await hasOlderSessions(store)).toBe(true)
    await withSessions(store, async (sessions) => {
      expect(await ids(sessions)).toEqual([])
      expect(await sessions.get(left.id)).toBeUndefined()
      const cookie = `postern=${sessions.cookieValue(left.id, 'postern', 'app.example')}`
      expect(await sessions.read(cookie, 'postern', 'app.example', clock.now())).toBeUndefined()
      clock.advance(HOUR)
      expect(await hasOlderSessions(store)).toBe(false)
    })
  })
})
