import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createOktaClient, type OktaClient } from '../../../src/directory/okta/client.ts'
import { Secret } from '../../../src/lib/secret.ts'
import type { ReadPriority } from '../../../src/directory/model.ts'
import {
  type Answer,
  cutOff,
  json,
  limited,
  oktaError,
  oktaGroup,
  type ScriptedOkta,
  silence,
  startScriptedOkta,
} from './scripted-okta.ts'
import { type WatchedClock, watchedClock } from './watched-clock.ts'

const TOKEN = '00abcdefghijklmnopqrstuvwxyz0123456789ABCD'
const ANN = '00u1annAnnAnnAnnAnn1'
const USER = `/api/v1/users/${ANN}`
const TIMEOUT = 10_000
const DAY = 24 * 3_600_000
const YEAR = 365 * DAY

let clock: WatchedClock
let okta: ScriptedOkta
let client: OktaClient

beforeEach(async () => {
  clock = watchedClock()
  okta = await startScriptedOkta(clock)
  okta.setPerson(ANN, 'ACTIVE')
  client = createOktaClient({
    origin: okta.origin,
    credentials: { kind: 'token', token: new Secret(TOKEN) },
    clock,
    timeout: TIMEOUT,
    budget: 0.5,
    random: () => 0.5,
  })
})

afterEach(async () => {
  await client.close()
  await okta.close()
})

function get(priority: ReadPriority = 'sign-in', signal = new AbortController().signal) {
  return client.get(USER, {}, { signal, priority })
}

async function readAll(): Promise<readonly unknown[]> {
  const records: unknown[] = []
  const options = { signal: new AbortController().signal, priority: 'sign-in' } as const
  for await (const page of client.pages(`${USER}/groups`, { limit: '200' }, options))
    records.push(...(page.body as unknown[]))
  return records
}

/** What a call was rejected with; fails when it was not. */
async function fault(call: Promise<unknown>): Promise<{ readonly code: string; readonly message: string }> {
  return call.then(
    () => expect.fail('the call was answered'),
    (error: { code: string; message: string }) => ({ code: error.code, message: error.message }),
  )
}

describe('a call', () => {
  test('carries the token, names us and asks for JSON without compression', async () => {
    const answer = await get()
    expect(answer).toMatchObject({ body: { id: ANN, status: 'ACTIVE' }, date: clock.now(), next: undefined })
    expect(okta.calls[0]?.headers).toMatchObject({
      authorization: `SSWS ${TOKEN}`,
      accept: 'application/json',
      'user-agent': 'postern',
    })
    expect(okta.calls[0]?.headers).not.toHaveProperty('accept-encoding')
  })

  test('404 gives undefined', async () => {
    okta.removePerson(ANN)
    expect(await get()).toBeUndefined()
  })

  test('takes the server time from Okta, however wrong our clock is', async () => {
    okta.skew = 7_200_000
    expect((await get())?.date).toBe(clock.now() + 7_200_000)
    expect(client.lead()).toBe(-7_200_000 - 1000)
  })

  test.each([
    ['of 1970', -57 * YEAR],
    ['of another century', 80 * YEAR],
    ['of the day before yesterday', -2 * DAY],
  ])('believes no date %s, and knows what it knew of the clocks', async (_, wrong) => {
    okta.skew = -600_000
    await get()
    okta.skew = wrong
    expect(await get()).toMatchObject({ body: { id: ANN }, date: undefined })
    expect(client.lead()).toBe(599_000)
  })

  test('takes no time from an error, which may be of something in between', async () => {
    okta.skew = -600_000
    await get()
    okta.skew = -DAY / 2
    okta.answerNext(oktaError(403, 'E0000006'))
    await expect(get()).rejects.toMatchObject({ code: 'ERR_DIRECTORY_FORBIDDEN' })
    expect(client.lead()).toBe(599_000)
  })
})

