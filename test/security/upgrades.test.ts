/**
 * F01, F02: a WebSocket passes every check of a request before an upstream is touched, cookies from a foreign page do
 * not open one (CSWSH), nothing is smuggled in front of or behind a handshake, and no other protocol is let through.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP, createGauntlet, type Gauntlet, only, type Outcome } from '../support/gauntlet.ts'

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet({
    moreRoutes: [
      { name: 'open', prefix: '/open', allow_public_unauthenticated_access: true },
      { name: 'shut', prefix: '/shut', allow_public_unauthenticated_access: true, allow_websockets: false },
    ],
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

interface Handshake {
  readonly login?: string
  readonly origin?: string
  readonly lines?: readonly string[]
  readonly method?: string
  readonly upgrade?: string
  readonly behind?: string
}

function handshake(
  target: string,
  { login, origin, lines = [], method = 'GET', upgrade = 'websocket', behind = '' }: Handshake = {},
) {
  return [
    `${method} ${target} HTTP/1.1`,
    `Host: ${APP}`,
    'Connection: Upgrade',
    `Upgrade: ${upgrade}`,
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...(login === undefined ? [] : [`Cookie: ${gauntlet.cookies[login]}`]),
    ...(origin === undefined ? [] : [`Origin: ${origin}`]),
    ...lines,
    '',
    behind,
  ].join('\r\n')
}

/** Ours ends when the handshake is answered: the upstream keeps the tunnel open. */
const open = (bytes: string): Promise<Outcome> => gauntlet.send(bytes, { until: /\r\n\r\n/ })

async function expectRefused(bytes: string, status: number): Promise<void> {
  const before = gauntlet.echo.connections()
  const { answers, statuses, received } = await gauntlet.send(bytes)
  expect({ bytes, statuses, received }).toEqual({ bytes, statuses: [status], received: [] })
  expect(answers[0]?.header('connection')).toBe('close')
  expect(answers[0]?.header('location')).toBeUndefined()
  expect(gauntlet.echo.connections()).toBe(before)
}

describe('F01 who may open a WebSocket', () => {
  test('no session: 401; outside the group: 403; no route: 404; an ambiguous path: 400', async () => {
    await expectRefused(handshake('/ws/x'), 401)
    await expectRefused(handshake('/ws/x', { login: 'bob' }), 403)
    await expectRefused(handshake('/nothing', { login: 'alice' }), 404)
    await expectRefused(handshake('/ws/..%2fx', { login: 'alice' }), 400)
    await expectRefused(handshake('/public/../ws/x'), 401)
    await expectRefused(handshake('/.postern/user', { login: 'alice' }), 200)
  })

  test('a route with WebSockets off: 403 for everybody, also on public routes', async () => {
    await expectRefused(handshake('/nows', { login: 'alice' }), 403)
    await expectRefused(handshake('/shut'), 403)
  })

  test('a member of the group: 101, at the path that was authorized', async () => {
    const { statuses, received, lines } = await open(handshake('/user/%2e%2e/ws//x?a=%2F', { login: 'alice' }))
    expect(statuses).toEqual([101])
    expect(only(received)).toMatchObject({ target: '/ws/x?a=%2F', method: 'GET' })
    expect(only(lines)).toMatchObject({ decision: 'allow', path: '/ws/x', status: 101, route: 'R6' })
  })

  test('what upgrades nothing is a request like any other', async () => {
    const bytes = handshake('/ws/x', { login: 'alice' }).replace('Connection: Upgrade', 'Connection: close')
    const { statuses, received } = await gauntlet.send(bytes)
    expect(statuses).toEqual([200])
    expect(only(received).values('upgrade')).toEqual([])
  })
})

describe('F02 Origin of a WebSocket', () => {
  test.each([
    'https://evil.test',
    'http://evil.test',
    'null',
    '',
    'http://app.localhost.evil.test',
    'http://evil.test#http://app.localhost',
    'http://xapp.localhost',
    'http://app.localhost:8080',
    'https://app.localhost',
    'http://app.localhost/',
    'http://APP.localhost@evil.test',
    'app.localhost',
    'http://admin.localhost',
    'http://authenticate.localhost',
  ])('a page of %j: 403', async (origin) => {
    await expectRefused(handshake('/ws/x', { login: 'alice', origin }), 403)
  })

  test('two origins: 400', async () => {
    await expectRefused(
      handshake('/ws', { login: 'alice', origin: 'http://app.localhost', lines: ['Origin: http://evil.test'] }),
      400,
    )
  })

  test("the route's own origin, and no Origin at all: 101", async () => {
    for (const origin of ['http://app.localhost', undefined]) {
      const { statuses } = await open(handshake('/ws', { login: 'alice', ...(origin !== undefined && { origin }) }))
      expect(statuses).toEqual([101])
    }
  })

  test('any origin on a public route: 101', async () => {
    const { statuses, received } = await open(handshake('/open', { login: 'alice', origin: 'https://evil.test' }))
    expect(statuses).toEqual([101])
    expect(only(received).values('cookie')).toEqual([])
    expect(only(received).headers.filter(([name]) => name.startsWith('x-postern'))).toEqual([])
  })
})

