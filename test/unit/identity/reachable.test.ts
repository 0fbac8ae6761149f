import { expect, test } from 'vitest'
import { reachable } from '../../../src/identity/reachable.ts'
import type { LogFields } from '../../../src/lib/log-fields.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import type { Logger } from '../../../src/types.ts'
import { manualClock } from '../../support/clock.ts'

const ISSUER = 'https://idp.test'
const URL_WITH_CODE = 'https://idp.test/token?code=hidden'
const init = { method: 'POST', headers: {}, signal: new AbortController().signal }

test('a provider is in trouble from the first call in a row that failed until one that did not', async () => {
  const clock = manualClock()
  let next: () => number = () => 200
  const { send, trouble } = reachable(async () => ({ status: next(), headers: {}, body: [] }) as never, {
    issuer: ISSUER,
    logger: silentLogger,
    clock,
    timeout: 1000,
  })
  expect(trouble()).toBeUndefined()
  await send(URL_WITH_CODE, init)
  expect(trouble()).toBeUndefined()
  next = () => {
    throw new Error('connect ECONNREFUSED')
  }
  const since = clock.now()
  await expect(send(URL_WITH_CODE, init)).rejects.toThrow('ECONNREFUSED')
  expect(trouble()).toEqual({ since, reason: 'POST https://idp.test/token: connect ECONNREFUSED' })
  clock.advance(1000)
  next = () => 503
  await send(URL_WITH_CODE, init)
  expect(trouble()).toEqual({ since, reason: 'POST https://idp.test/token answered 503' })
  // It is there, and does not like what it was asked.
  next = () => 401
  await send(URL_WITH_CODE, init)
  expect(trouble()).toBeUndefined()
})

function provider(clock: ReturnType<typeof manualClock>, logger: Logger = silentLogger) {
  const calls: { readonly at: number; readonly what: string; readonly headers: object }[] = []
  const control = { status: 200 }
  const began = clock.now()
  const reach = reachable(
    async (url, { method, headers }) => {
      calls.push({ at: (clock.now() - began) / 1000, what: `${method} ${url}`, headers })
      return { status: control.status, headers: {}, body: [] } as never
    },
    { issuer: ISSUER, clock, logger, timeout: 1000 },
  )
  return { ...reach, calls, control }
}

test('one that is away is asked again, more and more seldom, and is well when it answers', async () => {
  const clock = manualClock()
  const { send, trouble, calls, control } = provider(clock)
  control.status = 503
  await send(URL_WITH_CODE, init)
  await clock.advanceAsync(300_000)
  expect(calls.map(({ at }) => at)).toEqual([0, 5, 15, 35, 75, 135, 195, 255])
  // Nothing of the sign-in that failed.
  expect(new Set(calls.slice(1).map(({ what }) => what))).toEqual(new Set(['GET https://idp.test/token']))
  expect(calls.at(-1)?.headers).toEqual({ accept: 'application/json' })
  // As many places take no GET.
  control.status = 405
  await clock.advanceAsync(60_000)
  expect(trouble()).toBeUndefined()
  const { length } = calls
  await clock.advanceAsync(3_600_000)
  expect(calls).toHaveLength(length)
})

test('one that is well is asked nothing by itself, nor one that a sign-in found well, nor any after the end', async () => {
  const clock = manualClock()
  const { send, trouble, calls, control, close } = provider(clock)
  await send(URL_WITH_CODE, init)
  await clock.advanceAsync(3_600_000)
  control.status = 500
  await send(URL_WITH_CODE, init)
  control.status = 200
  await send(URL_WITH_CODE, init)
  await clock.advanceAsync(3_600_000)
  expect(calls).toHaveLength(3)
  control.status = 500
  await send(URL_WITH_CODE, init)
  close()
  await clock.advanceAsync(3_600_000)
  expect(calls).toHaveLength(4)
  expect(trouble()).toMatchObject({ reason: 'POST https://idp.test/token answered 500' })
})

test('a question that is under way when it ends is given up', async () => {
  const clock = manualClock()
  const signals: AbortSignal[] = []
  const { send, close } = reachable(
    async (_, { signal }) => {
      signals.push(signal)
      if (signals.length === 1) throw new Error('connect ECONNREFUSED')
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
    },
    { issuer: ISSUER, clock, logger: silentLogger, timeout: 60_000 },
  )
  await expect(send(URL_WITH_CODE, init)).rejects.toThrow('ECONNREFUSED')
  await clock.advanceAsync(5000)
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, false])
  close()
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, true])
  await clock.advanceAsync(3_600_000)
  expect(signals).toHaveLength(2)
})

test('an outage is one line, a count every ten minutes, and a line when it is over for half a minute', async () => {
  const clock = manualClock()
  const lines: string[] = []
  const say =
    (level: string) =>
    ({ error, repeated }: LogFields, message: string): void =>
      void lines.push([level, message, error, repeated].filter((each) => each !== undefined).join(' '))
  const { send, control } = provider(clock, { ...silentLogger, warn: say('warn'), info: say('info') })
  control.status = 503
  for (let i = 0; i < 5; i++) await send(URL_WITH_CODE, init)
  expect(lines.splice(0)).toEqual(['warn identity provider unreachable ERR_IDP_UNREACHABLE'])
  await clock.advanceAsync(630_000)
  expect(lines.splice(0)).toEqual([expect.stringMatching(/^warn .* ERR_IDP_UNREACHABLE \d\d$/)])
  // Now and then is no end.
  control.status = 200
  await send(URL_WITH_CODE, init)
  await clock.advanceAsync(29_000)
  control.status = 503
  await send(URL_WITH_CODE, init)
  control.status = 200
  await send(URL_WITH_CODE, init)
  expect(lines).toEqual([])
  await clock.advanceAsync(30_000)
  expect(lines.splice(0)).toEqual(['info identity provider answers again'])
  control.status = 503
  await send(URL_WITH_CODE, init)
  expect(lines).toEqual(['warn identity provider unreachable ERR_IDP_UNREACHABLE'])
})

test('who does not wait for the answer any more says nothing of the provider', async () => {
  const { send, trouble } = reachable(
    async (_, { signal }) => {
      signal.throwIfAborted()
      throw new Error('not aborted')
    },
    { issuer: ISSUER, clock: manualClock(), logger: silentLogger, timeout: 1000 },
  )
  await expect(send(URL_WITH_CODE, { ...init, signal: AbortSignal.abort() })).rejects.toThrow('aborted')
  expect(trouble()).toBeUndefined()
  const late = AbortSignal.abort(new DOMException('too late', 'TimeoutError'))
  await expect(send(URL_WITH_CODE, { ...init, signal: late })).rejects.toThrow('too late')
  expect(trouble()).toMatchObject({ reason: 'POST https://idp.test/token: too late' })
})
