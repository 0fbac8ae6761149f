import { describe, expect, test } from 'vitest'
import { createRateLimiter } from '../../../emulator/okta/http/rate-limit.ts'
import { manualClock } from '../../support/clock.ts'

const START = Date.UTC(2026, 10, 20, 12, 0, 0, 250)

function limiter(options: Partial<Parameters<typeof createRateLimiter>[1]> = {}) {
  const clock = manualClock(START)
  return {
    clock,
    limiter: createRateLimiter(clock, { plan: { groups: 10 }, tokenShare: 0.5, concurrency: 2, ...options }),
  }
}

describe('rate limiter', () => {
  test('one token gets half of a bucket, and the headers show its ceiling', () => {
    const { limiter: limits } = limiter()
    const verdicts = Array.from({ length: 6 }, () => limits.take('groups', 'token-a'))
    expect(verdicts.map(({ allowed }) => allowed)).toEqual([true, true, true, true, true, false])
    expect(verdicts[0]).toEqual({ allowed: true, limit: 5, remaining: 4, reset: Math.ceil((START + 60_000) / 1000) })
    expect(verdicts[5]).toMatchObject({ limit: 5, remaining: 0 })
  })

  test('several tokens share the limit of the org', () => {
    const { limiter: limits } = limiter()
    for (let i = 0; i < 5; i++) expect(limits.take('groups', 'token-a').allowed).toBe(true)
    for (let i = 0; i < 4; i++) expect(limits.take('groups', 'token-b').allowed).toBe(true)
    expect(limits.take('groups', 'token-b')).toMatchObject({ allowed: true, remaining: 0 })
    expect(limits.take('groups', 'token-c')).toMatchObject({ allowed: false, limit: 10, remaining: 0 })
  })

  test('a window begins with its first call and lasts a minute', () => {
    const { limiter: limits, clock } = limiter()
    for (let i = 0; i < 5; i++) limits.take('groups', 'token-a')
    clock.advance(59_999)
    expect(limits.take('groups', 'token-a').allowed).toBe(false)
    clock.advance(1)
    expect(limits.take('groups', 'token-a')).toMatchObject({ allowed: true, remaining: 4 })
  })

  test('refused calls do not use up the limit', () => {
    const { limiter: limits } = limiter({ tokenShare: 1 })
    for (let i = 0; i < 13; i++) limits.take('groups', undefined)
    expect(limits.buckets()).toMatchObject([{ bucket: 'groups', scope: 'org', used: 10, refused: 3, remaining: 0 }])
  })

  test('too many calls at once are refused with limit 0 until one ends', () => {
    const { limiter: limits } = limiter()
    const leave = limits.enter()
    expect(limits.enter()).toBeDefined()
    expect(limits.enter()).toBeUndefined()
    expect(limits.busy()).toMatchObject({ limit: 0, remaining: 0 })
    leave?.()
    expect(limits.enter()).toBeDefined()
  })
})
