/**
 * attack-cases.md K01 (tampering, old secret), K03 (cookie bombs), K06 (replay after sign-out: CVE-2024-21492),
 * K09 (cookie of another host), K10 (session id alone: Teleport app-session hijack), B13 (prototype names).
 */
import * as fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { deriveKey, mac } from '../../src/lib/crypto.ts'
import { keyRingsOf } from '../support/key-rings.ts'
import { Secret } from '../../src/lib/secret.ts'
import { createSessions } from '../../src/session/sessions.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/types.ts'
import type { Session, Sessions } from '../../src/session/model.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'

const HOST = 'app.corp.example'
const NAME = '__Host-postern'
const oldSecret = new Secret('the old shared secret, 32 characters')
const newSecret = new Secret('the new shared secret, 32 characters')

let clock: ManualClock
let memory: Store
let store: Store
let lookups: number
let sessions: Sessions
let session: Session
let value: string
beforeEach(async () => {
  clock = manualClock()
  lookups = 0
  memory = createMemoryStore({ clock })
  const get: Store['get'] = (table, key) => {
    lookups++
    return memory.get(table, key)
  }
  store = { ...memory, get }
  sessions = withSecrets(newSecret)
  session = await sessions.create(
    { issuer: 'https://org.okta.example', subject: '00ann', claims: {} },
    { idToken: 'token' },
    clock.now() + 3_600_000,
  )
  value = sessions.cookieValue(session.id, NAME, HOST)
})
afterEach(() => memory.close())

function withSecrets(...sharedSecrets: [Secret, ...Secret[]]): Sessions {
  return createSessions({ store, clock, keyRings: keyRingsOf(...sharedSecrets), audit: () => {} })
}

const read = (cookie: string, host = HOST, from = sessions) => from.read(cookie, NAME, host, clock.now())

/** Until cookie and session are in memory: what is seen once is not kept. */
async function use(): Promise<void> {
  for (let times = 0; times < 3; times++) expect(await read(`${NAME}=${value}`)).toEqual(session)
  const before = lookups
  expect(read(`${NAME}=${value}`)).toEqual(session)
  expect(lookups).toBe(before)
}

/** Anonymous, at once, and without a look at the store. */
function expectAnonymous(cookie: string, host = HOST, from = sessions): void {
  const before = lookups
  expect(read(cookie, host, from)).toBeUndefined()
  expect(lookups).toBe(before)
}

test('the session cookie has the documented form and is accepted', async () => {
  expect(value).toMatch(/^v1\.[\w-]{22}\.[\w-]{43}$/)
  expect(await read(`${NAME}=${value}`)).toEqual(session)
})

test('K01 a cookie with any character changed is anonymous, also after the true one was read', async () => {
  for (const seen of [false, true]) {
    if (seen) await use()
    for (let at = 0; at < value.length; at++) {
      for (const other of ['A', 'B', 'z', '0', '-', '_', '.', '=', '%', '"', ' ', '\0', 'é', '\u{1f600}', '']) {
        if (value[at] === other) continue
        expectAnonymous(`${NAME}=${value.slice(0, at)}${other}${value.slice(at + 1)}`)
      }
    }
  }
})

test('K01 every bit of the last MAC character counts, also those that base64url does not use', () => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  for (const last of alphabet) if (last !== value.at(-1)) expectAnonymous(`${NAME}=${value.slice(0, -1)}${last}`)
})

test('K01 longer, shorter, doubled, quoted, encoded or folded forms are anonymous', () => {
  const forms = [
    `${value}A`,
    value.slice(0, -1),
    value + value,
    `"${value}"`,
    encodeURIComponent(value).replaceAll('.', '%2E'),
    value.toUpperCase(),
    value.toLowerCase(),
    value.replaceAll('.', ':'),
    `V1${value.slice(2)}`,
    `v2${value.slice(2)}`,
  ]
  for (const form of forms) expectAnonymous(`${NAME}=${form}`)
})

