import { keyRingsOf } from '../../support/key-rings.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AuditEvent } from '../../../src/lib/audit.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { createSessions } from '../../../src/session/sessions.ts'
import { openLmdbStore } from '../../../src/store/lmdb.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { Identity, SessionId, Store, Table, Tokens } from '../../../src/types.ts'
import type { Session, Sessions } from '../../../src/session/model.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'
import { person } from '../../support/person.ts'

const HOST = 'app.corp.example'
const secret = new Secret('a shared secret of 32 characters')
const tokens: Tokens = { idToken: 'eyJ.id.token', refreshToken: 'refresh-token' }
const NAME = '__Host-postern'
/** The table as another version of the program would write it. */
const foreignSessions: Table<unknown> = { name: 'sessions-by-person', parse: (value) => value, index: () => '00ann' }

const identity = (subject = '00ann', rest: Partial<Identity> = {}): Identity => ({
  issuer: 'https://org.okta.example',
  subject,
  email: 'ann@corp.example',
  claims: { groups: ['Engineering'], __proto__: null },
  ...rest,
})

/** Counts reads, and can fail or hold them back. */
function observed(store: Store) {
  const control = { gets: 0, fail: undefined as Error | undefined, hold: undefined as Promise<void> | undefined }
  const get: Store['get'] = async (table, key) => {
    control.gets++
    if (control.fail) throw control.fail
    const found = await store.get(table, key)
    await control.hold
    return found
  }
  return { control, store: { ...store, get } }
}

let clock: ManualClock
let path: string
let closing: (() => unknown)[]
beforeEach(() => {
  clock = manualClock()
  path = mkdtempSync(join(tmpdir(), 'postern-sessions-'))
  closing = []
})
afterEach(async () => {
  for (const close of closing.toReversed()) await close()
  rmSync(path, { recursive: true })
})

function memoryStore(): Store {
  const store = createMemoryStore({ clock })
  closing.push(() => store.close())
  return store
}

function lmdbStore(): Store {
  const store = openLmdbStore({ path, clock, logger: silentLogger })
  closing.push(() => store.close())
  return store
}

function sessionsOn(store: Store, maxCached?: number): Sessions {
  const keyRings = keyRingsOf(secret)
  const sessions = createSessions({ store, clock, keyRings, audit: () => {}, ...(maxCached && { maxCached }) })
  closing.push(() => sessions.close())
  return sessions
}

const inAnHour = () => clock.now() + 3_600_000
const cookieOf = (sessions: Sessions, id: SessionId, host = HOST) => `${NAME}=${sessions.cookieValue(id, NAME, host)}`
const collect = async (list: AsyncIterable<Session>) => {
  const ids: string[] = []
  for await (const session of list) ids.push(session.id)
  return ids.sort()
}

