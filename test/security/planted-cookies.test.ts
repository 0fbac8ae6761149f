/**
 * An application can neither set nor read our cookies. Set: whatever its answers carry, in a 101 too, no cookie with a
 * name of ours reaches a browser, and on https only a `__Host-` name counts, which no other host can plant (cookie
 * tossing, RFC 6265bis §8.6). Read: a session that was made under another `cookie_name` opens nothing and goes nowhere.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { demoSeed } from '../../emulator/okta/demo-seed.ts'
import type { Browser } from '../support/browser.ts'
import { createEcho, type EchoUpstream, type Received } from '../support/echo.ts'
import { APP, createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'
import { signInWith } from '../support/okta-sign-in.ts'
import { sendRaw } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'

const HANDSHAKE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
]

describe('answers of an application', () => {
  /** Lines that the application adds to its next answers. */
  let lines: readonly string[] = []
  let gauntlet: Gauntlet
  beforeAll(async () => {
    const answer = (asked: Received): string => {
      const status = asked.target.startsWith('/ws/no') ? '403 Forbidden' : '200 OK'
      const upgrade = asked.target === '/ws/yes'
      const key = 'ICX+Yqv66kxgM0FcWaLWlFLwTAI='
      const head = upgrade
        ? [
            'HTTP/1.1 101 Switching Protocols',
            'Connection: Upgrade',
            'Upgrade: websocket',
            `Sec-WebSocket-Accept: ${key}`,
          ]
        : [`HTTP/1.1 ${status}`, 'Content-Length: 2']
      return [...head, ...lines, '', upgrade ? '' : 'ok'].join('\r\n')
    }
    gauntlet = await createGauntlet({ people: ['alice'], answer })
  })
  afterAll(() => gauntlet.close())

  async function cookiesOf(target: string, ...headers: readonly string[]): Promise<readonly string[]> {
    const bytes = headers.length > 0 ? upgradeRequest(target, headers) : request('GET', target)
    const answers = await sendRaw(gauntlet.world.port, bytes, { until: /HTTP\/1\.1 101 [^]*\r\n\r\n/ })
    return only(answers)
      .headers.filter(([name]) => name === 'set-cookie')
      .map(([, value]) => value)
  }

  function upgradeRequest(target: string, headers: readonly string[]): string {
    return [`GET ${target} HTTP/1.1`, `Host: ${APP}`, `Origin: http://${APP}`, ...headers, '', ''].join('\r\n')
  }

  const planted = [
    'Set-Cookie: postern=evil; Path=/',
    'set-cookie: postern=evil; Domain=localhost; Path=/',
    'SET-COOKIE: __Host-postern=evil; Path=/; Secure',
    'Set-Cookie:    postern   = evil',
    'Set-Cookie: \tpostern\t=evil',
    'Set-Cookie: postern',
    'Set-Cookie: =postern=evil',
    'Set-Cookie: =__Host-postern=evil; Secure; Path=/',
    'Set-Cookie: ==\t postern=evil',
    'Set-Cookie: postern="evil"',
    'Set-Cookie: postern-nonce.AAAAAAAAAAAA=evil',
    'Set-Cookie: postern-sign-in.AAAAAAAAAAAA=evil',
    'Set-Cookie: __Host-postern-nonce.AAAAAAAAAAAA=evil; Secure; Path=/',
    'Set-Cookie: __Host-postern-sign-in.AAAAAAAAAAAA=evil; Secure; Path=/',
    'Set-Cookie: __HOST-Postern=evil; Secure; Path=/',
    'Set-Cookie: a=1, postern=evil',
  ]
  const harmless = ['a=1; Path=/', 'postern2=2', 'my-postern=3', '__Host-app=4; Secure; Path=/']
  const answerLines = [
    `Set-Cookie: ${harmless[0]}`,
    ...planted,
    ...harmless.slice(1).map((value) => `Set-Cookie: ${value}`),
  ]

  test.each([
    ['a plain answer of a public route', '/public/x', []],
    ['a 101', '/ws/yes', HANDSHAKE],
    ['a refused handshake', '/ws/no', HANDSHAKE],
  ] as const)('%s loses ours and keeps its own', async (_, target, handshake) => {
    lines = answerLines
    const headers = handshake.length > 0 ? [...handshake, `Cookie: ${gauntlet.cookies['alice']}`] : []
    expect(await cookiesOf(target, ...headers)).toEqual(harmless)
  })

  test.each(planted)('alone: %j', async (line) => {
    lines = [line]
    expect(await cookiesOf('/public/x')).toEqual([])
    expect(await cookiesOf('/ws/yes', ...HANDSHAKE, `Cookie: ${gauntlet.cookies['alice']}`)).toEqual([])
  })

  test('the log says it once for each route, with no value', () => {
    const warnings = gauntlet.world.log().filter(({ msg }) => String(msg).includes('cookie with a name of ours'))
    expect(warnings.map(({ level, route }) => [level, route])).toEqual([
      ['warn', 'R1'],
      ['warn', 'R6'],
    ])
    expect(gauntlet.world.logText()).not.toContain('evil')
  })
})

