/** Who refreshes, and what becomes of a new refresh token when something fails at the worst moment. */
import { keyRingsOf } from '../../support/key-rings.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AppError } from '../../../src/errors.ts'
import type { AuditEvent } from '../../../src/lib/audit.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { later, NEVER } from '../../../src/lib/time.ts'
import { postErrand } from '../../../src/session/errands.ts'
import { createRefresher, type Refresher } from '../../../src/session/refresher.ts'
import { createSessions } from '../../../src/session/sessions.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { Identity, IdentityProvider, Refreshed, Store, WallTime } from '../../../src/types.ts'
import type { Session, Sessions } from '../../../src/session/model.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'
import { timePasses } from '../../support/passing-time.ts'

const HOUR = 3_600_000
const identity: Identity = { issuer: 'https://idp.test', subject: '00ann', claims: {} }
const from = { provider: 'okta', requestId: 'r', userAgent: 'test', clientIp: '::1' }

let clock: ManualClock
let store: Store
let fault: { readonly puts?: boolean } = {}
let events: AuditEvent[]
let renewed: Session[]
let outcomes: string[]
/** Refresh tokens that the provider was asked about, in order. */
let asked: string[]
let revoked: string[]
let revoke: (token: string) => Promise<void>
/** Messages of level info. */
let lines: string[]
let answer: (given: string, keep: (token: string) => Promise<void>) => Promise<Refreshed>
/** When the credentials came into force. */
let rotatedAt: WallTime
let closing: (() => unknown)[]

beforeEach(() => {
  clock = manualClock()
  rotatedAt = NEVER
  const memory = createMemoryStore({ clock })
  store = {
    ...memory,
    put: async (...args) => {
      if (fault.puts && args[0].name === 'sessions-by-person')
        throw new AppError('ERR_STORE_UNAVAILABLE', 'store: disk')
      return memory.put(...args)
    },
  }
  fault = {}
  events = []
  renewed = []
  outcomes = []
  asked = []
  revoked = []
  revoke = async (token) => void revoked.push(token)
  lines = []
  answer = async (given, keep) => {
    await keep(`${given}+`)
    return renewal(`${given}+`)
  }
  closing = [() => memory.close()]
})
afterEach(async () => {
  for (const close of closing.toReversed()) await close()
})

function renewal(refreshToken: string, name = 'Ann'): Refreshed {
  const tokens = { idToken: 'id', refreshToken, accessTokenExpiresAt: later(clock.now(), HOUR) }
  return { outcome: 'renewed', identity: { ...identity, name }, tokens }
}

interface Process {
  readonly sessions: Sessions
  readonly refresher: Refresher
}

function startProcess(mayCall = true): Process {
  const sessions = createSessions({
    store,
    clock,
    keyRings: keyRingsOf('a shared secret of 32 characters'),
    audit: (event) => void events.push(event),
  })
  const idp = {
    name: 'okta',
    issuer: identity.issuer,
    timeout: 10_000,
    refresh: ({ refreshToken }, _signal, keep) => {
      asked.push(refreshToken)
      return answer(refreshToken, keep)
    },
    revoke: (token) => revoke(token),
  } as Pick<IdentityProvider, 'name' | 'issuer' | 'timeout' | 'refresh' | 'revoke'> as IdentityProvider
  const refresher = createRefresher({
    sessions,
    store,
    idps: { of: () => idp },
    clock,
    logger: { ...silentLogger, audit: (_fields, message) => void lines.push(message) },
    mayCall,
    credentialsSince: () => rotatedAt,
    renewed: async (session) => void renewed.push(session),
    refreshed: (outcome) => void outcomes.push(outcome),
    random: () => 0.5,
  })
  closing.push(async () => {
    await refresher.close()
    sessions.close()
  })
  return { sessions, refresher }
}

async function signIn({ sessions }: Process): Promise<Session> {
  const tokens = { idToken: 'id', refreshToken: 'rt', accessTokenExpiresAt: later(clock.now(), HOUR) }
  return sessions.create(identity, tokens, later(clock.now(), 10 * HOUR), from)
}

const current = async ({ sessions }: Process, { id }: Session) => sessions.get(id)
const tokenOf = async (process: Process, session: Session) =>
  process.sessions.tokens((await current(process, session)) as Session)?.refreshToken
