import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { personKey } from '../../../src/lib/person.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { createSessions } from '../../../src/session/sessions.ts'
import { createStreamRegistry } from '../../../src/session/streams.ts'
import { moveOlderSessions } from '../../../src/session/tables.ts'
import { openLmdbStore } from '../../../src/store/lmdb.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { Identity, PersonKey, Session, Sessions, Store, Table } from '../../../src/types.ts'
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
  const sharedSecrets = [new Secret('a shared secret of 32 characters')] as const
  const sessions = createSessions({ store, clock, sharedSecrets })
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
      expect(await sessions.revokePerson(here.person)).toBe(1)
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
      expect(await sessions.revokePerson(odd.person)).toBe(1)
      expect(await ids(sessions)).toEqual([ann.id])
    })
  })
})

test('recheck judges the streams of one person, not those of the same subject of another issuer', () => {
  const streams = createStreamRegistry({ clock })
  const cut: string[] = []
  for (const issuer of [HERE, THERE]) {
    streams.add({
      sessionId: issuer,
      person: personKey(identity(issuer)),
      expiresAt: clock.now() + HOUR,
      stillAllowed: () => false,
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
  const older = (id: string, issuer: string, rest: object = {}) => ({
    id: id.padEnd(22, '-'),
    subject: '00ann',
    identity: identity(issuer),
    createdAt: clock.now() - HOUR,
    expiresAt: clock.now() + HOUR,
    sealedTokens: 'sealed',
    ...rest,
  })

  async function written(records: readonly ReturnType<typeof older>[]): Promise<Store> {
    const before = openLmdbStore({ path, clock, logger: silentLogger })
    for (const value of records) await before.put(olderSessions, value.id, value, { expiresAt: value.expiresAt })
    await before.close()
    return openLmdbStore({ path, clock, logger: silentLogger })
  }

  test('moveOlderSessions keeps everybody signed in, and tells the people of two issuers apart', async () => {
    const store = await written([older('here', HERE), older('there', THERE)])
    await moveOlderSessions(store)
    await withSessions(store, async (sessions) => {
      const cookie = `postern=${sessions.cookieValue(older('here', HERE).id, 'postern', 'app.example')}`
      expect(await sessions.read(cookie, 'postern', 'app.example', clock.now())).toMatchObject({
        person: personKey(identity(HERE)),
        createdAt: clock.now() - HOUR,
        expiresAt: clock.now() + HOUR,
      })
      expect(await sessions.revokePerson(personKey(identity(HERE)))).toBe(1)
      expect(await ids(sessions)).toEqual([older('there', THERE).id])
      clock.advance(HOUR)
      expect(await ids(sessions)).toEqual([])
    })
  })

  test('moveOlderSessions gives the sessions once, and never brings a revoked one back', async () => {
    const store = await written([older('here', HERE), older('there', THERE)])
    expect((await moveOlderSessions(store)).map(({ id }) => id).sort()).toEqual(
      [older('here', HERE).id, older('there', THERE).id].sort(),
    )
    const again = moveOlderSessions(store)
    await withSessions(store, async (sessions) => {
      await sessions.revokePerson(personKey(identity(HERE)))
      expect(await again).toEqual([])
      expect(await moveOlderSessions(store)).toEqual([])
      expect(await ids(sessions)).toEqual([older('there', THERE).id])
    })
  })

  test('two processes that open it at once move each session once', async () => {
    const first = await written(Array.from({ length: 60 }, (_, n) => older(`s${n}`, HERE)))
    const second = openLmdbStore({ path, clock, logger: silentLogger })
    const moved = (await Promise.all([moveOlderSessions(first), moveOlderSessions(second)])).flat()
    expect(new Set(moved.map(({ id }) => id)).size).toBe(60)
    expect(moved).toHaveLength(60)
    await second.close()
    await first.close()
  })

  test.each<[string, object]>([
    ['two subjects', { subject: '00bob' }],
    ['no identity', { identity: undefined }],
    ['an issuer that is no URL', { identity: identity('a b') }],
    ['another id', { id: 'x'.repeat(22) }],
  ])('a session with %s is signed out, not guessed at', async (_what, damage) => {
    const before = openLmdbStore({ path, clock, logger: silentLogger })
    await before.put(olderSessions, older('here', HERE).id, older('here', HERE, damage))
    expect(await moveOlderSessions(before)).toEqual([])
    const found: Session[] = []
    await withSessions(before, async (sessions) => {
      for await (const session of sessions.list()) found.push(session)
    })
    expect(found).toEqual([])
  })
})