describe('an answer that is none', () => {
  const html: Answer = (_req, res) =>
    res.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Maintenance</title>')

  test.each([
    ['HTML with 200', html, 'ERR_DIRECTORY_BAD_ANSWER', 'answered with text/html instead of JSON'],
    [
      'a redirect',
      json(302, {}, { location: '/elsewhere' }),
      'ERR_DIRECTORY_BAD_ANSWER',
      'answered 302, which was not expected',
    ],
    [
      'a bad filter',
      oktaError(400, 'E0000031'),
      'ERR_DIRECTORY_BAD_ANSWER',
      'answered 400 E0000031, which was not expected',
    ],
    [
      'a 404 that is not about the person',
      oktaError(404, 'E0000008'),
      'ERR_DIRECTORY_BAD_ANSWER',
      'answered 404 E0000008, which was not expected',
    ],
    [
      "a 404 that is not Okta's",
      json(404, 'nothing here'),
      'ERR_DIRECTORY_BAD_ANSWER',
      'answered 404, which was not expected',
    ],
    [
      'a role too low',
      oktaError(403, 'E0000006'),
      'ERR_DIRECTORY_FORBIDDEN',
      "answered 403 E0000006: the API token's administrator role does not allow it",
    ],
    [
      'a feature that is off',
      oktaError(401, 'E0000015'),
      'ERR_DIRECTORY_FORBIDDEN',
      "answered 401 E0000015: the API token's administrator role does not allow it",
    ],
    [
      'a refused token',
      oktaError(401, 'E0000011'),
      'ERR_DIRECTORY_UNAUTHORIZED',
      'answered 401 E0000011: the API token is not accepted',
    ],
  ])('%s', async (_name, answer, code, message) => {
    okta.answerAll(answer)
    expect(await fault(get())).toEqual({ code, message: `okta: GET ${USER} ${message}` })
    expect(okta.calls).toHaveLength(1)
  })

  test('JSON that ends too early', async () => {
    okta.answerAll((_req, res) => res.writeHead(200, { 'content-type': 'application/json' }).end('[{"id":'))
    expect(await fault(get())).toEqual({
      code: 'ERR_DIRECTORY_BAD_ANSWER',
      message: `okta: GET ${USER} answered with JSON that cannot be read`,
    })
  })

  test('more than the bound', async () => {
    okta.answerAll((_req, res) => {
      res.writeHead(200, { 'content-type': 'application/json' })
      const chunk = Buffer.alloc(1024 * 1024, ' ')
      const more = (): void => {
        while (!res.destroyed && res.write(chunk));
        if (!res.destroyed) res.once('drain', more)
      }
      more()
    })
    expect(await fault(get())).toEqual({
      code: 'ERR_DIRECTORY_BAD_ANSWER',
      message: `okta: GET ${USER} answered with more than 8388608 bytes`,
    })
  })
})

describe('a fault of the network', () => {
  test('is tried once more, shortly after', async () => {
    okta.answerNext(oktaError(500, 'E0000009'))
    const answer = get()
    await clock.armed(250, 250)
    clock.advance(250)
    expect(await answer).toMatchObject({ body: { id: ANN } })
    expect(okta.calls).toHaveLength(2)
  })

  test.each([
    ['a 503', oktaError(503, 'E0000010'), `okta: GET ${USER} answered 503 E0000010`],
    ['a connection cut in the middle of the body', cutOff, `okta: GET ${USER} failed: `],
  ])('%s, twice: given up', async (_name, answer, message) => {
    okta.answerAll(answer)
    const failed = fault(get())
    await clock.armed(250, 250)
    clock.advance(250)
    const { code, message: said } = await failed
    expect(code).toBe('ERR_DIRECTORY_UNREACHABLE')
    expect(said).toContain(message)
    expect(okta.calls).toHaveLength(2)
  })

  test('silence ends after the timeout', async () => {
    okta.answerAll(silence)
    const failed = fault(get())
    for (const attempt of [1, 2]) {
      await okta.received(attempt)
      await clock.armed(TIMEOUT, TIMEOUT)
      clock.advance(TIMEOUT)
      if (attempt === 1) {
        await clock.armed(250, 250)
        clock.advance(250)
      }
    }
    expect(await failed).toEqual({
      code: 'ERR_DIRECTORY_UNREACHABLE',
      message: `okta: GET ${USER} gave no answer within 10000 ms`,
    })
  })

  test('a caller that gives up ends the call at once', async () => {
    okta.answerAll(silence)
    const caller = new AbortController()
    const failed = fault(get('sign-in', caller.signal))
    await okta.received(1)
    caller.abort()
    expect((await failed).code).toBe('ERR_DIRECTORY_UNREACHABLE')
    expect(okta.calls).toHaveLength(1)
  })

  test('closing the client ends what is under way and what waits', async () => {
    okta.answerAll(silence)
    const failed = Promise.all(Array.from({ length: 6 }, () => fault(get())))
    await okta.received(4)
    await client.close()
    await clock.armed(250, 250)
    clock.advance(250)
    expect((await failed).map(({ code }) => code)).toEqual(Array.from({ length: 6 }, () => 'ERR_DIRECTORY_UNREACHABLE'))
    expect(okta.calls).toHaveLength(4)
  })
})