const isSettled = (promise: Promise<unknown>) => {
  let settled = false
  void promise.finally(() => (settled = true))
  return async () => settled
}

test('nothing is asked before the last five minutes of the tokens; then once, and nobody waits', async () => {
  const process = startProcess()
  const session = await signIn(process)
  clock.advance(55 * 60_000 - 1)
  expect(process.refresher.fresh(session, clock.now())).toBe(session)
  clock.advance(1)
  for (let i = 0; i < 3; i++) expect(process.refresher.fresh(session, clock.now())).toBe(session)
  await timePasses(clock, () => renewed.length > 0, 0)
  expect(asked).toEqual(['rt'])
  expect(await current(process, session)).toMatchObject({
    identity: { name: 'Ann' },
    refresh: { lapsesAt: clock.now() + HOUR, dueAt: clock.now() + 55 * 60_000, failures: 0 },
  })
})

test('whoever comes with tokens that have ended gets the session as it is after the refresh', async () => {
  const process = startProcess()
  const session = await signIn(process)
  clock.advance(HOUR)
  const fresh = process.refresher.fresh(session, clock.now())
  expect(await fresh).toMatchObject({ id: session.id, identity: { name: 'Ann' } })
  expect(await tokenOf(process, session)).toBe('rt+')
})

test('a request waits no longer than idp_timeout for an answer, which is not lost when it comes', async () => {
  const process = startProcess()
  const session = await signIn(process)
  clock.advance(HOUR)
  let come = (): void => {}
  answer = (given) => new Promise((resolve) => (come = () => resolve(renewal(`${given}+`))))
  const fresh = Promise.resolve(process.refresher.fresh(session, clock.now()))
  const settled = isSettled(fresh)
  await clock.advanceAsync(9000)
  expect(await settled()).toBe(false)
  await timePasses(clock, settled, 500)
  expect(await fresh).toMatchObject({ id: session.id, refresh: { failures: 0 } })
  come()
  await timePasses(clock, () => renewed.length > 0, 0)
  expect(await tokenOf(process, session)).toBe('rt+')
})

test('while one process waits for the provider another does not ask, for as long as it takes', async () => {
  const [here, there] = [startProcess(), startProcess()]
  const session = await signIn(here)
  clock.advance(HOUR)
  let come = (): void => {}
  answer = (given) => new Promise((resolve) => (come = () => resolve(renewal(`${given}+`))))
  const both = Promise.all([here, there].map(async ({ refresher }) => refresher.fresh(session, clock.now())))
  await timePasses(clock, isSettled(both), 1000)
  expect(asked).toEqual(['rt'])
  await clock.advanceAsync(20_000)
  expect(asked).toEqual(['rt'])
  come()
  await timePasses(clock, () => renewed.length > 0, 0)
  expect(await there.refresher.fresh((await current(there, session)) as Session, clock.now())).toMatchObject({
    identity: { name: 'Ann' },
  })
  expect(asked).toEqual(['rt'])
})

test('a process that died with the answer is followed by another, which tries the old token', async () => {
  const [dying, other] = [startProcess(), startProcess()]
  const session = await signIn(dying)
  clock.advance(HOUR)
  // Its lease is never renewed nor released.
  expect(await store.lease(`refresh ${session.id}`, 6000)).toBeDefined()
  const fresh = Promise.resolve(other.refresher.fresh(session, clock.now()))
  await timePasses(clock, isSettled(fresh), 1000)
  expect(asked).toEqual(['rt'])
  expect(await fresh).toMatchObject({ identity: { name: 'Ann' } })
})

test('a new refresh token is stored before the rest of the answer, so that a fault after it does not lose it', async () => {
  const process = startProcess()
  const session = await signIn(process)
  clock.advance(HOUR)
  answer = async (given, keep) => {
    await keep(`${given}+`)
    throw new AppError('ERR_IDP_UNREACHABLE', 'userinfo: 503')
  }
  expect(await process.refresher.fresh(session, clock.now())).toMatchObject({ refresh: { failures: 1 } })
  expect(await tokenOf(process, session)).toBe('rt+')
})

test('a store that takes nothing for a while gets the new token in the end', async () => {
  const process = startProcess()
  const session = await signIn(process)
  clock.advance(HOUR)
  fault = { puts: true }
  const fresh = Promise.resolve(process.refresher.fresh(session, clock.now()))
  await clock.advanceAsync(5000)
  fault = {}
  await timePasses(clock, isSettled(fresh), 500)
  expect(await tokenOf(process, session)).toBe('rt+')
  expect(asked).toEqual(['rt'])
})