describe('reading', () => {
  test('a cookie leads to its session, with everything that was given, until it expires to the millisecond', async () => {
    const sessions = sessionsOn(memoryStore())
    const created = await sessions.create(identity(), tokens, inAnHour())
    expect(created).toMatchObject({ person: person('00ann'), createdAt: clock.now(), expiresAt: inAnHour() })
    expect(created.id).toMatch(/^[\w-]{22}$/)
    const cookie = cookieOf(sessions, created.id)
    expect(await sessions.read(cookie, NAME, HOST, clock.now())).toEqual(created)
    clock.advance(3_599_999)
    expect(await sessions.read(cookie, NAME, HOST, clock.now())).toEqual(created)
    clock.advance(1)
    expect(await sessions.read(cookie, NAME, HOST, clock.now())).toBeUndefined()
  })

  test('activity does not move the end of a session', async () => {
    const sessions = sessionsOn(memoryStore())
    const { id } = await sessions.create(identity(), tokens, clock.now() + 10_000)
    const cookie = cookieOf(sessions, id)
    for (let i = 0; i < 9; i++) {
      clock.advance(1000)
      expect(await sessions.read(cookie, NAME, HOST, clock.now())).toBeDefined()
      await sessions.replaceTokens((await sessions.get(id)) as Session, tokens, identity())
    }
    clock.advance(1000)
    expect(await sessions.read(cookie, NAME, HOST, clock.now())).toBeUndefined()
    expect(await sessions.get(id)).toBeUndefined()
  })

  test('a session read twice is answered at once and without the store; after five seconds the store is asked again', async () => {
    const { store, control } = observed(memoryStore())
    const sessions = sessionsOn(store)
    const session = await sessions.create(identity(), tokens, inAnHour())
    const cookie = cookieOf(sessions, session.id)
    await sessions.read(cookie, NAME, HOST, clock.now())
    await sessions.read(cookie, NAME, HOST, clock.now())
    expect(control.gets).toBe(2)
    clock.advance(4999)
    expect(sessions.read(cookie, NAME, HOST, clock.now())).toEqual(session)
    expect(control.gets).toBe(2)
    clock.advance(1)
    expect(await sessions.read(cookie, NAME, HOST, clock.now())).toEqual(session)
    expect(control.gets).toBe(3)
  })

  test('requests that come together share one look at the store', async () => {
    const { store, control } = observed(memoryStore())
    const sessions = sessionsOn(store)
    const session = await sessions.create(identity(), tokens, inAnHour())
    const cookie = cookieOf(sessions, session.id)
    const read = await Promise.all(
      Array.from({ length: 50 }, async () => sessions.read(cookie, NAME, HOST, clock.now())),
    )
    expect(read).toEqual(Array.from({ length: 50 }, () => session))
    expect(control.gets).toBe(1)
  })

  test('the cache stays bounded, and what it forgot is read again', async () => {
    const { store, control } = observed(memoryStore())
    const sessions = sessionsOn(store, 4)
    const cookies: string[] = []
    for (let i = 0; i < 20; i++) {
      const session = await sessions.create(identity(`00u${i}`), tokens, inAnHour())
      cookies.push(cookieOf(sessions, session.id))
    }
    for (const round of [1, 2]) {
      for (const cookie of cookies) expect(await sessions.read(cookie, NAME, HOST, clock.now())).toBeDefined()
      expect(control.gets).toBe(20 * round)
    }
  })

  test('of several cookies the first that leads to a live session counts', async () => {
    const sessions = sessionsOn(memoryStore())
    const dead = await sessions.create(identity(), tokens, inAnHour())
    const live = await sessions.create(identity('00bob'), tokens, inAnHour())
    await sessions.revoke(dead.id, 'signed-out')
    const cookies = [dead, live].map(({ id }) => cookieOf(sessions, id)).join('; ')
    const header = `a=b; postern=garbage; ${NAME}=v1.x.y; ${cookies}`
    expect(await sessions.read(header, NAME, HOST, clock.now())).toEqual(live)
  })

  test('only the name that is asked for counts: a plain one could have been planted by a neighbouring host', async () => {
    const sessions = sessionsOn(memoryStore())
    const own = await sessions.create(identity(), tokens, inAnHour())
    const planted = await sessions.create(identity('00eve'), tokens, inAnHour())
    const plain = `postern=${sessions.cookieValue(planted.id, 'postern', HOST)}`
    expect(await sessions.read(`${plain}; ${cookieOf(sessions, own.id)}`, NAME, HOST, clock.now())).toEqual(own)
    expect(await sessions.read(plain, NAME, HOST, clock.now())).toBeUndefined()
  })

  test('a value of one cookie name is nothing under another, before and after it was used under its own', async () => {
    const sessions = sessionsOn(memoryStore())
    const { id } = await sessions.create(identity(), tokens, inAnHour())
    const [own, other] = [sessions.cookieValue(id, 'old', HOST), sessions.cookieValue(id, 'new', HOST)]
    expect(own).not.toBe(other)
    for (let round = 0; round < 3; round++) {
      expect(await sessions.read(`new=${own}`, 'new', HOST, clock.now())).toBeUndefined()
      expect(await sessions.read(`old=${own}`, 'old', HOST, clock.now())).toMatchObject({ id })
      expect(await sessions.read(`old=${other}`, 'old', HOST, clock.now())).toBeUndefined()
    }
  })

  test('when changes were missed, what is in memory is read anew', async () => {
    const store = memoryStore()
    let lost = (): void => {}
    const sessions = sessionsOn({
      ...store,
      // Hears of nothing.
      watch(_, onGap = () => {}) {
        lost = onGap
        return () => {}
      },
    })
    const { id } = await sessions.create(identity(), tokens, inAnHour())
    const read = () => sessions.read(cookieOf(sessions, id), NAME, HOST, clock.now())
    for (let times = 0; times < 3; times++) expect(await read()).toMatchObject({ id })
    await store.delete(foreignSessions, id)
    expect(read()).toMatchObject({ id })
    lost()
    expect(await read()).toBeUndefined()
  })

  test('a store fault rejects and is not remembered', async () => {
    const { store, control } = observed(memoryStore())
    const sessions = sessionsOn(store)
    const session = await sessions.create(identity(), tokens, inAnHour())
    const cookie = cookieOf(sessions, session.id)
    control.fail = Object.assign(new Error('store: disk'), { code: 'ERR_STORE_UNAVAILABLE' })
    await expect(sessions.read(cookie, NAME, HOST, clock.now())).rejects.toMatchObject({ message: 'store: disk' })
    control.fail = undefined
    expect(await sessions.read(cookie, NAME, HOST, clock.now())).toEqual(session)
  })

  test.each([
    ['a member is missing', (session: Session) => ({ ...session, expiresAt: undefined })],
    ['a member has another type', (session: Session) => ({ ...session, identity: { ...session.identity, email: 7 } })],
    ['no issuer', (session: Session) => ({ ...session, identity: { ...session.identity, issuer: '' } })],
    [
      'an issuer with a space',
      (session: Session) => ({ ...session, identity: { ...session.identity, issuer: 'https://a b' } }),
    ],
    ['not an object', () => 'session'],
    ['another id', (session: Session) => ({ ...session, id: 'x'.repeat(22) })],
  ])('a stored session that cannot be right (%s) is signed out', async (_, damage) => {
    const store = memoryStore()
    const sessions = sessionsOn(store)
    const session = await sessions.create(identity(), tokens, inAnHour())
    await store.put(foreignSessions, session.id, damage(session))
    expect(await sessions.read(cookieOf(sessions, session.id), NAME, HOST, clock.now())).toBeUndefined()
  })

  test('a member that a newer version added does not hurt', async () => {
    const store = memoryStore()
    const sessions = sessionsOn(store)
    const session = await sessions.create(identity(), tokens, inAnHour())
    await store.put(foreignSessions, session.id, { ...session, device: 'trusted' })
    expect(await sessions.read(cookieOf(sessions, session.id), NAME, HOST, clock.now())).toMatchObject(session)
  })
})

