/**
 * M07, M12: an application that is dead, slow, rude, or dies in mid-sentence. The client gets 502, 503 or 504 with the
 * class of the failure and nothing of the inside, or a connection that is visibly cut; never a hang, never half an
 * answer that looks whole, and the next request is served.
 */
import { createServer, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { timePasses } from '../support/passing-time.ts'
import { sendRaw, type WireAnswer } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n'

/** What the application does, by path, once the request's header is there. */
const BEHAVIOUR: Readonly<Record<string, (socket: Socket) => void>> = {
  '/hangs-up': (socket) => socket.destroy(),
  '/resets': (socket) => socket.resetAndDestroy(),
  '/half-a-line': (socket) => socket.end('HTTP/1.1 2'),
  '/half-a-header': (socket) => socket.end(`${HEAD}Content-Le`),
  '/garbage': (socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n'),
  '/two-lengths': (socket) => socket.end(`${HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc`),
  '/length-and-chunks': (socket) =>
    socket.end(`${HEAD}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  '/split': (socket) => socket.end(`${HEAD}X: a\rb\r\nContent-Length: 0\r\n\r\n`),
  '/much-header': (socket) => socket.end(`${HEAD}X: ${'x'.repeat(100_000)}\r\nContent-Length: 0\r\n\r\n`),
  '/switches': (socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
  '/silent': () => {},
  '/cut-length': (socket) => socket.write(`${HEAD}Content-Length: 100\r\n\r\nhalf`, () => socket.destroy()),
  '/cut-chunks': (socket) =>
    socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`, () => socket.destroy()),
  '/bad-chunks': (socket) => socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n`),
  '/silent-body': (socket) => socket.write(`${HEAD}Content-Length: 100\r\n\r\nhalf`),
  '/good': (socket) => socket.write(`${HEAD}Content-Length: 4\r\n\r\ngood`),
}

let clock: ManualClock
let world: World
const sockets = new Set<Socket>()
/** Those that were asked something. (undici opens an idle connection for each that it gives up.) */
const asked = new Set<Socket>()
const application = createServer((socket) => {
  sockets.add(socket)
  socket.on('close', () => {
    sockets.delete(socket)
    asked.delete(socket)
  })
  socket.on('error', () => {})
  socket.on('data', (piece) => {
    const path = /^\w+ ([^ ?]+)/.exec(piece.toString('latin1'))?.[1]
    if (path) asked.add(socket)
    // What is no HTTP (a TLS hello) gets what servers answer to it.
    else if (!asked.has(socket)) socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')
    BEHAVIOUR[path ?? '']?.(socket)
  })
})
beforeAll(() => new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve)))
afterAll(() => new Promise((resolve) => application.close(resolve)))

beforeEach(async () => {
  clock = manualClock()
  const address = application.address()
  const to = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  const route = { from: 'http://app.localhost', allow_public_unauthenticated_access: true }
  world = await createTestWorld({
    clock,
    routes: [
      { ...route, name: 'dead', prefix: '/dead', to: 'http://127.0.0.1:1' },
      { ...route, name: 'nowhere', prefix: '/nowhere', to: 'http://nowhere.invalid' },
      { ...route, name: 'plain', prefix: '/plain', to: to.replace('http:', 'https:') },
      { ...route, name: 'app', to, timeout: '7s' },
    ],
    config: { upstream_body_timeout: '20s' },
  })
})
afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  asked.clear()
  await world.close()
  // A socket of this test must not count as a request of the next.
  await expect.poll(() => sockets.size).toBe(0)
})

function send(path: string, ...lines: readonly string[]): Promise<readonly WireAnswer[]> {
  return sendRaw(
    world.port,
    [`GET ${path} HTTP/1.1`, 'Host: app.localhost', 'Connection: close', ...lines, '', ''].join('\r\n'),
  )
}

/** The last access line. */
async function lineOf(path: string): Promise<Record<string, unknown>> {
  const found = () => world.log().filter((line) => line['msg'] === 'request' && line['path'] === path)
  await expect.poll(found).toHaveLength(1)
  return found()[0] ?? {}
}

async function expectServing(): Promise<void> {
  const [answer] = await send('/good')
  expect(answer).toMatchObject({ status: 200, body: 'good', complete: true })
}

describe('an upstream that fails before its response', () => {
  test.each([
    ['/dead', 502, 'ERR_UPSTREAM_CONNECT'],
    ['/nowhere', 502, 'ERR_UPSTREAM_RESOLVE'],
    ['/plain', 502, 'ERR_UPSTREAM_TLS'],
    ['/hangs-up', 502, 'ERR_UPSTREAM_RESET'],
    ['/resets', 502, 'ERR_UPSTREAM_RESET'],
    ['/half-a-line', 502, /ERR_UPSTREAM_(?:RESET|PROTOCOL)/],
    ['/half-a-header', 502, /ERR_UPSTREAM_(?:RESET|PROTOCOL)/],
    ['/garbage', 502, 'ERR_UPSTREAM_PROTOCOL'],
    ['/two-lengths', 502, 'ERR_UPSTREAM_PROTOCOL'],
    ['/length-and-chunks', 502, 'ERR_UPSTREAM_PROTOCOL'],
    ['/split', 502, 'ERR_UPSTREAM_PROTOCOL'],
    ['/much-header', 502, 'ERR_UPSTREAM_PROTOCOL'],
    ['/switches', 502, 'ERR_UPSTREAM_PROTOCOL'],
  ])('%s: %i as JSON and as a page, with the error code and no internals', async (path, status, code) => {
    const [json] = await send(path)
    expect(json).toMatchObject({ status, complete: true })
    const { error, request_id } = JSON.parse(json?.body ?? '') as Record<string, string>
    expect(error).toMatch(code)
    const line = await lineOf(path)
    expect(line).toMatchObject({ status, level: 'error', error, request_id, decision: 'allow' })

    const [page] = await send(path, 'Accept: text/html')
    expect(page?.status).toBe(status)
    expect(page?.body).toContain(error)
    for (const body of [json?.body, page?.body]) expect(body).not.toMatch(/127\.0\.0\.1|invalid|ECONN|OpenSSH|undici/)
    await expectServing()
  })

  test('slow: 504 after the timeout of the route, not before', async () => {
    const sent = send('/silent')
    await expect.poll(() => asked.size).toBe(1)
    clock.advance(6900)
    const early = await Promise.race([sent, new Promise((resolve) => setImmediate(resolve))])
    expect(early).toBeUndefined()
    clock.advance(1200)
    const [answer] = await sent
    expect(answer?.status).toBe(504)
    expect(JSON.parse(answer?.body ?? '')).toMatchObject({ error: 'ERR_UPSTREAM_TIMEOUT', limit: 'timeout (7s)' })
    expect(await lineOf('/silent')).toMatchObject({
      status: 504,
      error: 'ERR_UPSTREAM_TIMEOUT',
      error_message: expect.stringMatching(/: no answer in time; the limit is timeout \(7s\)$/),
      limit: 'timeout (7s)',
    })
    await expect.poll(() => asked.size).toBe(0)
    await expectServing()
  })

  test('slow: the 504 page names the limit', async () => {
    const sent = send('/silent', 'Accept: text/html')
    await expect.poll(() => asked.size).toBe(1)
    clock.advance(8000)
    const [page] = await sent
    expect(page?.status).toBe(504)
    expect(page?.body).toMatch(/The application takes too long[^]*<code>timeout \(7s\)<\/code>/)
  })

  test('a client that stops in its request: 408 with the limit, and the connection closes', async () => {
    const head = 'POST /silent HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 10\r\n\r\nx'
    const sent = sendRaw(world.port, head)
    await expect.poll(() => asked.size).toBe(1)
    clock.advance(59_000)
    expect(await Promise.race([sent, new Promise((resolve) => setImmediate(resolve))])).toBeUndefined()
    clock.advance(1000)
    const [answer] = await sent
    expect([answer?.status, answer?.header('connection')]).toEqual([408, 'close'])
    const limit = 'client_body_timeout (1m)'
    expect(JSON.parse(answer?.body ?? '')).toMatchObject({ error: 'ERR_CLIENT_TIMEOUT', limit })
    expect(await lineOf('/silent')).toMatchObject({ status: 408, level: 'info', error: 'ERR_CLIENT_TIMEOUT', limit })
    await expect.poll(() => asked.size).toBe(0)
  })

  test('gone during an upload: 502, though the upload goes on', async () => {
    const body = 'x'.repeat(2_000_000)
    const bytes = `POST /hangs-up HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const [answer] = await sendRaw(world.port, bytes)
    expect(answer?.status).toBe(502)
    await expectServing()
  })

  test('a POST on a closing connection is not sent a second time', async () => {
    let requests = 0
    const count = (piece: Buffer): void => {
      if (piece.toString('latin1').startsWith('POST /hangs-up')) requests++
    }
    application.on('connection', (socket: Socket) => socket.on('data', count))
    await expectServing()
    const [answer] = await sendRaw(
      world.port,
      'POST /hangs-up HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx',
    )
    expect(answer?.status).toBe(502)
    expect(requests).toBeLessThanOrEqual(1)
  })
})

