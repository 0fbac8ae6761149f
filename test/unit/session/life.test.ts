import { keyRingsOf } from '../../support/key-rings.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AuditEvent } from '../../../src/lib/audit.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { later } from '../../../src/lib/time.ts'
import { createExpiry } from '../../../src/session/ends.ts'
import { isActivity } from '../../../src/session/life.ts'
import { createSessions } from '../../../src/session/sessions.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { Store, Tokens } from '../../../src/types.ts'
import type { Session, Sessions } from '../../../src/session/model.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const identity = { issuer: 'https://org.okta.example', subject: '00ann', claims: {} }

let clock: ManualClock
let store: Store
/** Of the session's record. */
let puts: number
let events: AuditEvent[]
let sessions: Sessions
let closing: (() => unknown)[]
beforeEach(() => {
  clock = manualClock()
  puts = 0
  events = []
  const memory = createMemoryStore({ clock })
  store = {
    ...memory,
    async put(table, ...rest) {
      if (table.name === 'sessions-by-person') puts++
      return memory.put(table, ...rest)
    },
  }
  sessions = createSessions({
    store,
    clock,
    keyRings: keyRingsOf('a shared secret of 32 characters'),
    audit: (event) => void events.push(event),
  })
  closing = [() => memory.close(), () => sessions.close()]
})
afterEach(async () => {
  for (const close of closing.toReversed()) await close()
})

async function begin(idleTimeout?: number, tokens: Tokens = { idToken: 'id' }): Promise<Session> {
  const from = { provider: 'okta', requestId: 'r', userAgent: '', clientIp: '::1' }
  const origin = { ...from, ...(idleTimeout !== undefined && { idleTimeout }) }
  const session = await sessions.create(identity, tokens, later(clock.now(), 10 * HOUR), origin)
  puts = 0
  return session
}

const settle = () => clock.advanceAsync(0)
const current = async ({ id }: Session) => (await sessions.get(id)) as Session

describe('use', () => {
  test.each([
    ['html', 'GET', true],
    ['html', 'POST', true],
    ['json', 'POST', true],
    ['json', 'DELETE', true],
    ['json', 'GET', false],
    ['json', 'HEAD', false],
    ['json', 'OPTIONS', false],
    ['json', 'PROPFIND', false],
    ['upgrade', 'GET', false],
  ] as const)('a request that wants %s with %s: %s', (wants, method, counts) => {
    expect(isActivity({ wants, method })).toBe(counts)
  })

  test.each([
    [20 * MINUTE, MINUTE],
    [2 * MINUTE, MINUTE / 2],
    [undefined, 5 * MINUTE],
  ])('with a limit of %s it is noted every %s ms at most, by one write of 50 requests', async (limit, interval) => {
    const session = await begin(limit)
    clock.advance(interval - 1)
    sessions.seen(session, clock.now())
    await settle()
    expect(puts).toBe(0)
    clock.advance(1)
    for (let i = 0; i < 50; i++) sessions.seen(session, clock.now())
    await settle()
    expect(puts).toBe(1)
    expect((await current(session)).lastSeenAt).toBe(clock.now())
    // Another process still holds the older record.
    sessions.seen(session, clock.now())
    await settle()
    expect((await current(session)).lastSeenAt).toBe(clock.now())
  })

  test('it moves the end, but not past the absolute one, and never brings back what has ended', async () => {
    const session = await begin(4 * HOUR)
    for (let hour = 3; hour <= 9; hour += 3) {
      clock.advance(3 * HOUR)
      sessions.seen(await current(session), clock.now())
      await settle()
    }
    clock.advance(HOUR - 1)
    expect(await sessions.get(session.id)).toBeDefined()
    clock.advance(1)
    expect(await sessions.get(session.id)).toBeUndefined()
    const other = await begin(MINUTE)
    clock.advance(MINUTE)
    sessions.seen(other, clock.now())
    await settle()
    expect(await sessions.get(other.id)).toBeUndefined()
    expect(await sessions.replaceTokens(other, { idToken: 'new' }, identity)).toBeUndefined()
  })
})

describe('a session whose time is over', () => {
  test('is ended by one of the processes within a quarter of a minute, with its reason', async () => {
    for (let i = 0; i < 3; i++) {
      const expiry = createExpiry({ store, sessions, clock, logger: silentLogger })
      closing.push(() => expiry.close())
    }
    const idle = await begin(20 * MINUTE)
    const used = await begin(20 * MINUTE)
    const unlimited = await begin()
    await clock.advanceAsync(15 * MINUTE)
    sessions.seen(used, clock.now())
    await clock.advanceAsync(5 * MINUTE + 15_000)
    expect(events.filter(({ event }) => event === 'session-end')).toEqual([
      { event: 'session-end', reason: 'idle', session: idle },
    ])
    await clock.advanceAsync(15 * MINUTE)
    expect(events.filter(({ event }) => event === 'session-end')).toHaveLength(2)
    await clock.advanceAsync(10 * HOUR)
    expect(events.at(-1)).toMatchObject({ reason: 'expired', session: { id: unlimited.id } })
    expect(events.filter(({ event }) => event === 'session-end')).toHaveLength(3)
    const left: string[] = []
    for await (const { id } of sessions.list()) left.push(id)
    expect(left).toEqual([])
  })

  test('while no process ran is ended when one starts', async () => {
    await begin(20 * MINUTE)
    clock.advance(25 * MINUTE)
    const expiry = createExpiry({ store, sessions, clock, logger: silentLogger })
    closing.push(() => expiry.close())
    await clock.advanceAsync(5000)
    expect(events.at(-1)).toMatchObject({ event: 'session-end', reason: 'idle' })
  })

  test('that is not read, listed or counted any more leaves nothing behind when it was ended by somebody', async () => {
    const session = await begin(20 * MINUTE)
    await sessions.revoke(session.id, 'signed-out')
    const expiry = createExpiry({ store, sessions, clock, logger: silentLogger })
    closing.push(() => expiry.close())
    await clock.advanceAsync(30 * MINUTE)
    expect(events.map(({ event }) => event)).toEqual(['session-begin', 'session-end'])
  })
})