const HTTPS = 'https://authenticate.corp.example'
const SECURE_APP = 'https://app.corp.example/'

describe('on https', () => {
  let world: World
  let echo: EchoUpstream
  afterEach(async () => {
    await world.close()
    await echo.close()
  })

  async function start(config: Readonly<Record<string, unknown>> = {}): Promise<void> {
    echo = await createEcho()
    world = await createTestWorld({
      config: { authenticate_service_url: HTTPS, insecure_server: true, ...config },
      routes: [
        { from: 'https://app.corp.example', to: echo.url, allow_any_authenticated_user: true },
        { from: 'https://open.corp.example', to: echo.url, allow_public_unauthenticated_access: true },
      ],
      okta: { seed: demoSeed({ redirectUris: [`${HTTPS}/oauth2/callback`] }) },
    })
  }

  /** By hand, for the test browser does not know https. */
  async function signIn(browser: Browser, login = 'alice@example.com'): Promise<void> {
    const step = async (url: string | URL) => new URL((await browser.ask(url)).headers.location ?? '')
    const callback = await signInWith(world.okta.url, await step(await step(SECURE_APP)), login)
    expect((await step(await step(callback))).href).toBe(SECURE_APP)
  }

  const cookieOf = (browser: Browser, name: string, host = 'app.corp.example') => browser.cookies.get(host)?.get(name)

  async function ask(cookie: string | readonly string[], host = 'app.corp.example'): Promise<number | undefined> {
    const before = echo.received.length
    const bytes = request('GET', '/x', `Host: ${host}`, ...[cookie].flat().map((one) => `Cookie: ${one}`))
    const [answer] = await sendRaw(world.port, bytes)
    for (const { headers } of echo.received.slice(before)) {
      expect(headers.filter(([, value]) => /v1\.[\w-]{22}/.test(value))).toEqual([])
    }
    return answer?.status
  }

  test.each([
    [{}, '__Host-postern', 'postern'],
    [{ cookie_name: 'mine' }, '__Host-mine', 'mine'],
    [{ cookie_name: '__Host-mine' }, '__Host-mine', 'mine'],
    [{ cookie_name: '__Secure-mine' }, '__Host-mine', '__Secure-mine'],
    [{ compatibility: 'pomerium' }, '__Host-_pomerium', '_pomerium'],
  ])('with %j the cookie is called %s and counts under no other name', async (config, name, plain) => {
    await start(config)
    const prefix = 'compatibility' in config ? '/.pomerium' : '/.postern'
    const browser = world.browser()
    await signIn(browser)
    const value = cookieOf(browser, name)
    expect([...(browser.cookies.get('app.corp.example')?.keys() ?? [])]).toEqual([name])
    expect(await ask(`${name}=${value}`)).toBe(200)
    for (const other of [plain, name.toLowerCase(), name.toUpperCase(), ` x${name}`, `__Secure-${plain}`, '']) {
      expect(await ask(`${other}=${value}`), other).toBe(401)
    }
    const signOut = await browser.ask(`https://authenticate.corp.example${prefix}/sign_out`)
    expect(signOut.status).toBe(200)
  })

  test('a plain cookie that another host set changes nothing, before or after ours, once or eight times', async () => {
    await start()
    const [alice, eve] = [world.browser(), world.browser()]
    await signIn(alice)
    await signIn(eve, 'bob@example.com')
    const own = `__Host-postern=${cookieOf(alice, '__Host-postern')}`
    const planted = `postern=${cookieOf(eve, '__Host-postern')}`
    expect(await ask(planted)).toBe(401)
    for (const cookie of [
      `${planted}; ${own}`,
      `${own}; ${planted}`,
      [planted, own],
      [own, planted],
      `${Array<string>(8).fill(planted).join('; ')}; ${own}`,
    ]) {
      expect(await ask(cookie)).toBe(200)
      expect(echo.received.at(-1)?.values('x-postern-claim-email')).toEqual(['alice@example.com'])
    }
  })

  test('a nonce or a pending sign-in under its plain name, as another host could set it, is ignored', async () => {
    await start()
    const step = async (browser: Browser, url: string | URL) => new URL((await browser.ask(url)).headers.location ?? '')
    const attacker = world.browser()
    const authorize = await step(attacker, await step(attacker, SECURE_APP))
    const callback = await signInWith(world.okta.url, authorize, 'alice@example.com')
    const plain = (browser: Browser, host: string) =>
      [...(browser.cookies.get(host) ?? [])]
        .map(([name, value]) => `${name.replace('__Host-', '')}=${value}`)
        .join('; ')
    const planted = plain(attacker, 'authenticate.corp.example')
    const victim = world.browser()
    const refused = await victim.ask(callback, { headers: { accept: 'text/html', cookie: planted } })
    expect(refused.status).toBe(400)

    const nonce = plain(attacker, 'app.corp.example')
    const handOff = await step(attacker, callback)
    const answer = await victim.ask(handOff, { headers: { accept: 'text/html', cookie: nonce } })
    expect(answer.status).toBe(400)
    expect(answer.headers['set-cookie']).toBeUndefined()
  })
})