describe('ending', () => {
  test('a revoked session is over for the next request here, and for another process when it is written', async () => {
    const here = sessionsOn(lmdbStore())
    const there = sessionsOn(lmdbStore())
    const session = await here.create(identity(), tokens, inAnHour())
    const cookie = cookieOf(here, session.id)
    expect(await here.read(cookie, NAME, HOST, clock.now())).toEqual(session)
    expect(await there.read(cookie, NAME, HOST, clock.now())).toEqual(session)
    const ended: string[] = []
    here.onEnd((id) => ended.push(`here ${id}`))
    there.onEnd((id) => ended.push(`there ${id}`))
    await here.revoke(session.id, 'signed-out')
    expect(await here.read(cookie, NAME, HOST, clock.now())).toBeUndefined()
    expect(ended[0]).toBe(`here ${session.id}`)
    await expect.poll(() => ended).toEqual([`here ${session.id}`, `there ${session.id}`])
    expect(await there.read(cookie, NAME, HOST, clock.now())).toBeUndefined()
  })

  test('a session that another process created is known here at once', async () => {
    const here = sessionsOn(lmdbStore())
    const there = sessionsOn(lmdbStore())
    const session = await there.create(identity(), tokens, inAnHour())
    expect(await here.read(cookieOf(there, session.id), NAME, HOST, clock.now())).toEqual(session)
  })

  test('a read that began before a revocation is not cached', async () => {
    const { store, control } = observed(memoryStore())
    const sessions = sessionsOn(store)
    const session = await sessions.create(identity(), tokens, inAnHour())
    const cookie = cookieOf(sessions, session.id)
    let release = () => {}
    control.hold = new Promise((resolve) => {
      release = resolve
    })
    const slow = sessions.read(cookie, NAME, HOST, clock.now())
    await sessions.revoke(session.id, 'signed-out')
    control.hold = undefined
    const next = sessions.read(cookie, NAME, HOST, clock.now())
    release()
    await slow
    expect(await next).toBeUndefined()
    expect(await sessions.read(cookie, NAME, HOST, clock.now())).toBeUndefined()
  })

  test('revoking a person ends all of its sessions and says how many; other people keep theirs', async () => {
    const sessions = sessionsOn(lmdbStore())
    const ann = [
      await sessions.create(identity(), tokens, inAnHour()),
      await sessions.create(identity(), tokens, inAnHour()),
    ]
    const bob = await sessions.create(identity('00bob'), tokens, inAnHour())
    expect(await collect(sessions.list(person('00ann')))).toEqual(ann.map(({ id }) => id).sort())
    const ended: string[] = []
    sessions.onEnd((id) => ended.push(id))
    expect(await sessions.revokePerson(person('00ann'), 'directory')).toBe(2)
    expect(ended.sort()).toEqual(ann.map(({ id }) => id).sort())
    expect(await collect(sessions.list(person('00ann')))).toEqual([])
    expect(await collect(sessions.list())).toEqual([bob.id])
    expect(await sessions.revokePerson(person('00ann'), 'directory')).toBe(0)
  })

  test('what happened before the person signed in again in the same browser does not end the session', async () => {
    const sessions = sessionsOn(memoryStore())
    const [renewed, older] = [
      await sessions.create(identity(), tokens, inAnHour()),
      await sessions.create(identity(), tokens, inAnHour()),
    ]
    clock.advance(1000)
    const before = clock.now()
    await sessions.renew(renewed, tokens, identity(), inAnHour())
    expect(await sessions.revokePerson(person('00ann'), 'directory', before)).toBe(1)
    expect(await collect(sessions.list())).toEqual([renewed.id])
    expect(await sessions.get(older.id)).toBeUndefined()
  })

  test('another sign-in in the same browser never makes a session last longer, and may make it end earlier', async () => {
    const sessions = sessionsOn(memoryStore())
    const session = await sessions.create(identity(), tokens, inAnHour())
    const end = session.expiresAt
    clock.advance(1000)
    expect(await sessions.renew(session, tokens, identity(), inAnHour())).toMatchObject({ expiresAt: end })
    const earlier = clock.now() + 60_000
    expect(await sessions.renew(session, tokens, identity(), earlier)).toMatchObject({ expiresAt: earlier })
  })

  test('revoking what is not there is nothing', async () => {
    const sessions = sessionsOn(memoryStore())
    const ended: string[] = []
    sessions.onEnd((id) => ended.push(id))
    await sessions.revoke('x'.repeat(22), 'signed-out')
    expect(ended).toEqual([])
  })

  test('a listener that was removed is not called', async () => {
    const sessions = sessionsOn(memoryStore())
    const session = await sessions.create(identity(), tokens, inAnHour())
    const stop = sessions.onEnd(() => expect.unreachable())
    stop()
    await sessions.revoke(session.id, 'signed-out')
  })
})

