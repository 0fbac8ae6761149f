import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Budget,
  bucketOf,
  createBudget,
  type RateFacts,
  readRateFacts,
} from '../../../src/directory/okta/budget.ts'
import type { ReadPriority } from '../../../src/directory/model.ts'

const USERS = '/api/v1/users'
const T0 = Date.UTC(2026, 10, 20, 12)
/** Of an answer that names no date. */
const OURS = T0 + 7
const PRIORITIES: readonly ReadPriority[] = ['sign-in', 'confirm', 'background', 'reconcile']

function budget(options: { share?: number; parallel?: number } = {}): Budget {
  return createBudget({ share: 0.5, parallel: 4, random: () => 0.5, ...options })
}

function facts(given: Partial<RateFacts> = {}): RateFacts {
  return { limited: false, limit: 100, remaining: 99, reset: T0 + 30_000, date: T0, ...given }
}

function goes(of: Budget, priority: ReadPriority, now: number): number {
  let count = 0
  while (count < 1000 && of.ask(USERS, priority, now).go) count++
  return count
}

describe('repairs', () => {
  test('take at most a fifth of a bucket in one window, and leave the rest to everybody else', () => {
    const of = budget({ share: 1 })
    of.learn(USERS, facts({ remaining: 100 }), T0)
    expect(goes(of, 'reconcile', T0)).toBe(20)
    expect(of.ask(USERS, 'background', T0).go).toBe(true)
    expect(goes(of, 'reconcile', T0 + 32_000)).toBe(20)
  })

  test('yield below 30 % of what remains, also when somebody else used it up', () => {
    const of = budget({ share: 1 })
    of.learn(USERS, facts({ remaining: 30 }), T0)
    expect(goes(of, 'reconcile', T0)).toBe(0)
    expect(of.ask(USERS, 'confirm', T0).go).toBe(true)
  })

  test('of a small bucket, one call', () => {
    const of = budget({ share: 1 })
    of.learn(USERS, facts({ limit: 4, remaining: 4 }), T0)
    expect(goes(of, 'reconcile', T0)).toBe(1)
  })
})

describe('a share of each bucket', () => {
  test('a bucket that never answered does not hold anything back', () => {
    expect(goes(budget(), 'background', T0)).toBe(1000)
  })

  test('sign-ins use the whole share, confirmations and the background leave room for them', () => {
    const allowed = (priority: ReadPriority) => {
      const of = budget()
      of.learn(USERS, facts({ remaining: 100 }), T0)
      return goes(of, priority, T0)
    }
    expect([allowed('sign-in'), allowed('confirm'), allowed('background')]).toEqual([50, 43, 35])
  })

  test('calls under way when a window begins are of that window: the share is not exceeded by them', () => {
    const of = budget()
    const next = T0 + 31_000
    of.learn(USERS, facts(), T0)
    for (let call = 0; call < 4; call++) expect(of.ask(USERS, 'sign-in', next).go).toBe(true)
    of.learn(USERS, facts({ remaining: 99, reset: next + 60_000, date: next }), next)
    expect(goes(of, 'sign-in', next)).toBe(46)
  })

  test('calls of other clients count: background calls stop when 30 % is left, sign-ins when 10 % is left', () => {
    const of = budget({ share: 1 })
    of.learn(USERS, facts({ remaining: 31 }), T0)
    expect(goes(of, 'background', T0)).toBe(1)
    expect(goes(of, 'sign-in', T0)).toBe(20)
    expect(of.ask(USERS, 'sign-in', T0)).toEqual({ go: false, waitUntil: T0 + 31_000 })
  })

  test('a bucket of any size allows one call', () => {
    const of = budget({ share: 0.01 })
    of.learn(USERS, facts({ limit: 20, remaining: 20 }), T0)
    expect(goes(of, 'background', T0)).toBe(1)
  })

  test("a window ends one second after the reset, by Okta's clock", () => {
    const of = budget()
    // Okta's clock is an hour ahead of ours: only the difference between its two headers matters.
    of.learn(USERS, facts({ remaining: 0, reset: T0 + 3_600_000 + 20_000, date: T0 + 3_600_000 }), T0)
    expect(of.ask(USERS, 'sign-in', T0)).toEqual({ go: false, waitUntil: T0 + 21_000 })
    expect(of.ask(USERS, 'sign-in', T0 + 20_999).go).toBe(false)
    expect(of.ask(USERS, 'sign-in', T0 + 21_000).go).toBe(true)
  })

  test('a late answer does not raise what a newer answer said is left', () => {
    const of = budget()
    of.learn(USERS, facts({ remaining: 40 }), T0)
    of.learn(USERS, facts({ remaining: 90 }), T0 + 10)
    of.learn(USERS, facts({ remaining: 95, reset: T0 - 30_000 }), T0 + 20)
    expect(of.buckets(T0 + 20)).toEqual([
      { name: USERS, limit: 100, remaining: 40, used: 0, allowance: 50, resetsAt: T0 + 10 + 31_000 },
    ])
  })

  test('buckets are kept apart', () => {
    const of = budget()
    of.learn(USERS, facts({ limited: true, remaining: 0 }), T0)
    expect(of.ask(USERS, 'sign-in', T0).go).toBe(false)
    expect(of.ask('/api/v1/logs', 'background', T0).go).toBe(true)
  })
})