describe('after a change of cookie_name', () => {
  let world: World
  let echo: EchoUpstream
  afterEach(async () => {
    await world.close()
    await echo.close()
  })

  async function signedIn(): Promise<readonly [session: string, nonce: string, waiting: string]> {
    echo = await createEcho()
    world = await createTestWorld({
      config: { cookie_name: 'first' },
      routes: [
        { from: `http://${APP}`, to: echo.url, prefix: '/open', allow_public_unauthenticated_access: true },
        { from: `http://${APP}`, to: echo.url, allow_any_authenticated_user: true },
      ],
    })
    const browser = world.browser()
    await world.signIn(browser, `http://${APP}/`, 'alice@example.com')
    const other = world.browser()
    await other.go(`http://${APP}/`, (next) => next.origin === world.okta.url)
    const value = (host: string, from: Browser) => only([...(from.cookies.get(host)?.values() ?? [])])
    return [value(APP, browser), value(APP, other), value('authenticate.localhost', other)]
  }

  async function ask(target: string, ...cookies: readonly string[]) {
    const before = echo.received.length
    const [answer] = await sendRaw(world.port, request('GET', target, ...cookies.map((cookie) => `Cookie: ${cookie}`)))
    const received = echo.received.slice(before).flatMap(({ values }) => values('cookie'))
    return { status: answer?.status, received }
  }

  test('the old cookie gives no access under either name and is not sent upstream', async () => {
    const [session, nonce, waiting] = await signedIn()
    expect(await ask('/x', `first=${session}; a=1`)).toEqual({ status: 200, received: ['a=1'] })
    await world.restart({ cookie_name: 'second' })
    for (const name of ['first', 'second', '__Host-second', 'third', '']) {
      for (const value of [session, `"${session}"`, ` ${session} `]) {
        expect(await ask('/x', `${name}=${value}; a=1`)).toEqual({ status: 401, received: [] })
        expect(await ask('/open', `a=1; ${name}=${value}; b=2`)).toEqual({ status: 200, received: ['a=1; b=2'] })
      }
    }
    for (const value of [session, nonce, waiting]) {
      expect(await ask('/open', 'a=1', `any=${value}`, `b=2;any="${value}"`, value)).toEqual({
        status: 200,
        received: ['a=1', 'b=2'],
      })
    }
  })

  test('a new sign-in works under the new name', async () => {
    await signedIn()
    await world.restart({ cookie_name: 'second' })
    const browser = world.browser()
    expect((await world.signIn(browser, `http://${APP}/`, 'alice@example.com')).status).toBe(200)
    expect([...(browser.cookies.get(APP)?.keys() ?? [])]).toEqual(['second'])
  })
})