describe('audit', () => {
  const from = { provider: 'okta', requestId: 'r1', userAgent: 'Firefox '.repeat(100), clientIp: '192.0.2.1' }

  test('a session keeps what the browser called itself, bounded, and where it signed in', async () => {
    const sessions = sessionsOn(memoryStore())
    const { id } = await sessions.create(identity(), tokens, inAnHour(), from)
    const stored = (await sessions.get(id)) as Session
    expect(stored).toMatchObject({ clientIp: '192.0.2.1', signedInAt: clock.now(), lastSeenAt: clock.now() })
    expect(stored.userAgent).toHaveLength(300)
  })

  test('begin, renewal and end are one event each, whoever ends it at the same time', async () => {
    const events: AuditEvent[] = []
    const store = memoryStore()
    const audit = (event: AuditEvent) => void events.push(event)
    const [here, there] = [1, 2].map(() => createSessions({ store, clock, keyRings: keyRingsOf(secret), audit })) as [
      Sessions,
      Sessions,
    ]
    closing.push(
      () => here.close(),
      () => there.close(),
    )
    const session = await here.create(identity(), tokens, inAnHour(), from)
    clock.advance(1000)
    const renewed = (await there.renew(session, tokens, identity(), inAnHour(), {
      ...from,
      requestId: 'r2',
    })) as Session
    expect(renewed).toMatchObject({ createdAt: session.createdAt, signedInAt: clock.now() })
    const ended = await Promise.all([
      here.revoke(session.id, 'signed-out', 'r3'),
      there.revoke(session.id, 'directory'),
    ])
    expect(ended.filter(Boolean)).toHaveLength(1)
    expect(await here.revoke(session.id, 'expired')).toBeUndefined()
    expect(await here.renew(session, tokens, identity(), inAnHour())).toBeUndefined()
    expect(events).toEqual([
      { event: 'session-begin', session, requestId: 'r1' },
      { event: 'session-renewed', session: renewed, requestId: 'r2' },
      { event: 'session-end', reason: 'signed-out', session: renewed, requestId: 'r3' },
    ])
  })

  test('a record of an earlier version was seen and signed in when it began; a damaged one can still be ended', async () => {
    const store = memoryStore()
    const sessions = sessionsOn(store)
    const { lastSeenAt: _, signedInAt: __, ...older } = await sessions.create(identity(), tokens, inAnHour())
    await store.put(foreignSessions, older.id, older)
    const read = await sessions.read(cookieOf(sessions, older.id), NAME, HOST, clock.now())
    expect(read).toMatchObject({ signedInAt: older.createdAt, lastSeenAt: older.createdAt })
    await store.put(foreignSessions, older.id, { ...older, expiresAt: 'soon' })
    await sessions.revoke(older.id, 'signed-out')
    expect(await store.get(foreignSessions, older.id)).toBeUndefined()
  })
})