describe('a 429', () => {
  const blockedFor = (given: Partial<RateFacts>) => {
    const of = budget()
    of.learn(USERS, facts({ limited: true, remaining: 0, ...given }), T0)
    const turn = of.ask(USERS, 'sign-in', T0)
    return turn.go ? 0 : Number(turn.waitUntil) - T0
  }

  test.each([
    ['reset ahead', { reset: T0 + 20_000 }, 21_500],
    ['reset in the past', { reset: T0 - 5000 }, 1500],
    ['reset absurdly far away', { reset: T0 + 86_400_000 }, 61_500],
    ['no reset', { reset: undefined }, 60_500],
    ['no headers at all', { reset: undefined, limit: undefined, remaining: undefined }, 60_500],
  ])('%s', (_name, given, wait) => {
    expect(blockedFor(given)).toBe(wait)
  })

  test('429 with limit 0 (concurrency): all buckets pause, fewer calls run at once, one more is allowed each minute', () => {
    const of = budget()
    of.learn(USERS, facts({ limited: true, limit: 0, remaining: 0, reset: T0 + 60_000 }), T0)
    expect(of.ask('/api/v1/logs', 'sign-in', T0)).toEqual({ go: false, waitUntil: T0 + 1500 })
    expect(of.ask(USERS, 'sign-in', T0 + 1500).go).toBe(true)
    expect([0, 60_000, 120_000, 600_000].map((later) => of.parallelism(T0 + later))).toEqual([2, 3, 4, 4])
    of.learn(USERS, facts({ limited: true, limit: 0 }), T0 + 1500)
    of.learn(USERS, facts({ limited: true, limit: 0 }), T0 + 3000)
    expect(of.parallelism(T0 + 3000)).toBe(1)
  })
})

describe('headers', () => {
  const read = (headers: Record<string, string | string[]>) => readRateFacts(200, headers, OURS)

  test('epoch seconds and an HTTP date', () => {
    const headers = {
      date: 'Fri, 20 Nov 2026 12:00:00 GMT',
      'x-rate-limit-limit': '500',
      'x-rate-limit-remaining': '0',
      'x-rate-limit-reset': '1795176060',
    }
    expect(readRateFacts(429, headers, OURS)).toEqual({
      limited: true,
      limit: 500,
      remaining: 0,
      reset: 1_795_176_060_000,
      date: T0,
    })
  })

  test.each([
    ['twice, as two lines', ['1795176060', '1795176061']],
    ['twice, joined', '1795176060, 1795176061'],
    ['negative', '-1'],
    ['words', 'soon'],
    ['empty', ''],
    ['hexadecimal', '0x10'],
  ])('%s: as if it were not there, and without a date it is our own clock', (_name, value) => {
    expect(read({ 'x-rate-limit-reset': value, date: value })).toMatchObject({ reset: undefined, date: OURS })
  })
})

test.each([
  ['GET', '/api/v1/groups', '/api/v1/groups'],
  ['GET', '/api/v1/groups/00g1/users', '/api/v1/groups'],
  ['GET', '/api/v1/groups/rules', '/api/v1/groups'],
  ['GET', '/api/v1/groups/00g1', '/api/v1/groups/{id}'],
  ['GET', '/api/v1/users', '/api/v1/users'],
  ['GET', '/api/v1/users/00u1/groups', '/api/v1/users'],
  ['DELETE', '/api/v1/users/00u1/sessions', '/api/v1/users'],
  ['GET', '/api/v1/users/00u1', '/api/v1/users/{id}'],
  ['GET', '/api/v1/users/me', '/api/v1/users/me'],
  ['GET', '/api/v1/apps/0oa1/groups', '/api/v1/apps'],
  ['GET', '/api/v1/logs', '/api/v1/logs'],
  ['POST', '/api/v1/eventHooks', '/api/v1'],
])('%s %s counts in %s', (method, path, bucket) => {
  expect(bucketOf(method, path)).toBe(bucket)
})

test('whatever the order of calls and answers, no window of the server sees more of us than our share', () => {
  const step = fc.record({
    priority: fc.constantFrom(...PRIORITIES),
    wait: fc.integer({ min: 0, max: 8000 }),
    // How many answers are still under way when the next call is made.
    held: fc.integer({ min: 0, max: 3 }),
    others: fc.integer({ min: 0, max: 3 }),
  })
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 50, maxLength: 300 }),
      fc.integer({ min: 4, max: 60 }),
      fc.constantFrom(0.1, 0.3, 0.5, 1),
      fc.integer({ min: 0, max: 59_000 }),
      (steps, limit, share, phase) => {
        const of = createBudget({ share, parallel: 4, random: () => 0 })
        const ours = new Map<number, number>()
        const all = new Map<number, number>()
        const flying: RateFacts[] = []
        let now = T0
        // The first answer is learnt before anything else is asked, as after a start.
        of.learn(USERS, facts({ limit, remaining: limit, reset: endOf(now), date: now }), now)
        for (const { priority, wait, held, others } of steps) {
          now += wait
          const window = endOf(now)
          all.set(window, (all.get(window) ?? 0) + others)
          if (of.ask(USERS, priority, now).go) {
            ours.set(window, (ours.get(window) ?? 0) + 1)
            const used = (all.get(window) ?? 0) + 1
            all.set(window, used)
            flying.push(
              facts({ limited: used > limit, limit, remaining: Math.max(0, limit - used), reset: window, date: now }),
            )
          }
          while (flying.length > held) of.learn(USERS, flying.shift() as RateFacts, now)
        }
        // What was asked in the second after a reset and answered before the new window is known may count twice.
        for (const count of ours.values()) expect(count).toBeLessThanOrEqual(Math.max(1, Math.floor(limit * share)) + 4)

        function endOf(at: number): number {
          return Math.floor((at - phase) / 60_000) * 60_000 + 60_000 + phase
        }
      },
    ),
    { numRuns: 200 },
  )
})