describe('the rate limit', () => {
  test("waits for the reset on Okta's clock and asks again", async () => {
    okta.skew = -3_600_000
    okta.answerNext(limited(okta, clock, 20_000))
    const answer = get()
    expect(await clock.armed(15_000, 70_000)).toBe(21_500)
    clock.advance(21_499)
    expect(okta.calls).toHaveLength(1)
    clock.advance(1)
    expect(await answer).toMatchObject({ body: { id: ANN } })
    expect(okta.calls).toHaveLength(2)
  })

  test.each([
    ['without headers', oktaError(429, 'E0000047'), 60_500],
    [
      'with a reset in the past',
      oktaError(429, 'E0000047', {
        'x-rate-limit-limit': '100',
        'x-rate-limit-remaining': '0',
        'x-rate-limit-reset': '1700000000',
      }),
      1500,
    ],
    [
      'with its headers twice',
      oktaError(429, 'E0000047', {
        'x-rate-limit-limit': ['100', '50'],
        'x-rate-limit-remaining': ['0', '0'],
        'x-rate-limit-reset': ['1700000000', '1700000060'],
      }),
      60_500,
    ],
    [
      'of concurrency',
      oktaError(429, 'E0000047', {
        'x-rate-limit-limit': '0',
        'x-rate-limit-remaining': '0',
        'x-rate-limit-reset': '1800000000',
      }),
      1500,
    ],
  ])('%s', async (_name, answer, wait) => {
    okta.answerNext(answer)
    const answered = get()
    await clock.armed(wait, wait)
    clock.advance(wait)
    expect(await answered).toMatchObject({ body: { id: ANN } })
  })

  test('is given up after the third refusal', async () => {
    okta.answerAll(limited(okta, clock, 0))
    const failed = fault(get())
    for (const attempt of [1, 2]) {
      await okta.received(attempt)
      await clock.armed(1000, 5000)
      clock.advance(5000)
    }
    expect(await failed).toEqual({
      code: 'ERR_DIRECTORY_RATE_LIMITED',
      message: `okta: GET ${USER} answered 429 E0000047: rate limit`,
    })
    expect(okta.calls).toHaveLength(3)
  })

  test('what a bucket has left is known to whoever asks', async () => {
    okta.answerNext(
      json(
        200,
        { id: ANN, status: 'ACTIVE' },
        {
          'x-rate-limit-limit': '600',
          'x-rate-limit-remaining': '597',
          'x-rate-limit-reset': String((clock.now() + 40_000) / 1000),
        },
      ),
    )
    await get()
    expect(client.buckets()).toEqual([
      {
        name: '/api/v1/users/{id}',
        limit: 600,
        remaining: 597,
        used: 1,
        allowance: 300,
        resetsAt: clock.now() + 41_000,
      },
    ])
  })

  test('of many calls four are made at once, sign-ins first, and the background leaves one connection free', async () => {
    const held: (() => void)[] = []
    okta.answerAll((req, res) => void held.push(() => json(200, { id: req.url })(req, res)))
    const ask = (path: string, priority: ReadPriority) =>
      client.get(path, {}, { signal: new AbortController().signal, priority })
    const background = Array.from({ length: 5 }, (_, n) => ask(`/api/v1/users/b${n}`, 'background'))
    await okta.received(3)
    const urgent = [ask('/api/v1/users/s1', 'sign-in'), ask('/api/v1/users/s2', 'sign-in')]
    await okta.received(4)
    expect(okta.calls.map(({ path }) => path.at(-2))).toEqual(['b', 'b', 'b', 's'])
    held.shift()?.()
    await okta.received(5)
    expect(okta.calls[4]?.path).toBe('/api/v1/users/s2')
    okta.answerAll((req, res) => json(200, { id: req.url })(req, res))
    for (const answer of held) answer()
    await Promise.all([...background, ...urgent])
  })

  test('repairs stand back while anybody else waits, for a quarter of a minute a call', async () => {
    const reset = String((clock.now() + 50_000) / 1000)
    const empty = { 'x-rate-limit-limit': '600', 'x-rate-limit-remaining': '0', 'x-rate-limit-reset': reset }
    okta.answerNext(json(200, { id: ANN, status: 'ACTIVE' }, empty))
    await get()
    const signIn = get()
    const list = client.get('/api/v1/groups', {}, { signal: new AbortController().signal, priority: 'reconcile' })
    clock.advance(14_999)
    for (let n = 0; n < 10; n++) await turn()
    expect([okta.calls.length, clock.waiting(TIMEOUT)]).toEqual([1, 0])
    clock.advance(1)
    await list
    expect(okta.calls.map(({ path }) => path)).toEqual([USER, '/api/v1/groups'])
    clock.advance(40_000)
    await signIn
  })
})

