/**
 * F01, F02 for protocols besides WebSocket (`allow_spdy`, `allow_upgrades`): they pass every check of a request first, only
 * where the route allows them; what is not allowed is a request like any other (RFC 9110 §7.8), and nothing is smuggled.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { APP, createGauntlet, type Gauntlet, only, type Outcome } from '../support/gauntlet.ts'

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet({
    moreRoutes: [
      {
        name: 'cluster',
        prefix: '/cluster',
        allowed_groups: ['Engineering'],
        allow_spdy: true,
        allow_websockets: false,
      },
      { name: 'open', prefix: '/open', allow_public_unauthenticated_access: true, allow_upgrades: ['Stream/1'] },
      { name: 'plain', prefix: '/plain', allow_public_unauthenticated_access: true },
    ],
    // One that lies about what it changes to.
    answer: ({ target }) =>
      target === '/open/liar'
        ? 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: spdy/3.1\r\n\r\n'
        : target === '/open/refuses'
          ? 'HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope'
          : undefined,
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

/** As kubectl asks for an exec. */
function exec(target: string, protocol: string, lines: readonly string[] = [], behind = ''): string {
  return [
    `POST ${target} HTTP/1.1`,
    `Host: ${APP}`,
    'Connection: Upgrade',
    `Upgrade: ${protocol}`,
    'X-Stream-Protocol-Version: v4.channel.k8s.io',
    ...lines,
    '',
    behind,
  ].join('\r\n')
}

const SPDY = 'SPDY/3.1'
const cookieOf = (login: string): string => `Cookie: ${gauntlet.cookies[login]}`
const open = (bytes: string): Promise<Outcome> => gauntlet.send(bytes, { until: /\r\n\r\n/ })

test('a member of the group changes to SPDY where the route allows it, with the method and target that were judged', async () => {
  const path = '/cluster/api/v1/namespaces/a/pods/b/exec?command=sh&stdin=true'
  const { statuses, answers, received } = await open(exec(path, SPDY, [cookieOf('alice'), 'Content-Length: 0']))
  expect(statuses).toEqual([101])
  expect(answers[0]?.header('upgrade')).toBe(SPDY)
  expect(only(received)).toMatchObject({ method: 'POST', target: path, body: '' })
  expect(only(received).values('x-stream-protocol-version')).toEqual(['v4.channel.k8s.io'])
  expect(only(received).values('upgrade')).toEqual([SPDY])
  expect(only(received).values('cookie')).toEqual([])
})

test('bytes pass both ways, those right behind the handshake too', async () => {
  const socket = connect({ port: gauntlet.world.port, host: '127.0.0.1' })
  socket.write(exec('/cluster/exec', SPDY, [cookieOf('alice')], '\x80\x03\x00\x01'), 'latin1')
  let seen = ''
  socket.on('data', (piece: Buffer) => (seen += piece.toString('latin1')))
  await expect.poll(() => seen.endsWith('\r\n\r\n\x80\x03\x00\x01')).toBe(true)
  expect(seen).toMatch(/^HTTP\/1\.1 101 /)
  socket.write('more')
  await expect.poll(() => seen).toMatch(/more$/)
  socket.end()
  await once(socket, 'close')
  await gauntlet.skip()
})

test('without a session 401, outside the group 403, from a foreign page 403: nothing reaches the upstream', async () => {
  const asked = [
    [exec('/cluster/exec', SPDY), 401],
    [exec('/cluster/exec', SPDY, [cookieOf('bob')]), 403],
    [exec('/cluster/exec', SPDY, [cookieOf('alice'), 'Origin: https://evil.example']), 403],
  ] as const
  for (const [bytes, status] of asked) {
    const { statuses, received } = await gauntlet.send(
      bytes.replace('Connection: Upgrade', 'Connection: Upgrade, close'),
    )
    expect({ statuses, received }).toEqual({ statuses: [status], received: [] })
  }
})

test.each([
  ['a route that does not allow it', '/plain', SPDY, ''],
  ['another protocol than the route allows', '/open', SPDY, ''],
  ['a list', '/open', 'stream/1, spdy/3.1', ''],
  ['two lines', '/open', 'stream/1\r\nUpgrade: stream/1', ''],
  ['an empty line before it', '/open', '\r\nUpgrade: stream/1', ''],
  ['HTTP/2', '/open', 'h2c', ''],
  ['a body', '/open', 'stream/1', 'hello'],
])('%s: the request is forwarded without the upgrade', async (_, target, protocol, body) => {
  const lines = [`Content-Length: ${body.length}`]
  const bytes = exec(target, protocol, lines, body).replace('Connection: Upgrade', 'Connection: Upgrade, close')
  const { statuses, received } = await gauntlet.send(bytes)
  expect(statuses).toEqual([200])
  expect(only(received)).toMatchObject({ method: 'POST', target, body })
  expect(only(received).values('upgrade')).toEqual([])
})

test('the protocol is compared in any case, and HTTP/1.0 has none', async () => {
  expect((await open(exec('/open', 'sTREAM/1'))).statuses).toEqual([101])
  const { statuses, received } = await gauntlet.send(exec('/open', 'stream/1').replace('HTTP/1.1', 'HTTP/1.0'))
  expect(statuses).toEqual([200])
  expect(only(received).values('upgrade')).toEqual([])
})

test('an upstream that changes to something else is not believed, and one that refuses is heard', async () => {
  const lied = await gauntlet.send(exec('/open/liar', 'stream/1').replace('Upgrade', 'Upgrade, close'))
  expect({ statuses: lied.statuses, asked: lied.received.length }).toEqual({ statuses: [502], asked: 1 })
  const { answers } = await gauntlet.send(exec('/open/refuses', 'stream/1'))
  expect(answers).toMatchObject([{ status: 403, body: 'nope' }])
})

test.each([
  ['is refused', '/cluster/exec', 401],
  ['fails', '/open/liar', 502],
  ['is refused by the application', '/open/refuses', 403],
  ['is left out', '/plain', 200],
])('what stands behind a handshake that %s is no request', async (_, target, status) => {
  const next = `GET /plain/next HTTP/1.1\r\nHost: ${APP}\r\nConnection: close\r\n\r\n`
  const { answers, received } = await gauntlet.send(exec(target, 'stream/1', [], next))
  expect(answers.map((answer) => [answer.status, answer.header('connection')])).toEqual([[status, 'close']])
  expect(received.map((one) => one.target)).not.toContain('/plain/next')
})

test('WebSockets stay off where only SPDY is allowed', async () => {
  const handshake = exec('/cluster/exec', 'websocket', [
    cookieOf('alice'),
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ]).replace('POST', 'GET')
  const { statuses, received } = await gauntlet.send(handshake)
  expect({ statuses, received }).toEqual({ statuses: [403], received: [] })
})