describe('tokens', () => {
  test('they are sealed in the store, each time differently, and open for their own session only', async () => {
    const store = memoryStore()
    const sessions = sessionsOn(store)
    const one = await sessions.create(identity(), tokens, inAnHour())
    const two = await sessions.create(identity(), tokens, inAnHour())
    expect(JSON.stringify(one)).not.toMatch(/eyJ|refresh-token/)
    expect(one.sealedTokens).not.toBe(two.sealedTokens)
    expect(sessions.tokens(one)).toEqual(tokens)
    expect(sessions.tokens({ ...one, sealedTokens: two.sealedTokens })).toBeUndefined()
    expect(sessions.tokens({ ...one, sealedTokens: 'garbage' })).toBeUndefined()
    expect(sessions.tokens({ ...one, sealedTokens: '' })).toBeUndefined()
  })

  test('new tokens and claims are seen by the next request; the rest of the session stays', async () => {
    const sessions = sessionsOn(memoryStore())
    const session = await sessions.create(identity(), tokens, inAnHour())
    const cookie = cookieOf(sessions, session.id)
    await sessions.read(cookie, NAME, HOST, clock.now())
    clock.advance(1000)
    await sessions.replaceTokens(session, { idToken: 'new' }, identity('00ann', { name: 'Ann B.' }))
    const next = (await sessions.read(cookie, NAME, HOST, clock.now())) as Session
    expect(sessions.tokens(next)).toEqual({ idToken: 'new' })
    expect(next).toMatchObject({ id: session.id, createdAt: session.createdAt, expiresAt: session.expiresAt })
    expect(next.identity.name).toBe('Ann B.')
  })

  test('a refresh that comes home after the sign-out does not bring the session back', async () => {
    const sessions = sessionsOn(memoryStore())
    const session = await sessions.create(identity(), tokens, inAnHour())
    await sessions.revoke(session.id, 'signed-out')
    await sessions.replaceTokens(session, { idToken: 'new' }, identity())
    expect(await sessions.get(session.id)).toBeUndefined()
  })

  test('refreshes that meet are all stored, one after the other', async () => {
    const sessions = sessionsOn(memoryStore())
    const session = await sessions.create(identity(), tokens, inAnHour())
    await Promise.all(['a', 'b', 'c'].map((idToken) => sessions.replaceTokens(session, { idToken }, identity())))
    expect(['a', 'b', 'c']).toContain(sessions.tokens((await sessions.get(session.id)) as Session)?.idToken)
  })

  test('a refresh never turns one person into another', async () => {
    const sessions = sessionsOn(memoryStore())
    const session = await sessions.create(identity(), tokens, inAnHour())
    await expect(sessions.replaceTokens(session, tokens, identity('00eve'))).rejects.toThrow(
      new TypeError('session: a refresh changed the person'),
    )
    expect((await sessions.get(session.id))?.person).toBe(person('00ann'))
  })
})

test('sessions outlive the process', async () => {
  const before = lmdbStore()
  const session = await sessionsOn(before).create(identity(), tokens, inAnHour())
  await before.close()
  const after = sessionsOn(lmdbStore())
  expect(await after.read(cookieOf(after, session.id), NAME, HOST, clock.now())).toEqual(session)
  expect(after.tokens(session)).toEqual(tokens)
})
