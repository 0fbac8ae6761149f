/** WebSockets through the whole program, with a real client and a real server: opened by permission, ended with it. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { WebSocket, WebSocketServer } from 'ws'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Browser } from '../support/browser.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { timePasses, whileTimePasses } from '../support/passing-time.ts'
import { createTestWorld, listenOn, portOf, type World } from '../support/world.ts'

const ENGINEERING = 'http://engineering.localhost/'
const JSON_ASK = { headers: { accept: 'application/json' } }

let clock: ManualClock
let upstream: Server
let sockets: WebSocketServer
let world: World
let opened: WebSocket[]
beforeEach(async () => {
  opened = []
  clock = manualClock()
  upstream = await listenOn(createServer((_req, res) => res.end('page')))
  sockets = new WebSocketServer({ server: upstream })
  sockets.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })))
  const to = `http://127.0.0.1:${portOf(upstream)}`
  const route = { from: 'http://engineering.localhost', to }
  world = await createTestWorld({
    clock,
    routes: [
      { ...route, name: 'off', prefix: '/off', allowed_groups: ['Engineering'], allow_websockets: false },
      { ...route, name: 'dead', prefix: '/dead', to: 'http://127.0.0.1:1', allowed_groups: ['Engineering'] },
      { ...route, name: 'public', prefix: '/public', allow_public_unauthenticated_access: true },
      { ...route, name: 'anybody', prefix: '/anybody', allow_any_authenticated_user: true },
      { ...route, name: 'group', allowed_groups: ['Engineering'] },
    ],
    // Hours pass in which nothing is said.
    config: { cookie_expire: '2h', tunnel_idle_timeout: 0 },
  })
})
afterEach(async () => {
  for (const socket of opened) socket.terminate()
  await world.close()
  sockets.close()
  await new Promise((resolve) => {
    upstream.close(resolve)
    upstream.closeAllConnections()
  })
})

async function signedIn(login: string): Promise<Browser> {
  const browser = world.browser()
  await whileTimePasses(clock, world.signIn(browser, `${ENGINEERING}anybody`, login))
  return browser
}

function connect(browser: Browser | undefined, path = '/', origin?: string): WebSocket {
  const cookie = browser && `postern=${browser.cookies.get('engineering.localhost')?.get('postern')}`
  const socket = new WebSocket(`ws://127.0.0.1:${world.port}${path}`, {
    headers: { host: 'engineering.localhost', ...(cookie !== undefined && { cookie }) },
    ...(origin !== undefined && { origin }),
  })
  // A refused handshake that nobody waits for is no error of the test.
  socket.on('error', () => {})
  opened.push(socket)
  return socket
}

async function open(browser: Browser, path = '/'): Promise<WebSocket> {
  const socket = connect(browser, path, 'http://engineering.localhost')
  await once(socket, 'open')
  return socket
}

async function echo(socket: WebSocket, text: string): Promise<string> {
  const answer = once(socket, 'message')
  socket.send(text)
  return String((await answer)[0])
}

/** Status and body of a handshake that is refused. */
async function refusal(socket: WebSocket): Promise<{ readonly status: number | undefined; readonly body: string }> {
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  const pieces: Buffer[] = []
  for await (const piece of response as AsyncIterable<Buffer>) pieces.push(piece)
  return { status: response.statusCode, body: Buffer.concat(pieces).toString() }
}

/** Closed on both sides, and the line says why. */
async function expectCut(socket: WebSocket, reason: string): Promise<void> {
  await timePasses(
    clock,
    () => new Promise((resolve) => setTimeout(() => resolve(socket.readyState === WebSocket.CLOSED), 2)),
    1000,
  )
  const lines = () => world.log().filter(({ status, cut }) => status === 101 && cut !== undefined)
  await expect.poll(lines).toEqual([expect.objectContaining({ cut: reason, decision: 'allow' })])
  await expect.poll(() => sockets.clients.size).toBe(0)
}

describe('opening a WebSocket', () => {
  test('allowed: messages pass both ways until the client closes; one log line at the end', async () => {
    const socket = await open(await signedIn('alice@example.com'), '/chat?room=1')
    expect(await echo(socket, 'hello')).toBe('hello')
    socket.close(1000)
    await once(socket, 'close')
    const lines = () => world.log().filter(({ path }) => path === '/chat')
    await expect
      .poll(lines)
      .toEqual([expect.objectContaining({ status: 101, decision: 'allow', email: 'alice@example.com' })])
  })

  test('denied: 401 without a session; 403 outside the group, where WebSockets are off or for another origin', async () => {
    const [alice, bob] = [await signedIn('alice@example.com'), await signedIn('bob@example.com')]
    const reason = async (socket: WebSocket) => {
      const { status, body } = await refusal(socket)
      return [status, (JSON.parse(body) as { reason: string }).reason]
    }
    expect(await reason(connect(undefined))).toEqual([401, 'user-unauthenticated'])
    expect(await reason(connect(bob))).toEqual([403, 'groups-unauthorized'])
    expect(await reason(connect(alice, '/off'))).toEqual([403, 'websockets-off'])
    expect(await reason(connect(alice, '/', 'http://evil.localhost'))).toEqual([403, 'origin-unauthorized'])
    expect(sockets.clients.size).toBe(0)
  })

  test('an unreachable upstream: 502', async () => {
    const { status, body } = await refusal(connect(await signedIn('alice@example.com'), '/dead'))
    expect(status).toBe(502)
    expect(JSON.parse(body)).toMatchObject({ error: 'ERR_UPSTREAM_CONNECT' })
    expect(body).not.toContain('127.0.0.1')
  })
})