describe('an upstream that fails within its response', () => {
  test.each([
    ['/cut-length', 'ERR_UPSTREAM_RESET'],
    ['/cut-chunks', 'ERR_UPSTREAM_RESET'],
    ['/bad-chunks', 'ERR_UPSTREAM_PROTOCOL'],
  ])('%s: the client sees that the response is incomplete, and the log says why', async (path, code) => {
    const [answer] = await send(path)
    expect(answer).toMatchObject({ status: 200, complete: false })
    expect('half'.startsWith(answer?.body ?? 'x')).toBe(true)
    expect(await lineOf(path)).toMatchObject({ status: 200, cut: code })
    await expectServing()
  })

  test('silent: cut after upstream_body_timeout', async () => {
    const sent = send('/silent-body')
    let settled = false
    void sent.finally(() => {
      settled = true
    })
    await timePasses(clock, () => new Promise((resolve) => setTimeout(() => resolve(settled), 2)), 500)
    expect((await sent)[0]).toMatchObject({ status: 200, body: 'half', complete: false })
    expect(await lineOf('/silent-body')).toMatchObject({
      cut: 'ERR_UPSTREAM_TIMEOUT',
      limit: 'upstream_body_timeout (20s)',
    })
    await expectServing()
  })

  test('a client that leaves within the response closes the upstream connection at once', async () => {
    await sendRaw(world.port, 'GET /silent-body HTTP/1.1\r\nHost: app.localhost\r\n\r\n', { until: /half/ })
    await expect.poll(() => asked.size).toBe(0)
    expect(await lineOf('/silent-body')).toMatchObject({ cut: 'client-closed' })
    await expectServing()
  })

  test('a client that leaves before the response closes the upstream connection at once', async () => {
    const client = sendRaw(world.port, 'GET /silent HTTP/1.1\r\nHost: app.localhost\r\n\r\n', { patience: 300 })
    await expect(client).rejects.toThrow('still open')
    await expect.poll(() => asked.size).toBe(0)
    expect(await lineOf('/silent')).toMatchObject({ status: 499, error: 'ERR_CLIENT_CLOSED' })
    await expectServing()
  })
})