describe('pages', () => {
  const groups = (count: number) => Array.from({ length: count }, (_, n) => oktaGroup(`00g${n}`))

  test('are followed until there is no next one', async () => {
    okta.setPerson(ANN, 'ACTIVE', groups(450))
    expect(await readAll()).toHaveLength(450)
    expect(okta.calls.map(({ query }) => query.toString())).toEqual([
      'limit=200',
      'after=200&limit=200',
      'after=400&limit=200',
    ])
  })

  test('a list that Okta does not have has no page', async () => {
    okta.removePerson(ANN)
    expect(await readAll()).toEqual([])
  })

  test('a next page elsewhere is not asked for: the token would go there', async () => {
    const elsewhere = await startScriptedOkta(clock)
    okta.answerNext(json(200, groups(1), { link: `<${elsewhere.origin}/api/v1/users/x/groups?after=1>; rel="next"` }))
    expect(await fault(readAll())).toEqual({
      code: 'ERR_DIRECTORY_BAD_ANSWER',
      message: `okta: the next page must be on ${okta.origin}, not on ${elsewhere.origin}`,
    })
    expect(elsewhere.calls).toHaveLength(0)
    await elsewhere.close()
  })

  test('a page that leads to itself ends the reading', async () => {
    okta.answerAll(json(200, groups(1), { link: `<${USER}/groups?limit=200>; rel="next"` }))
    expect((await fault(readAll())).message).toBe(`okta: GET ${USER}/groups names page 1 as its own next page`)
  })

  test('pages without an end are bounded', async () => {
    let page = 0
    okta.answerAll((req, res) =>
      json(200, groups(1), { link: `<${USER}/groups?after=${page++}>; rel="next"` })(req, res),
    )
    expect((await fault(readAll())).message).toBe(`okta: GET ${USER}/groups has more than 100 pages`)
    expect(okta.calls).toHaveLength(100)
  })

  test('a list that vanishes half way is a fault, not a shorter list', async () => {
    okta.answerNext(json(200, groups(1), { link: `<${USER}/groups?after=1>; rel="next"` }), oktaError(404, 'E0000007'))
    expect((await fault(readAll())).message).toBe(`okta: GET ${USER}/groups lost its list on page 2`)
  })
})

describe('a refused token', () => {
  test('stops all calls, probes once a minute and goes on when it is accepted', async () => {
    okta.answerAll(oktaError(401, 'E0000011'))
    await fault(get())
    for (let n = 0; n < 20; n++) {
      expect(await fault(get())).toEqual({
        code: 'ERR_DIRECTORY_UNAUTHORIZED',
        message: `okta: GET ${USER} was not sent: the API token is not accepted`,
      })
    }
    expect(okta.calls).toHaveLength(1)
    clock.advance(60_000)
    await Promise.all([fault(get()), fault(get()), fault(get())])
    expect(okta.calls).toHaveLength(2)
    clock.advance(60_000)
    okta.answerAll(undefined)
    expect(await get()).toMatchObject({ body: { id: ANN } })
    expect(await get()).toMatchObject({ body: { id: ANN } })
  })

  test('is reported at once, without a wait for the budget', async () => {
    okta.answerAll(
      oktaError(401, 'E0000011', {
        'x-rate-limit-limit': '100',
        'x-rate-limit-remaining': '0',
        'x-rate-limit-reset': String((clock.now() + 30_000) / 1000),
      }),
    )
    await fault(get())
    expect((await fault(get())).code).toBe('ERR_DIRECTORY_UNAUTHORIZED')
  })

  test('a role too low does not stop other calls', async () => {
    okta.answerNext(oktaError(403, 'E0000006'))
    await fault(get())
    expect(await get()).toMatchObject({ body: { id: ANN } })
  })

  test('is in no message', async () => {
    okta.answerAll(oktaError(401, 'E0000011'))
    const error = await get().catch((thrown: unknown) => thrown)
    expect(JSON.stringify([error, (error as Error).stack])).not.toContain(TOKEN)
  })
})