test('K01 the MAC of one session does not serve another, nor under another cookie name', async () => {
  const other = await sessions.create(
    { issuer: 'https://org.okta.example', subject: '00bob', claims: {} },
    { idToken: 'token' },
    clock.now() + 3_600_000,
  )
  const otherValue = sessions.cookieValue(other.id, NAME, HOST)
  expectAnonymous(`${NAME}=${value.slice(0, 26)}${otherValue.slice(26)}`)
  expectAnonymous(`${NAME}=${otherValue.slice(0, 26)}${value.slice(26)}`)
  expectAnonymous(`${NAME}2=${value}; x${NAME}=${value}; __host-postern=${value}; postern-nonce=${value}`)
})

test('K09 a cookie is anonymous on any other host, before and after it was used on its own', async () => {
  for (const seen of [false, true]) {
    if (seen) await use()
    for (const host of [
      'admin.corp.example',
      'app.corp.example.',
      'APP.corp.example',
      'corp.example',
      '',
      'app.corp.exampl',
    ]) {
      expectAnonymous(`${NAME}=${value}`, host)
    }
  }
})

test('K09 moving characters between id and host gives another MAC', () => {
  const key = deriveKey(newSecret.reveal(), 'session cookie')
  expect(mac(key, 'ab', 'c')).not.toBe(mac(key, 'a', 'bc'))
  expect(mac(key, 'a', '1:b')).not.toBe(mac(key, 'a1:b'))
})

test('K10 the id alone, or with a MAC that anybody can compute, is anonymous', () => {
  const { id } = session
  const known = [
    id,
    `v1.${id}`,
    `v1.${id}.`,
    `v1.${id}.${'A'.repeat(43)}`,
    `v1.${id}.${mac(Buffer.alloc(32), id, HOST)}`,
  ]
  for (const guess of known) expectAnonymous(`${NAME}=${guess}`)
})

test('K01 cookies and tokens of an old secret are accepted while the secret is listed, and not after', async () => {
  const before = withSecrets(oldSecret)
  const during = withSecrets(newSecret, oldSecret)
  const old = await before.create(session.identity, { idToken: 'old' }, session.expiresAt)
  const oldCookie = `${NAME}=${before.cookieValue(old.id, NAME, HOST)}`
  expect(await read(oldCookie, HOST, during)).toEqual(old)
  expect(during.tokens(old)).toEqual({ idToken: 'old' })
  expect(during.cookieValue(session.id, NAME, HOST)).toBe(value)
  expectAnonymous(oldCookie, HOST, sessions)
  expect(sessions.tokens(old)).toBeUndefined()
  expectAnonymous(`${NAME}=${value}`, HOST, before)
})

test('K06 a cookie saved before the sign-out is anonymous after it', async () => {
  await use()
  await sessions.revoke(session.id, 'signed-out')
  expect(await read(`${NAME}=${value}`)).toBeUndefined()
  clock.advance(10_000)
  expect(await read(`${NAME}=${value}`)).toBeUndefined()
})

test('K03 180 cookies of 4 KiB do not hide the session', async () => {
  const bomb = Array.from({ length: 180 }, (_, i) => `bomb${i}=${'x'.repeat(4096)}`).join('; ')
  expectAnonymous(bomb)
  expect(await read(`${bomb}; ${NAME}=${value}`)).toEqual(session)
})

test('K03 of 180 forged session cookies only eight are verified', () => {
  const forged = `v1.${session.id}.${'A'.repeat(43)}`
  expectAnonymous(Array.from({ length: 180 }, () => `${NAME}=${forged}`).join('; '))
  expectAnonymous(`${Array.from({ length: 180 }, () => `${NAME}=${forged}`).join('; ')}; ${NAME}=${value}`)
})

test('B13 cookies named like members of Object.prototype are treated like any other', async () => {
  const header = '__proto__=x; constructor=y; toString=z; hasOwnProperty=1; =; __proto__'
  expectAnonymous(header)
  expect(await read(`${header}; ${NAME}=${value}`)).toEqual(session)
})

test('no Cookie header makes reading throw or ask the store without a valid MAC', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom(
      NAME,
      '=',
      ';',
      ' ',
      `${NAME}=`,
      'v1.',
      '.',
      'A'.repeat(22),
      'A'.repeat(43),
      `v1.${'A'.repeat(22)}.`,
    ),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.string(), (pieces, host) => {
      expectAnonymous(pieces.join(''), host)
    }),
    { numRuns: 2000 },
  )
})
