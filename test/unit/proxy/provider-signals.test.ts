/** Whose sessions a message ends, and what a store that fails in the middle leaves. */
import { keyRingsOf } from '../../support/key-rings.ts'
import { headerLines } from '../../../src/http/header-lines.ts'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ControlRequest } from '../../../src/authenticate/control-request.ts'
import type { Meant, ProviderSignals, SecurityEvent } from '../../../src/identity/model.ts'
import { AppError } from '../../../src/errors.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { personKey } from '../../../src/lib/person.ts'
import { createSignalReplies } from '../../../src/proxy/provider-signals.ts'
import { createSessions } from '../../../src/session/sessions.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { JsonObject, Store } from '../../../src/types.ts'
import type { Sessions } from '../../../src/session/model.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'

const ISSUER = 'https://id.example'
const OTHER = 'https://other.example'

let clock: ManualClock
let store: Store
let sessions: Sessions
let ended: string[]
beforeEach(() => {
  clock = manualClock()
  store = createMemoryStore({ clock })
  ended = []
  sessions = createSessions({
    store,
    clock,
    keyRings: keyRingsOf('a shared secret of 32 characters'),
    audit: (entry) => {
      if (entry.event === 'session-end') ended.push(`${entry.session.identity.subject} ${entry.reason}`)
    },
  })
})
afterEach(() => {
  sessions.close()
  return store.close()
})

async function signIn(subject: string, claims: JsonObject = {}, issuer = ISSUER, email?: string): Promise<void> {
  const identity = { issuer, subject, ...(email !== undefined && { email }), claims }
  await sessions.create(identity, { idToken: 'id' }, clock.now() + 3_600_000)
}

/** As if a message had come that was read as this. */
function receive(meant: Meant | readonly SecurityEvent[], more: Partial<Store> = {}) {
  const once = { id: 'message', forgetAt: clock.now() + 60_000 }
  const signals: ProviderSignals = {
    logoutToken: async () =>
      'kind' in meant ? { kind: 'logout', ...once, meant } : Promise.reject(new Error('no logout token')),
    revocationToken: async () => ({ kind: 'revocation', ...once, issuers: [ISSUER] }),
    securityEvents: {
      isAuthorized: () => true,
      read: async () => ({ kind: 'events', ...once, events: 'kind' in meant ? [] : meant }),
    },
  }
  const replies = createSignalReplies({
    signals,
    sessions,
    directory: { status: () => 'unknown' },
    store: { ...store, ...more },
    clock,
    logger: silentLogger,
    record: () => {},
  })
  const isLogout = 'kind' in meant
  const type = isLogout ? 'application/x-www-form-urlencoded' : 'application/secevent+jwt'
  const request = {
    facts: { id: 'r', path: '/' },
    exchange: {
      head: { headers: headerLines(['content-type', type]) },
      body: Readable.from([Buffer.from('logout_token=t')]),
    },
    origin: 'https://authenticate.example',
  } as unknown as ControlRequest
  return isLogout ? replies.backChannelLogout(request) : replies.securityEvents(request)
}

const alice = personKey({ issuer: ISSUER, subject: 'alice' })

describe('whose sessions end', () => {
  test('of a person: all, and of nobody else, an equal subject of another issuer included', async () => {
    await signIn('alice')
    await signIn('alice', { sid: 's' })
    await signIn('bob')
    await signIn('alice', {}, OTHER)
    expect((await receive({ kind: 'person', person: alice })).status).toBe(200)
    expect(ended).toEqual(['alice back-channel-logout', 'alice back-channel-logout'])
  })

  test('of a session at the provider (`sid`) without a person: those that came of it, at that issuer', async () => {
    await signIn('alice', { sid: 'one' })
    await signIn('alice', { sid: 'two' })
    await signIn('bob', { sid: 'one' })
    await signIn('carol', { sid: 'one' }, OTHER)
    await receive({ kind: 'provider-session', issuer: ISSUER, sid: 'one' })
    expect(ended.toSorted()).toEqual(['alice back-channel-logout', 'bob back-channel-logout'])
  })

  test('of a session at the provider and a person: those that are both', async () => {
    await signIn('alice', { sid: 'one' })
    await signIn('bob', { sid: 'one' })
    await receive({ kind: 'provider-session', issuer: ISSUER, sid: 'one', person: alice })
    expect(ended).toEqual(['alice back-channel-logout'])
  })

  test('of an address: by e-mail address or login, at these issuers', async () => {
    await signIn('alice', {}, ISSUER, 'ann@corp.example')
    await signIn('bob', { preferred_username: 'Ann@Corp.Example' })
    await signIn('carol', { preferred_username: 'carol@corp.example' })
    await signIn('dave', {}, OTHER, 'ann@corp.example')
    await receive({ kind: 'address', address: 'ann@corp.example', issuers: [ISSUER] })
    expect(ended.toSorted()).toEqual(['alice back-channel-logout', 'bob back-channel-logout'])
  })

  test('that began before an event: by the time at which the provider says that the person signed in, else by ours', async () => {
    const seconds = Math.floor(clock.now() / 1000)
    const before = clock.now()
    await signIn('alice', { auth_time: seconds - 60 })
    clock.advance(10_000)
    await signIn('alice', { auth_time: seconds + 9 })
    await signIn('alice')
    await receive([{ kind: 'sessions-ended', meant: [{ kind: 'person', person: alice }], before }])
    expect(ended).toEqual(['alice shared-signal'])
  })

  test('that began before an event, also where the provider says that the person signed in far ahead of the sign-in', async () => {
    // In milliseconds, as some write it.
    await signIn('alice', { auth_time: clock.now() })
    await receive([
      { kind: 'sessions-ended', meant: [{ kind: 'person', person: alice }], before: clock.now() + 61_000 },
    ])
    expect(ended).toEqual(['alice shared-signal'])
  })

  test('but not those of whoever has signed in again since, in the same browser', async () => {
    const identity = { issuer: ISSUER, subject: 'alice', claims: {} }
    const expiresAt = clock.now() + 3_600_000
    const session = await sessions.create(identity, { idToken: 'id' }, expiresAt)
    const before = clock.now()
    clock.advance(10_000)
    await sessions.renew(session, { idToken: 'id' }, identity, expiresAt)
    await receive([{ kind: 'sessions-ended', meant: [{ kind: 'person', person: alice }], before }])
    expect(ended).toEqual([])
  })
})

describe('a store that fails', () => {
  const fault = (): Promise<never> => Promise.reject(new AppError('ERR_STORE_UNAVAILABLE', 'down'))

  test('before anything was done: nobody is signed out, and the message may come again', async () => {
    await signIn('alice')
    await expect(receive({ kind: 'person', person: alice }, { get: fault })).rejects.toThrow('down')
    expect(ended).toEqual([])
    expect((await receive({ kind: 'person', person: alice })).status).toBe(200)
    expect(ended).toHaveLength(1)
  })

  test('before the message was remembered: it comes again, and does no harm', async () => {
    await signIn('alice')
    await expect(receive({ kind: 'person', person: alice }, { put: fault })).rejects.toThrow('down')
    expect(ended).toHaveLength(1)
    expect((await receive({ kind: 'person', person: alice })).status).toBe(200)
    expect((await receive({ kind: 'person', person: alice })).status).toBe(400)
    expect(ended).toHaveLength(1)
  })
})