describe('an open WebSocket is closed when', () => {
  test('the person signs out, also on another host', async () => {
    const alice = await signedIn('alice@example.com')
    const socket = await open(alice)
    const page = await alice.ask(`${ENGINEERING}.postern/sign_out`)
    await alice.ask(`${ENGINEERING}.postern/sign_out`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `csrf=${/name="csrf" value="([^"]+)"/.exec(page.body)?.[1]}`,
    })
    await expectCut(socket, 'signed-out')
  })

  test('the group is taken away; one without a group rule stays open, and so does the session', async () => {
    const alice = await signedIn('alice@example.com')
    const free = await open(alice, '/anybody')
    const socket = await open(alice)
    world.okta.removeMember('Engineering', 'alice@example.com')
    const gone = once(socket, 'close')
    await timePasses(clock, async () => (await alice.ask(ENGINEERING, JSON_ASK)).status === 403, 2000)
    await gone
    expect(await echo(free, 'still here')).toBe('still here')
    expect((await alice.ask(`${ENGINEERING}anybody`, JSON_ASK)).status).toBe(200)
    expect(world.log()).toContainEqual(expect.objectContaining({ status: 101, cut: 'no-longer-allowed' }))
  })

  test('the account is suspended', async () => {
    const socket = await open(await signedIn('alice@example.com'), '/anybody')
    world.okta.setStatus('alice@example.com', 'SUSPENDED')
    await timePasses(
      clock,
      () => new Promise((resolve) => setTimeout(() => resolve(socket.readyState === WebSocket.CLOSED), 2)),
      2000,
    )
    expect(world.log()).toContainEqual(
      expect.objectContaining({ status: 101, cut: expect.stringMatching(/^(?:no-longer-allowed|signed-out)$/) }),
    )
  })

  test('its public route asks for a sign-in after a reload; another public one stays open', async () => {
    const route = { from: 'http://engineering.localhost', to: `http://127.0.0.1:${portOf(upstream)}` }
    const open = async (path: string): Promise<WebSocket> => {
      const socket = connect(undefined, path)
      await once(socket, 'open')
      return socket
    }
    const [closed, stays] = [await open('/public/closed'), await open('/public/stays')]
    const gone = once(closed, 'close')
    world.reload({
      routes: [
        { ...route, prefix: '/public/stays', allow_public_unauthenticated_access: true },
        { ...route, allow_any_authenticated_user: true },
      ],
    })
    await gone
    expect(await echo(stays, 'still here')).toBe('still here')
    await expect
      .poll(() => world.log().filter(({ status, cut }) => status === 101 && cut !== undefined))
      .toEqual([expect.objectContaining({ path: '/public/closed', cut: 'no-longer-allowed' })])
  })

  test('the session expires, however busy the socket is', async () => {
    const alice = await signedIn('alice@example.com')
    const socket = await open(alice, '/anybody')
    const started = clock.now()
    clock.advance(119 * 60_000)
    expect(await echo(socket, 'busy')).toBe('busy')
    await expectCut(socket, 'expired')
    expect(clock.now() - started).toBeLessThan(2 * 3_600_000 + 5000)
  })

  test('the groups become older than max_staleness', async () => {
    const socket = await open(await signedIn('alice@example.com'))
    world.okta.fault({ path: '/api/v1/', act: { kind: 'cut' } })
    await timePasses(
      clock,
      () => new Promise((resolve) => setTimeout(() => resolve(socket.readyState === WebSocket.CLOSED), 2)),
      30_000,
    )
    expect(world.log()).toContainEqual(expect.objectContaining({ status: 101, cut: 'no-longer-allowed' }))
  })

  test('Postern ends', async () => {
    const socket = await open(await signedIn('alice@example.com'))
    const gone = once(socket, 'close')
    await world.restart()
    await gone
    await expect.poll(() => sockets.clients.size).toBe(0)
  })

  test('the application or the client goes away', async () => {
    const alice = await signedIn('alice@example.com')
    const first = await open(alice)
    const gone = once(first, 'close')
    for (const client of sockets.clients) client.terminate()
    await gone
    const second = await open(alice)
    second.terminate()
    await expect.poll(() => sockets.clients.size).toBe(0)
  })
})