describe('an upgrade that is not a valid WebSocket handshake', () => {
  const OFFERS = ['h2c', 'TLS/1.0', 'websocket, h2c', 'websocket\r\nUpgrade: h2c', 'foo', 'WebSocket2', '']

  test.each(OFFERS)(
    'Upgrade: %j is ignored, and the request is judged and answered (RFC 9110 §7.8)',
    async (upgrade) => {
      const lines = ['Accept: text/html', 'HTTP2-Settings: AAMAAABkAAQAAP__']
      const asked = (target: string, login?: string): Promise<Outcome> =>
        gauntlet.send(
          handshake(target, { upgrade, lines, ...(login !== undefined && { login }) }).replace(
            'Connection: Upgrade',
            'Connection: Upgrade, HTTP2-Settings, close',
          ),
        )
      for (const { statuses, received } of [await asked('/open'), await asked('/ws', 'alice')]) {
        expect(statuses).toEqual([200])
        for (const name of ['upgrade', 'http2-settings']) expect(only(received).values(name)).toEqual([])
      }
      const { statuses, received, answers } = await asked('/ws')
      expect({ statuses, received }).toEqual({ statuses: [302], received: [] })
      expect(answers[0]?.header('location')).toContain('http://authenticate.localhost/')
    },
  )

  test('Upgrade: h2c with a body: the body is forwarded, in both framings', async () => {
    const post = (framing: string, body: string): Promise<Outcome> =>
      gauntlet.send(
        `POST /open HTTP/1.1\r\nHost: ${APP}\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n${framing}\r\n\r\n${body}`,
      )
    for (const { statuses, received } of [
      await post('Content-Length: 5', 'abcde'),
      await post('Transfer-Encoding: chunked', '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'),
    ]) {
      expect(statuses).toEqual([200])
      expect(only(received)).toMatchObject({ method: 'POST', target: '/open', body: 'abcde' })
      expect(only(received).values('upgrade')).toEqual([])
    }
  })

  test('in HTTP/1.0 is not made', async () => {
    const { statuses, received } = await gauntlet.send(handshake('/open').replace('HTTP/1.1', 'HTTP/1.0'))
    expect(statuses).toEqual([200])
    expect(only(received).values('upgrade')).toEqual([])
  })

  test.each(['POST', 'PUT', 'OPTIONS'])('by %s is not forwarded', async (method) => {
    await expectRefused(handshake('/open', { method }), 400)
  })

  test('with a body is not forwarded', async () => {
    const inner = 'GET /admin HTTP/1.1\r\nHost: app.localhost\r\n\r\n'
    await expectRefused(handshake('/open', { lines: [`Content-Length: ${inner.length}`], behind: inner }), 400)
    await expectRefused(handshake('/open', { lines: ['Transfer-Encoding: chunked'], behind: `0\r\n\r\n${inner}` }), 400)
    await expectRefused(handshake('/open', { lines: ['Content-Length: 1', 'Content-Length: 2'], behind: inner }), 400)
  })

  test('a second handshake at once is bytes of the first tunnel, or nothing', async () => {
    const behind = handshake('/ws/smuggled', { login: 'alice' })
    const refused = await gauntlet.send(handshake('/ws/x', { behind }))
    expect({ statuses: refused.statuses, received: refused.received }).toEqual({ statuses: [401], received: [] })
    const passed = await open(handshake('/open/x', { behind }))
    expect(passed.statuses[0]).toBe(101)
    expect(passed.received.map(({ target }) => target)).toEqual(['/open/x'])
  })

  test('from a client that leaves at once ends only its own connection', async () => {
    const { connect } = await import('node:net')
    await Promise.all(
      Array.from(
        { length: 50 },
        () =>
          new Promise<void>((resolve) => {
            const socket = connect({ port: gauntlet.world.port, host: '127.0.0.1' }, () => {
              socket.write(handshake('/open'), () => socket.resetAndDestroy())
            })
            socket.on('error', () => {})
            socket.on('close', () => resolve())
          }),
      ),
    )
    await gauntlet.skip()
    expect((await open(handshake('/ws', { login: 'alice' }))).statuses).toEqual([101])
  })
})
