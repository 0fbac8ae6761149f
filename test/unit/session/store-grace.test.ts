/** What becomes of people with a session while the shared store is not heard. */
import { keyRingsOf } from '../../support/key-rings.ts'
import { beforeEach, describe, expect, test } from 'vitest'
import { AppError } from '../../../src/errors.ts'
import { ofShared } from '../../../src/lib/freshness.ts'
import { createSessions } from '../../../src/session/sessions.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { Store } from '../../../src/types.ts'
import type { Session, Sessions } from '../../../src/session/model.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'

const HOST = 'app.corp.example'
const NAME = '__Host-postern'
const GRACE = 30_000
const identity = { issuer: 'https://org.okta.example', subject: '00ann', claims: {} }
const unavailable = { code: 'ERR_STORE_UNAVAILABLE' }

let clock: ManualClock
let memory: Store
/** undefined: the store is heard and answers. */
let silentSince: number | undefined
let isDown: boolean
let gets: number
beforeEach(() => {
  clock = manualClock()
  memory = createMemoryStore({ clock })
  silentSince = undefined
  isDown = false
  gets = 0
})

function sessionsWith(storeGrace: number): Sessions {
  const store: Store = {
    ...memory,
    heardAt: () => silentSince ?? clock.monotonic(),
    async get(table, key) {
      gets++
      if (isDown) throw new AppError('ERR_STORE_UNAVAILABLE', 'store: no connection to Redis')
      return memory.get(table, key)
    },
  }
  return createSessions({
    store,
    clock,
    keyRings: keyRingsOf('a shared secret'),
    audit: () => {},
    trust: ofShared(storeGrace),
  })
}

async function signedIn(sessions: Sessions): Promise<{ session: Session; read: () => Promise<Session | undefined> }> {
  const session = await sessions.create(identity, { idToken: 'token' }, clock.now() + 3_600_000)
  const cookie = `${NAME}=${sessions.cookieValue(session.id, NAME, HOST)}`
  const read = async () => sessions.read(cookie, NAME, HOST, clock.now())
  await read()
  await read()
  return { session, read }
}

function goDown(): void {
  silentSince = clock.monotonic()
  isDown = true
}

describe('a store that is not heard', () => {
  test('people who were here lately go on for the grace, without waiting for it; then it is a fault, never a sign-out', async () => {
    const { session, read } = await signedIn(sessionsWith(GRACE))
    goDown()
    clock.advance(2000)
    const asked = gets
    for (let at = 2000; at < GRACE; at += 1000) {
      expect(await read()).toEqual(session)
      clock.advance(1000)
    }
    expect(gets).toBe(asked)
    await expect(read()).rejects.toMatchObject(unavailable)
    clock.advance(600_000)
    await expect(read()).rejects.toMatchObject(unavailable)
    silentSince = undefined
    isDown = false
    expect(await read()).toEqual(session)
  })

  test('who was not seen is a fault at once', async () => {
    const sessions = sessionsWith(GRACE)
    const session = await sessions.create(identity, { idToken: 'token' }, clock.now() + 3_600_000)
    goDown()
    const cookie = `${NAME}=${sessions.cookieValue(session.id, NAME, HOST)}`
    await expect(sessions.read(cookie, NAME, HOST, clock.now())).rejects.toMatchObject(unavailable)
  })

  test('the session ends when it ends', async () => {
    const sessions = sessionsWith(GRACE)
    const session = await sessions.create(identity, { idToken: 'token' }, clock.now() + 5000)
    const cookie = `${NAME}=${sessions.cookieValue(session.id, NAME, HOST)}`
    const read = async () => sessions.read(cookie, NAME, HOST, clock.now())
    await read()
    await read()
    goDown()
    clock.advance(4999)
    expect(await read()).toEqual(session)
    clock.advance(1)
    expect(await read()).toBeUndefined()
  })

  test('without a grace nobody is believed after two seconds', async () => {
    const { read } = await signedIn(sessionsWith(0))
    goDown()
    clock.advance(1999)
    expect(await read()).toBeDefined()
    clock.advance(1)
    await expect(read()).rejects.toMatchObject(unavailable)
  })

  test('who is told to be out is out, also while the store cannot be asked', async () => {
    const { session, read } = await signedIn(sessionsWith(GRACE))
    await memory.delete({ name: 'sessions-by-person', parse: () => true }, session.id)
    goDown()
    await expect(read()).rejects.toMatchObject(unavailable)
  })
})

test('a store that is heard and yet fails one look: the last answer, for as long as nothing else was told', async () => {
  const { session, read } = await signedIn(sessionsWith(GRACE))
  clock.advance(31_000)
  isDown = true
  expect(await read()).toEqual(session)
  isDown = false
  // It was not taken for a fresh look.
  const asked = gets
  expect(await read()).toEqual(session)
  expect(gets).toBe(asked + 1)
})

test('a store that is heard is not asked for half a minute, and what it tells counts at once', async () => {
  const { session, read } = await signedIn(sessionsWith(GRACE))
  const asked = gets
  for (let at = 0; at < 29_000; at += 1000) {
    expect(await read()).toEqual(session)
    clock.advance(1000)
  }
  expect(gets).toBe(asked)
  await memory.delete({ name: 'sessions-by-person', parse: () => true }, session.id)
  expect(await read()).toBeUndefined()
})