test('a provider without an answer is asked later and later, and nobody waits for it twice', async () => {
  const process = startProcess()
  let session = await signIn(process)
  clock.advance(HOUR)
  answer = () => Promise.reject(new AppError('ERR_IDP_UNREACHABLE', 'POST https://idp.test/token answered 429'))
  session = (await process.refresher.fresh(session, clock.now())) as Session
  const pauses: number[] = []
  for (let i = 0; i < 9; i++) {
    pauses.push(Number(session.refresh?.dueAt) - clock.now())
    clock.advance(pauses.at(-1) ?? 0)
    expect(process.refresher.fresh(session, clock.now())).toBe(session)
    await timePasses(clock, () => asked.length === i + 2, 0)
    await timePasses(clock, async () => (await current(process, session))?.refresh?.failures === i + 2, 0)
    session = (await current(process, session)) as Session
  }
  expect(new Set(outcomes)).toEqual(new Set(['failed']))
  expect(pauses).toEqual([5000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000])
  expect(events.map(({ event }) => event)).toEqual(['session-begin'])
})

test('credentials that were replaced are tried at once, and a request waits for tokens that have ended', async () => {
  const process = startProcess()
  let session = await signIn(process)
  clock.advance(HOUR)
  answer = () =>
    Promise.reject(new AppError('ERR_IDP_CLIENT', 'refresh: the identity provider answered invalid_client'))
  for (let i = 1; i <= 3; i++) {
    await process.refresher.fresh(session, clock.now())
    await timePasses(clock, async () => (await current(process, session))?.refresh?.failures === i, 0)
    session = (await current(process, session)) as Session
    clock.advance(i < 3 ? Number(session.refresh?.dueAt) - clock.now() : 1)
  }
  expect(process.refresher.fresh(session, clock.now())).toBe(session)
  rotatedAt = clock.now()
  session = (await process.refresher.fresh(session, clock.now())) as Session
  // Wrong once more: as long as after a first failure.
  expect(session.refresh).toMatchObject({ failures: 1, dueAt: later(clock.now(), 5000) })
  rotatedAt = clock.now()
  answer = async (given) => renewal(`${given}+`)
  expect(await process.refresher.fresh(session, clock.now())).toMatchObject({ refresh: { failures: 0 } })
  expect(await tokenOf(process, session)).toBe('rt+')
  expect(asked).toHaveLength(5)
})

describe('an answer that ends the session', () => {
  test.each([
    ['refused', 'refresh-refused', []],
    ['mismatch', 'refresh-mismatch', ['rt+']],
  ] as const)(
    '%s: over, with its reason; only a token that is still good is revoked',
    async (outcome, reason, tokens) => {
      const process = startProcess()
      const session = await signIn(process)
      clock.advance(HOUR)
      answer = async (_given, keep) => {
        if (outcome === 'mismatch') await keep('rt+')
        return { outcome }
      }
      expect(await process.refresher.fresh(session, clock.now())).toBeUndefined()
      expect(events.at(-1)).toMatchObject({ event: 'session-end', reason })
      expect(outcomes).toEqual([outcome])
      await clock.advanceAsync(1000)
      expect(revoked).toEqual(tokens)
    },
  )

  test('is about older tokens when the person has signed in again meanwhile', async () => {
    const process = startProcess()
    const session = await signIn(process)
    clock.advance(HOUR)
    answer = async () => {
      await process.sessions.renew(
        session,
        { idToken: 'id2', refreshToken: 'another' },
        identity,
        session.expiresAt,
        from,
      )
      return { outcome: 'refused' }
    }
    expect(await process.refresher.fresh(session, clock.now())).toMatchObject({ id: session.id })
    expect(await tokenOf(process, session)).toBe('another')
  })
})

test('a refresh that comes home after the person has signed in again leaves what that sign-in said', async () => {
  const process = startProcess()
  const session = await signIn(process)
  clock.advance(HOUR)
  const stronger = { ...identity, claims: { ...identity.claims, acr: 'phr' } }
  answer = async (given, keep) => {
    clock.advance(1000)
    const tokens = { idToken: 'id2', refreshToken: 'another' }
    await process.sessions.renew(session, tokens, stronger, session.expiresAt, from)
    await keep(`${given}+`)
    return renewal(`${given}+`, 'Older')
  }
  expect(await process.refresher.fresh(session, clock.now())).toMatchObject({ identity: stronger })
  expect(await tokenOf(process, session)).toBe('another')
})

