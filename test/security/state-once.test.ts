/**
 * A state is good for one call to the token endpoint (RFC 9700 §4.7.1), however often its cookie is sent and whatever
 * code comes with it; and one client has a bounded number of refused codes. Every call carries our client secret, and
 * guesses at codes must not be made with it.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createCodeExchange } from '../../src/authenticate/code-exchange.ts'
import type { Pending } from '../../src/authenticate/pending.ts'
import { AppError } from '../../src/errors.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import type { IdentityProvider, Store } from '../../src/types.ts'
import type { Browser } from '../support/browser.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { signInWith } from '../support/okta-sign-in.ts'
import { sendRaw } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://app.localhost/'
const AUTH = 'authenticate.localhost'

describe('on the running program', () => {
  let clock: ManualClock
  let world: World
  beforeAll(async () => {
    clock = manualClock()
    world = await createTestWorld({
      // The parameters of a sign-in are looked at.
      config: { idp_pushed_requests: false },
      clock,
      routes: [{ name: 'app', from: 'http://app.localhost', allow_any_authenticated_user: true }],
    })
  })
  beforeEach(() => {
    clock.advance(61_000)
    world.okta.clearCalls()
  })
  afterAll(() => world.close())

  const tokenCalls = () => world.okta.calls().filter(({ path }) => path.endsWith('/token')).length

  async function begin(browser: Browser): Promise<URL> {
    return (await browser.go(APP, (next) => next.origin === world.okta.url)).url
  }

  function cookiesOf(browser: Browser): string {
    return [...(browser.cookies.get(AUTH) ?? [])].map((pair) => pair.join('=')).join('; ')
  }

  /** The callback over a raw socket, so that no browser forgets the cookie. */
  async function callback(query: string, cookie: string): Promise<number | undefined> {
    const lines = [`GET /oauth2/callback?${query} HTTP/1.1`, `Host: ${AUTH}`, 'Accept: text/html', `Cookie: ${cookie}`]
    const answers = await sendRaw(world.port, [...lines, 'Connection: close', '', ''].join('\r\n'))
    return answers[0]?.status
  }

  test('a hundred callbacks at once with guessed codes and one cookie: one token call', async () => {
    const browser = world.browser()
    const state = (await begin(browser)).searchParams.get('state')
    const cookie = cookiesOf(browser)
    const statuses = await Promise.all(
      Array.from({ length: 100 }, (_, i) => callback(`code=guess-${i}&state=${state}`, cookie)),
    )
    expect(tokenCalls()).toBe(1)
    expect(statuses.filter((status) => status === 403)).toHaveLength(1)
    expect(statuses.every((status) => status === 403 || status === 400 || status === 429)).toBe(true)
  })

  test('a hundred callbacks one after the other, on one connection each: one token call, the rest 400', async () => {
    const browser = world.browser()
    const state = (await begin(browser)).searchParams.get('state')
    const cookie = cookiesOf(browser)
    const statuses: (number | undefined)[] = []
    for (let i = 0; i < 100; i++) statuses.push(await callback(`code=guess-${i}&state=${state}`, cookie))
    expect(tokenCalls()).toBe(1)
    expect(statuses).toEqual([403, ...Array<number>(99).fill(400)])
  })

  test('a state stays spent over a restart, until its sign-in has expired anyway', async () => {
    const browser = world.browser()
    const state = (await begin(browser)).searchParams.get('state')
    const cookie = cookiesOf(browser)
    expect(await callback(`code=guess&state=${state}`, cookie)).toBe(403)
    await world.restart()
    world.okta.clearCalls()
    expect(await callback(`code=other&state=${state}`, cookie)).toBe(400)
    clock.advance(61 * 60_000)
    expect(await callback(`code=other&state=${state}`, cookie)).toBe(400)
    expect(tokenCalls()).toBe(0)
  })

  test('fifty sign-ins of one client with guessed codes: thirty token calls, then 429 until a minute has passed', async () => {
    const statuses: (number | undefined)[] = []
    const honest = world.browser()
    const honestCallback = await signInWith(world.okta.url, await begin(honest), 'alice@example.com')
    for (let i = 0; i < 50; i++) {
      const browser = world.browser()
      const state = (await begin(browser)).searchParams.get('state')
      statuses.push(await callback(`code=guess-${i}&state=${state}`, cookiesOf(browser)))
    }
    expect(tokenCalls()).toBe(30)
    expect(statuses).toEqual([...Array<number>(30).fill(403), ...Array<number>(20).fill(429)])
    const waiting = await honest.ask(honestCallback)
    expect(waiting.status).toBe(429)
    expect(waiting.headers['retry-after']).toBe('60')
    // Neither the state nor the cookie was spent: the same callback succeeds later.
    clock.advance(61_000)
    expect((await honest.go(honestCallback)).status).toBe(200)
  })

  test('sign-ins that succeed do not count', async () => {
    for (let i = 0; i < 40; i++) {
      expect((await world.signIn(world.browser(), APP, 'alice@example.com')).status).toBe(200)
    }
  })
})

