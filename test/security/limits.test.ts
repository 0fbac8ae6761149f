/** What one client may ask of us: heads, bodies, rates; and one application that hangs. */
import { createServer, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { manualClock } from '../support/clock.ts'
import { parseAnswers, sendRaw, type WireAnswer } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'

const clock = manualClock()
let world: World
/** Requests that the application never answers. */
const hanging: ServerResponse[] = []
const stuck = createServer((_, res) => void hanging.push(res))

beforeAll(async () => {
  await new Promise<void>((resolve) => stuck.listen(0, '127.0.0.1', resolve))
  const open = { allow_public_unauthenticated_access: true }
  world = await createTestWorld({
    clock,
    config: { max_header_bytes: 2048, max_headers: 20, max_url_length: 300, max_request_body: 1000 },
    routes: [
      { from: 'http://open.localhost', ...open },
      { from: 'http://uploads.localhost', max_request_body: 0, ...open },
      { from: 'http://slow.localhost', rate_limit: { per_client: 1, burst: '3s' }, ...open },
      { from: 'http://app.localhost', allow_any_authenticated_user: true, rate_limit: { per_person: 1, burst: '3s' } },
      {
        from: 'http://stuck.localhost',
        to: `http://127.0.0.1:${(stuck.address() as AddressInfo).port}`,
        circuit_breaker_thresholds: { max_connections: 4, max_pending_requests: 6 },
        ...open,
      },
    ],
  })
})
afterEach(() => clock.advance(60_000))
afterAll(async () => {
  for (const res of hanging) res.destroy()
  await world.close()
  await new Promise((resolve) => stuck.close(resolve))
})

/** One request, with these lines behind Host. */
async function ask(
  host: string,
  { target = '/', lines = '', body = '', from = '127.0.0.1' } = {},
): Promise<WireAnswer | undefined> {
  const method = body === '' ? 'GET' : 'POST'
  const bytes = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${lines}\r\n${body}`
  return (await sendRaw(world.port, bytes, { from }))[0]
}

const chunked = (body: string): string => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`

describe('heads', () => {
  const fields = (count: number): string => Array.from({ length: count }, (_, i) => `X-${i}: x\r\n`).join('')

  test.each([
    ['as many fields as may be', { lines: fields(18) }, 200],
    ['one more', { lines: fields(19) }, 431],
    ['large fields', { lines: `X-Long: ${'x'.repeat(1900)}\r\n` }, 200],
    ['larger ones', { lines: `X-Long: ${'x'.repeat(2048)}\r\n` }, 431],
    [
      'many large ones',
      { lines: `X-A: ${'x'.repeat(700)}\r\nX-B: ${'x'.repeat(700)}\r\nX-C: ${'x'.repeat(700)}\r\n` },
      431,
    ],
    ['a long address', { target: `/${'x'.repeat(299)}` }, 200],
    ['a longer one', { target: `/${'x'.repeat(300)}` }, 414],
    ['a long query', { target: `/?${'x'.repeat(299)}` }, 414],
  ] as const)('%s', async (_, request, status) => {
    const reached = world.received.length
    expect((await ask('open.localhost', request))?.status).toBe(status)
    expect(world.received.length - reached).toBe(status === 200 ? 1 : 0)
  })
})

describe('bodies', () => {
  test.each([
    ['as long as may be', 'Content-Length: 1000\r\n', 'x'.repeat(1000), 200],
    ['longer', 'Content-Length: 1001\r\n', 'x'.repeat(1001), 413],
    ['much longer, of which nothing comes', 'Content-Length: 100000000000\r\n', '', 413],
    ['in chunks, as long as may be', 'Transfer-Encoding: chunked\r\n', chunked('x'.repeat(1000)), 200],
    ['in chunks, longer', 'Transfer-Encoding: chunked\r\n', chunked('x'.repeat(1001)), 413],
  ])('%s', async (_, lines, body, status) => {
    const bytes = `POST / HTTP/1.1\r\nHost: open.localhost\r\nConnection: close\r\n${lines}\r\n${body}`
    const [answer, ...others] = await sendRaw(world.port, bytes)
    expect([answer?.status, others.length]).toEqual([status, 0])
    if (status === 413)
      expect(JSON.parse(answer?.body ?? '')).toMatchObject({
        error: 'ERR_BODY_TOO_LARGE',
        limit: 'max_request_body (1000 bytes)',
      })
  })

  test('nothing of a body whose length says enough reaches the application', async () => {
    const reached = world.received.length
    await ask('open.localhost', { lines: 'Content-Length: 5000\r\n', body: 'x'.repeat(5000) })
    expect(world.received).toHaveLength(reached)
  })

  test('a route may take as much as comes', async () => {
    const body = 'x'.repeat(100_000)
    expect((await ask('uploads.localhost', { lines: `Content-Length: ${body.length}\r\n`, body }))?.status).toBe(200)
  })
})

describe('rate_limit', () => {
  async function statuses(count: number, host: string, from?: string): Promise<readonly unknown[]> {
    const answers = await Promise.all(
      Array.from({ length: count }, () => ask(host, from === undefined ? {} : { from })),
    )
    return answers.map((answer) => answer?.status ?? 0).toSorted((a, b) => a - b)
  }

  test('per client: a burst, then the rate; another address and another route are none of it', async () => {
    const reached = world.received.length
    expect(await statuses(6, 'slow.localhost')).toEqual([200, 200, 200, 429, 429, 429])
    expect(world.received.length - reached).toBe(3)
    expect(await statuses(3, 'slow.localhost', '127.0.0.2')).toEqual([200, 200, 200])
    expect(await statuses(3, 'open.localhost')).toEqual([200, 200, 200])
    clock.advance(2000)
    expect(await statuses(4, 'slow.localhost')).toEqual([200, 200, 429, 429])
  })

  test('a reload begins no count anew, of all routes or of one', async () => {
    expect(await statuses(4, 'slow.localhost')).toEqual([200, 200, 200, 429])
    world.reload({ max_headers: 19 })
    expect(await statuses(2, 'slow.localhost')).toEqual([429, 429])
    world.reload({ rate_limit: { per_client: 1, burst: '2s' } })
    expect(await statuses(4, 'open.localhost')).toEqual([200, 200, 429, 429])
    world.reload({ rate_limit: { per_client: 2, burst: '2s' } })
    expect(await statuses(2, 'open.localhost')).toEqual([429, 429])
    world.reload({ rate_limit: {}, max_headers: 20 })
  })

  test('says when to come again, to programs and to people, and is logged', async () => {
    await statuses(3, 'slow.localhost')
    const answer = await ask('slow.localhost')
    expect(answer?.header('retry-after')).toBe('1')
    expect(JSON.parse(answer?.body ?? '')).toMatchObject({ error: 'rate-limited', retry_after: 1 })
    const page = await ask('slow.localhost', { lines: 'Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n' })
    expect([page?.status, page?.header('content-type')]).toEqual([429, 'text/html; charset=utf-8'])
    expect(world.log().at(-1)).toMatchObject({ status: 429, detail: 'more requests than rate_limit.per_client' })
  })

  test('per person: whatever their address; another person has their own', async () => {
    const people = await Promise.all(
      ['alice@example.com', 'bob@example.com'].map(async (login) => {
        const browser = world.browser()
        await world.signIn(browser, 'http://app.localhost/', login)
        return [...(browser.cookies.get('app.localhost') ?? [])].map((pair) => pair.join('=')).join('; ')
      }),
    )
    clock.advance(10_000)
    const as = async (cookie: string | undefined, from: string): Promise<unknown> =>
      (await ask('app.localhost', { lines: `Cookie: ${cookie}\r\n`, from }))?.status
    const [alice, bob] = people
    const found: unknown[] = []
    for (const from of ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4']) found.push(await as(alice, from))
    expect(found).toEqual([200, 200, 200, 429])
    expect(await as(bob, '127.0.0.1')).toBe(200)
    // Nobody is limited by the person that they are not.
    expect(await as('postern=nonsense', '127.0.0.1')).toBe(401)
  })

  test('of all routes together: sign-ins and unknown hosts count, the question of a load balancer does not', async () => {
    world.reload({ rate_limit: { per_client: 1, burst: '2s' } })
    const ping = await Promise.all(Array.from({ length: 5 }, () => ask('authenticate.localhost', { target: '/ping' })))
    expect(ping.map((answer) => answer?.status)).toEqual([200, 200, 200, 200, 200])
    // Sign-ins and unknown hosts count, too.
    const mixed = await Promise.all(
      ['nowhere.localhost', 'authenticate.localhost', 'open.localhost', 'open.localhost'].map((host) => ask(host)),
    )
    expect(mixed.filter((answer) => answer?.status === 429)).toHaveLength(2)
    world.reload({ rate_limit: {} })
  })
})

describe('one application that hangs', () => {
  test('takes its own places and no others: the rest is refused at once, and other applications answer as before', async () => {
    const sockets = Array.from({ length: 30 }, () => {
      const socket = connect(world.port, '127.0.0.1')
      let text = ''
      socket.on('data', (piece: Buffer) => (text += piece.toString('latin1'))).on('error', () => {})
      socket.write('GET / HTTP/1.1\r\nHost: stuck.localhost\r\n\r\n')
      return { socket, status: () => parseAnswers(text)[0]?.status }
    })
    // Four have a connection, six wait for one.
    await expect.poll(() => sockets.filter(({ status }) => status() === 503).length).toBe(20)
    await expect.poll(() => hanging.length).toBe(4)
    const others = await Promise.all(Array.from({ length: 40 }, () => ask('open.localhost')))
    expect(others.filter((answer) => answer?.status === 200)).toHaveLength(40)
    expect(sockets.filter(({ status }) => status() === undefined)).toHaveLength(10)
    expect(hanging).toHaveLength(4)
    for (const { socket } of sockets) socket.destroy()
  })
})

describe('a head that never ends', () => {
  test.each([
    ['nothing at all', ''],
    ['a byte at a time', 'G'],
    ['a field at a time', 'GET / HTTP/1.1\r\nHost: open.localhost\r\n'],
    ['a field that grows', 'GET / HTTP/1.1\r\nX-Grows: '],
  ])('%s is answered with 408 after timeout_read, however it drips', async (_, begin) => {
    const socket = connect(world.port, '127.0.0.1')
    let text = ''
    let isClosed = false
    socket.on('data', (piece: Buffer) => (text += piece.toString('latin1'))).on('error', () => {})
    socket.on('close', () => (isClosed = true))
    socket.write(begin)
    await expect
      .poll(() => {
        if (begin !== '' && socket.writable) socket.write(begin.endsWith(': ') || begin === 'G' ? 'x' : 'X-More: x\r\n')
        clock.advance(1000)
        return isClosed
      })
      .toBe(true)
    expect(text).toMatch(/^HTTP\/1\.1 408 /)
  })
})