describe('a session that ends', () => {
  test('leaves its refresh token to be revoked, by whichever process may call the provider', async () => {
    const proxy = startProcess(false)
    const session = await signIn(proxy)
    await proxy.sessions.revoke(session.id, 'signed-out')
    await clock.advanceAsync(1000)
    expect(revoked).toEqual([])
    startProcess()
    await clock.advanceAsync(1000)
    expect(revoked).toEqual(['rt'])
  })

  test('is told to a provider that is away later, and later again, and keeps nobody else waiting', async () => {
    const process = startProcess()
    let isAway = true
    revoke = async (token) => {
      attempts.push(clock.now())
      if (isAway) throw new AppError('ERR_IDP_UNREACHABLE', 'POST https://idp.test/revoke answered 503')
      revoked.push(token)
    }
    const attempts: number[] = []
    for (let i = 0; i < 20; i++) await process.sessions.revoke((await signIn(process)).id, 'signed-out')
    await clock.advanceAsync(1000)
    expect(attempts).toHaveLength(20)
    await postErrand(store, clock, { kind: 'audit', key: 'k', fields: { event: 'session-end' }, message: 'told' })
    await clock.advanceAsync(1000)
    expect(lines).toEqual(['told'])
    await clock.advanceAsync(2 * 60_000)
    expect(attempts).toHaveLength(40)
    isAway = false
    await clock.advanceAsync(4 * 60_000)
    expect(revoked).toHaveLength(20)
    expect(attempts).toHaveLength(60)
  })

  test('while it is refreshed does not come back, and both of its tokens are revoked', async () => {
    const process = startProcess()
    const session = await signIn(process)
    clock.advance(HOUR)
    answer = async (given, keep) => {
      await process.sessions.revoke(session.id, 'signed-out')
      await keep(`${given}+`)
      return renewal(`${given}+`)
    }
    expect(await process.refresher.fresh(session, clock.now())).toBeUndefined()
    await clock.advanceAsync(1000)
    expect(revoked.toSorted()).toEqual(['rt', 'rt+'])
    expect(renewed).toEqual([])
  })
})

test('a process without the provider’s secret asks one that has it, and waits for the record', async () => {
  const proxy = startProcess(false)
  const session = await signIn(proxy)
  clock.advance(HOUR)
  const fresh = Promise.resolve(proxy.refresher.fresh(session, clock.now()))
  await clock.advanceAsync(1000)
  expect(asked).toEqual([])
  startProcess()
  await timePasses(clock, isSettled(fresh), 500)
  expect(asked).toEqual(['rt'])
  expect(await fresh).toMatchObject({ identity: { name: 'Ann' } })
})

test('where nobody is there to ask the provider, one request waits for that, and the others go on', async () => {
  const proxy = startProcess(false)
  const session = await signIn(proxy)
  clock.advance(HOUR)
  const first = Promise.resolve(proxy.refresher.fresh(session, clock.now()))
  await timePasses(clock, isSettled(first), 1000)
  expect(await first).toMatchObject({ id: session.id })
  for (let minute = 0; minute < 3; minute++) {
    expect(proxy.refresher.fresh(session, clock.now())).toBe(session)
    await clock.advanceAsync(60_000)
  }
  startProcess()
  await timePasses(clock, () => renewed.length > 0, 1000)
  const next = (await current(proxy, session)) as Session
  clock.advance(HOUR)
  const again = Promise.resolve(proxy.refresher.fresh(next, clock.now()))
  await timePasses(clock, isSettled(again), 500)
  expect(asked).toEqual(['rt', 'rt+'])
})

test('a session whose provider gave no refresh token is as it is', async () => {
  const process = startProcess()
  const session = await process.sessions.create(identity, { idToken: 'id' }, later(clock.now(), 10 * HOUR), from)
  expect(session.refresh).toBeUndefined()
  clock.advance(9 * HOUR)
  expect(process.refresher.fresh(session, clock.now())).toBe(session)
  await clock.advanceAsync(1000)
  expect(asked).toEqual([])
})