describe('createCodeExchange', () => {
  const clock = manualClock()
  const CALLBACK = new URL('https://auth.corp.example/oauth2/callback?code=c&state=s')
  const signedIn = {} as Awaited<ReturnType<IdentityProvider['complete']>>
  let calls = 0
  let answer: () => Promise<typeof signedIn> = async () => signedIn
  const idp = {
    complete: async () => {
      calls++
      return answer()
    },
  }
  let count = 0
  const pending = () => ({
    state: `state ${count++}`,
    nonce: 'n',
    codeVerifier: 'v',
    returnTo: 'https://app.corp.example/',
    provider: 'default',
    expiresAt: clock.now() + 3_600_000,
  })
  beforeEach(() => {
    calls = 0
    answer = async () => signedIn
  })

  function withStore(store: Store) {
    const exchange = createCodeExchange({ store, clock })
    return (callback: URL, of: Pending, clientIp: string, timeout: number) =>
      exchange(idp, callback, of, clientIp, timeout)
  }

  test('a store that cannot be asked: ERR_STORE_UNAVAILABLE, no token call, and no attempt is used up', async () => {
    const memory = createMemoryStore({ clock })
    const put: Store['put'] = async () => {
      throw new AppError('ERR_STORE_UNAVAILABLE', 'down')
    }
    const exchange = withStore({ ...memory, put })
    for (let i = 0; i < 100; i++) {
      await expect(exchange(CALLBACK, pending(), '192.0.2.1', 1000)).rejects.toMatchObject({
        code: 'ERR_STORE_UNAVAILABLE',
      })
    }
    expect(calls).toBe(0)
  })

  test.each([
    ['one address', '192.0.2.1', '192.0.2.1', true],
    ['another address', '192.0.2.1', '192.0.2.2', false],
    ['one /64 of IPv6', '2001:db8::1', '2001:db8:0:0:ffff::2', true],
    ['another /64 of IPv6', '2001:db8::1', '2001:db8:0:1::1', false],
    ['two /64 that shorten alike', '2001:db8:1::1', '2001:db8::1:0:0:1', false],
  ])('thirty codes under way, then one of %s', async (_, first, second, waits) => {
    const exchange = withStore(createMemoryStore({ clock }))
    let release = (): void => {}
    const held = new Promise<typeof signedIn>((resolve) => (release = () => resolve(signedIn)))
    answer = () => held
    const thirty = Array.from({ length: 30 }, () => exchange(CALLBACK, pending(), first, 1000))
    const late = exchange(CALLBACK, pending(), second, 1000)
    await expect.poll(() => calls).toBe(waits ? 30 : 31)
    release()
    await Promise.all([...thirty, late])
    expect(calls).toBe(31)
  })

  test('a thousand sign-ins of one office at once: all succeed, thirty calls at a time', async () => {
    const exchange = withStore(createMemoryStore({ clock }))
    let most = 0
    let now = 0
    answer = async () => {
      most = Math.max(most, ++now)
      await new Promise((resolve) => setImmediate(resolve))
      now--
      return signedIn
    }
    await Promise.all(Array.from({ length: 1000 }, () => exchange(CALLBACK, pending(), '192.0.2.1', 1000)))
    expect(calls).toBe(1000)
    expect(most).toBe(30)
  })

  test('who waits for a turn is refused when the time is up, and the code is unspent', async () => {
    const exchange = withStore(createMemoryStore({ clock }))
    let release = (): void => {}
    answer = () => new Promise<typeof signedIn>((resolve) => (release = () => resolve(signedIn)))
    const first = exchange(CALLBACK, pending(), '192.0.2.1', 60_000)
    for (let i = 1; i < 30; i++) exchange(CALLBACK, pending(), '192.0.2.1', 60_000).catch(() => {})
    await expect.poll(() => calls).toBe(30)
    const late = exchange(CALLBACK, pending(), '192.0.2.1', 1000)
    const refused = expect(late).rejects.toMatchObject({ code: 'ERR_SIGN_IN_LIMIT' })
    clock.advance(1000)
    await refused
    expect(calls).toBe(30)
    release()
    void first.catch(() => {})
  })

  test('a hundred guesses at once, all refused: thirty calls, and nobody waits any longer', async () => {
    const exchange = withStore(createMemoryStore({ clock }))
    answer = async () => {
      throw new AppError('ERR_IDP_REJECTED', 'no', { details: { error: 'invalid_grant' } })
    }
    const guesses = Array.from({ length: 100 }, () => exchange(CALLBACK, pending(), '192.0.2.1', 1000))
    const codes = (await Promise.allSettled(guesses)).map((each) =>
      each.status === 'rejected' ? (each.reason as AppError).code : 'fulfilled',
    )
    expect(calls).toBe(30)
    expect(codes.filter((code) => code === 'ERR_SIGN_IN_LIMIT')).toHaveLength(70)
  })

  test.each([
    ['that is down', 'ERR_IDP_UNREACHABLE', {}, 60],
    ['that lies', 'ERR_IDP_REJECTED', { error: 'bad_answer' }, 60],
    ['that refuses', 'ERR_IDP_REJECTED', { error: 'invalid_grant' }, 30],
  ] as const)('sixty codes for a provider %s', async (_, code, details, expected) => {
    const exchange = withStore(createMemoryStore({ clock }))
    answer = async () => {
      throw new AppError(code, 'no', { details })
    }
    for (let i = 0; i < 60; i++) await exchange(CALLBACK, pending(), '192.0.2.1', 1000).catch(() => {})
    expect(calls).toBe(expected)
  })
})
