/** The own client on raw sockets: what it writes, what it takes for an answer, and what becomes of its connections. */
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { RequestBody } from '../../../src/http/exchange.ts'
import { createDeadlines } from '../../../src/lib/deadlines.ts'
import type {
  AnswerHead,
  AnswerHandler,
  Failure,
  UpstreamExchange,
  UpstreamRequest,
} from '../../../src/upstream/client.ts'
import { H1Pool } from '../../../src/upstream/h1-pool.ts'
import { ChunkedDecoder } from '../../../src/wire/chunked.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'
import { answering, cleanup, OK, type RawUpstream, rawUpstream, type Wire } from './support.ts'

const GET: UpstreamRequest = {
  method: 'GET',
  path: '/x?q=1',
  host: undefined,
  headers: 'x-a: 1\r\n',
  body: undefined,
  length: undefined,
}

/** Takes an answer and remembers it. */
class Taker implements AnswerHandler {
  exchange: UpstreamExchange | undefined
  head: AnswerHead | undefined
  readonly pieces: Buffer[] = []
  failure: Failure | undefined
  whole = false
  /** Does it need the pieces later? */
  keeps = false
  onPieceCame: (piece: Buffer) => void = () => {}
  readonly over: Promise<void>
  private end = (): void => {}

  constructor() {
    this.over = new Promise((resolve) => (this.end = resolve))
  }

  onStart(exchange: UpstreamExchange): void {
    this.exchange = exchange
  }
  onHead(head: AnswerHead): void {
    this.head = head
  }
  onPiece(piece: Buffer): boolean {
    this.pieces.push(this.keeps ? piece : Buffer.from(piece))
    this.onPieceCame(piece)
    return !this.keeps
  }
  onEnd(last: Buffer | undefined): boolean {
    if (last) this.pieces.push(this.keeps ? last : Buffer.from(last))
    this.whole = true
    this.end()
    return !this.keeps
  }
  onFailure(failure: Failure): void {
    this.failure = failure
    this.end()
  }

  get body(): string {
    return Buffer.concat(this.pieces).toString('latin1')
  }
  get code(): unknown {
    return this.failure && 'code' in this.failure.error ? this.failure.error.code : undefined
  }
}

function poolTo({ port, origin }: Pick<RawUpstream, 'port' | 'origin'>, clock: ManualClock = manualClock()): H1Pool {
  const deadlines = createDeadlines(clock)
  const pool = new H1Pool({
    origin,
    authority: `127.0.0.1:${port}`,
    target: { host: '127.0.0.1', port },
    connectTimeout: 10_000,
    clock,
    deadlines,
  })
  cleanup(() => pool.destroy())
  return pool
}

async function ask(pool: H1Pool, request: Partial<UpstreamRequest> = {}, taker = new Taker()): Promise<Taker> {
  pool.dispatch({ ...GET, ...request }, taker)
  await taker.over
  return taker
}

function bodyOf(...pieces: readonly string[]): RequestBody {
  const body = Readable.from(pieces.map((piece) => Buffer.from(piece)))
  return Object.assign(body, { bytes: 0, starving: false, onPiece() {}, limit() {}, limitBytes() {} })
}

/** What comes in each write. */
async function pieces(upstream: RawUpstream, ...sent: readonly string[]): Promise<void> {
  const { socket } = await upstream.connections.next()
  socket.setNoDelay(true)
  await say(socket, sent)
}

async function say(socket: Socket, sent: readonly string[]): Promise<void> {
  for (const piece of sent) await new Promise((resolve) => socket.write(piece, 'latin1', () => setImmediate(resolve)))
}

test('a request is one write, with the host and framing that the upstream expects', async () => {
  const read: string[] = []
  const upstream = await rawUpstream(({ socket }) => {
    socket.on('data', (piece) => {
      read.push(piece.toString('latin1'))
      socket.write(OK)
    })
  })
  const pool = poolTo(upstream)
  expect(await ask(pool)).toMatchObject({ whole: true, body: 'ok', head: { status: 200, reason: 'OK' } })
  await ask(pool, { method: 'POST', host: 'app.test' })
  const host = `host: 127.0.0.1:${upstream.port}\r\n`
  expect(read).toEqual([
    `GET /x?q=1 HTTP/1.1\r\n${host}connection: keep-alive\r\nx-a: 1\r\n\r\n`,
    'POST /x?q=1 HTTP/1.1\r\nhost: app.test\r\nconnection: keep-alive\r\nx-a: 1\r\ncontent-length: 0\r\n\r\n',
  ])
})

describe('an answer', () => {
  const cases: readonly (readonly [string, Partial<UpstreamRequest>, string, string])[] = [
    ['of a length', {}, OK, 'ok'],
    ['of no bytes', {}, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', ''],
    [
      'in chunks',
      {},
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\nA;x=y\r\nllo, world\r\n0\r\nt: 1\r\n\r\n',
      'hello, world',
    ],
    ['to HEAD', { method: 'HEAD' }, 'HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n', ''],
    ['to HEAD, in chunks', { method: 'HEAD' }, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', ''],
    ['204', {}, 'HTTP/1.1 204 No Content\r\n\r\n', ''],
    ['304 with the length of the 200', {}, 'HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n', ''],
    ['behind hints', {}, `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK}`, 'ok'],
  ]
  test.each(cases)(
    '%s is taken whole, at once and byte by byte, over one connection',
    async (_, request, answer, body) => {
      let one = false
      const upstream = await rawUpstream(({ socket }) => {
        socket.setNoDelay(true)
        socket.on('data', () => void say(socket, one ? answer.split('') : [answer]))
      })
      const pool = poolTo(upstream)
      for (one of [false, true, false])
        expect(await ask(pool, request)).toMatchObject({ whole: true, body, failure: undefined })
      expect(upstream.connections.all).toHaveLength(1)
    },
  )

  test.each([
    ['a length', 'content-length: 38'],
    ['chunks', 'transfer-encoding: chunked'],
  ])('204 with %s is whole, and what may follow it is no answer to the next request', async (_, framing) => {
    const upstream = await rawUpstream(({ socket }) =>
      socket.once('data', () => socket.write(`HTTP/1.1 204 No Content\r\n${framing}\r\n\r\n`)),
    )
    const pool = poolTo(upstream)
    expect(await ask(pool)).toMatchObject({ whole: true, head: { status: 204 } })
    await upstream.connections.all[0]?.closed
  })

  test('without a length ends with the connection', async () => {
    const upstream = await rawUpstream()
    const pool = poolTo(upstream)
    const taker = new Taker()
    pool.dispatch(GET, taker)
    await pieces(upstream, 'HTTP/1.1 200 OK\r\n\r\n', 'one ', 'two')
    await expect.poll(() => taker.body).toBe('one two')
    expect(taker.whole).toBe(false)
    upstream.connections.all[0]?.socket.end()
    await taker.over
    expect(taker).toMatchObject({ whole: true, failure: undefined })
  })

  test.each([
    ['an unfinished head', 'HTTP/1.1 200 OK\r\ncontent-le'],
    ['fewer bytes than its length', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'],
    ['no last chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
    ['no end of its trailers', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n'],
  ])('of %s is none', async (_, answer) => {
    const upstream = await rawUpstream(({ socket }) => socket.once('data', () => socket.end(answer, 'latin1')))
    const taker = await ask(poolTo(upstream))
    expect(taker).toMatchObject({ whole: false, code: 'ECONNRESET', failure: { heard: true, stale: false } })
  })

  test.each([
    [
      '101 unasked',
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
      'it switches protocols unasked',
    ],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', 'it does not speak HTTP/1.1'],
    ['a flood of hints', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(33), 'more than 32 hints before its answer'],
    ['bare LF, before its end has come', 'HTTP/1.1 200 OK\ncontent-length: 0\n\n', 'a malformed header line'],
    [
      'a hint with a length',
      `HTTP/1.1 103 X\r\ncontent-length: 2\r\n\r\n${OK}`,
      'a 1xx with a body, or that ends the connection',
    ],
    [
      'a hint in chunks',
      `HTTP/1.1 103 X\r\ntransfer-encoding: chunked\r\n\r\n${OK}`,
      'a 1xx with a body, or that ends the connection',
    ],
    [
      'a hint that ends the connection',
      `HTTP/1.0 100 X\r\n\r\n${OK}`,
      'a 1xx with a body, or that ends the connection',
    ],
    ['a bad line', 'HTTP/1.1 200 OK\r\nx y: 1\r\n\r\n', 'a malformed header line'],
    ['a chunk without its end', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhixx', 'a malformed chunk'],
    ['a chunk of a negative size', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n', 'a malformed chunk'],
    [
      'a long head',
      `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(40_000)}\r\n\r\n`,
      'the header of its answer is longer than 32768 bytes',
    ],
  ])('%s is refused, and the connection with it', async (_, answer, problem) => {
    const upstream = await rawUpstream(({ socket }) => socket.on('data', () => socket.write(answer, 'latin1')))
    const taker = await ask(poolTo(upstream))
    expect(taker).toMatchObject({ whole: false, code: 'ERR_UPSTREAM_PROTOCOL' })
    expect(taker.failure?.error.message).toBe(`upstream ${upstream.origin}: ${problem}`)
    await upstream.connections.all[0]?.closed
  })

  test('whose head comes in many pieces, with much of its body in the last one', async () => {
    const body = 'b'.repeat(200_000)
    const answer = `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(30_000)}\r\ncontent-length: ${body.length}\r\n\r\n${body}`
    const upstream = await rawUpstream()
    const taker = new Taker()
    poolTo(upstream).dispatch(GET, taker)
    await pieces(
      upstream,
      answer.slice(0, 5),
      answer.slice(5, 20_000),
      answer.slice(20_000, 30_010),
      answer.slice(30_010),
    )
    await taker.over
    expect(taker.body).toBe(body)
  })
})

describe('a connection', () => {
  const served = async (answer: string): Promise<{ upstream: RawUpstream; pool: H1Pool; clock: ManualClock }> => {
    const clock = manualClock()
    const upstream = await rawUpstream(answering(answer))
    const pool = poolTo(upstream, clock)
    expect(await ask(pool)).toMatchObject({ whole: true })
    return { upstream, pool, clock }
  }

  test.each([
    ['says close', 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok'],
    ['speaks HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok'],
    ['says more than its answer', `${OK}HTTP/1.1 200 OK\r\n\r\n`],
    ['says one byte more behind its last chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n!'],
    ['answers a 204 with chunks', 'HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['keeps it for a second', 'HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok'],
  ])('of an upstream that %s serves once', async (_, answer) => {
    const { upstream, pool } = await served(answer)
    await upstream.connections.all[0]?.closed
    expect(await ask(pool)).toMatchObject({ whole: true })
    expect(upstream.connections.all).toHaveLength(2)
  })

  test('on which an upstream speaks unasked is given up: what it says is nobody’s answer', async () => {
    const { upstream, pool } = await served(OK)
    upstream.connections.all[0]?.send('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged')
    await upstream.connections.all[0]?.closed
    expect(await ask(pool)).toMatchObject({ body: 'ok' })
  })

  test('is not asked again before everything that has come with its answer was read', async () => {
    // The head and the body are as much as one read brings.
    const head = 'HTTP/1.1 200 OK\r\ncontent-length: 65000\r\nx-filled: '
    const full = `${head}${'x'.repeat(65_536 - head.length - 4 - 65_000)}\r\n\r\n${'y'.repeat(65_000)}`
    const upstream = await rawUpstream(({ socket }) => {
      socket.on('data', (piece) =>
        socket.write(piece.includes('/next') ? OK : `${full}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison`),
      )
    })
    const pool = poolTo(upstream)
    for (let round = 0; round < 20; round++) {
      const [first, next] = [new Taker(), new Taker()]
      first.onEnd = () => {
        pool.dispatch({ ...GET, path: '/next' }, next)
        return true
      }
      pool.dispatch(GET, first)
      await next.over
      expect(next.body).toBe('ok')
    }
  })

  test('is closed after four idle seconds, or sooner when the upstream closes then', async () => {
    for (const [line, idle] of [
      ['', 4000],
      ['keep-alive: timeout=3\r\n', 2000],
      ['keep-alive: timeout=60\r\n', 4000],
    ] as const) {
      const { upstream, pool, clock } = await served(`HTTP/1.1 200 OK\r\n${line}content-length: 2\r\n\r\nok`)
      clock.advance(idle - 1)
      await ask(pool)
      expect(upstream.connections.all).toHaveLength(1)
      clock.advance(idle - 1)
      expect(upstream.connections.all[0]?.socket.destroyed).toBe(false)
      clock.advance(1)
      await upstream.connections.all[0]?.closed
    }
  })

  test('takes no more requests when it is a minute old', async () => {
    const { upstream, pool, clock } = await served(OK)
    for (let i = 0; i < 19; i++) {
      clock.advance(3000)
      await ask(pool)
    }
    expect(upstream.connections.all).toHaveLength(1)
    clock.advance(3000)
    await ask(pool)
    await upstream.connections.all[0]?.closed
    await ask(pool)
    expect(upstream.connections.all).toHaveLength(2)
  })

  test('that served before and is closed is stale; a new one is not', async () => {
    const upstream = await rawUpstream(({ socket }) => {
      let requests = 0
      socket.on('data', () => (requests++ === 0 ? socket.write(OK) : socket.resetAndDestroy()))
    })
    const pool = poolTo(upstream)
    await ask(pool)
    expect((await ask(pool)).failure).toMatchObject({ stale: true, heard: false })
    const closing = await rawUpstream(({ socket }) => socket.once('data', () => socket.destroy()))
    expect((await ask(poolTo(closing))).failure).toMatchObject({ stale: false, heard: false })
  })

  test('that does not stand in time names its limit', async () => {
    const clock = manualClock()
    const upstream = await rawUpstream()
    const pool = poolTo(upstream, clock)
    const taker = new Taker()
    pool.dispatch(GET, taker)
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(10_000)
    await taker.over
    expect(taker.exchange).toBeUndefined()
    expect(taker.failure?.error.message).toBe(
      `upstream ${upstream.origin}: no connection in time; the limit is upstream_connect_timeout (10s)`,
    )
  })

  test('that nothing was sent over serves the next request', async () => {
    const upstream = await rawUpstream(answering(OK))
    const pool = poolTo(upstream)
    const leaver = new Taker()
    const started = new Promise<void>((resolve) => {
      leaver.onStart = (exchange) => {
        exchange.abort()
        resolve()
      }
    })
    pool.dispatch(GET, leaver)
    await started
    expect(await ask(pool)).toMatchObject({ body: 'ok' })
    expect(leaver.failure).toBeUndefined()
    await expect
      .poll(() => upstream.connections.all.map(({ received }) => received().match(/GET/g)?.length))
      .toEqual([1])
  })
})

describe('a client that is slow', () => {
  const size = 300_000
  const big = `HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n${'b'.repeat(size)}`

  test('stops the upstream, and leaves no connection deaf to the next exchange', async () => {
    const upstream = await rawUpstream(answering(big))
    const pool = poolTo(upstream)
    const slow = new Taker()
    slow.onPieceCame = () => {
      slow.exchange?.pause()
      setImmediate(() => slow.exchange?.resume())
    }
    await ask(pool, {}, slow)
    expect(slow.body).toHaveLength(size)
    // It has ended: what its client still does concerns no connection any more.
    slow.exchange?.pause()
    expect((await ask(pool)).body).toHaveLength(size)
    slow.exchange?.abort()
    expect((await ask(pool)).body).toHaveLength(size)
    expect(upstream.connections.all).toHaveLength(1)
  })

  test('that stops in its last piece stops no other exchange', async () => {
    const upstream = await rawUpstream(answering(OK))
    const pool = poolTo(upstream)
    const slow = new Taker()
    slow.onEnd = function (this: Taker, last) {
      this.exchange?.pause()
      return Taker.prototype.onEnd.call(this, last)
    }
    await ask(pool, {}, slow)
    expect(await ask(pool)).toMatchObject({ body: 'ok' })
    expect(upstream.connections.all).toHaveLength(1)
  })

  test('has its pieces for itself; those that were used, at once or until it resumes, leave their buffer to the next', async () => {
    const upstream = await rawUpstream(answering(big))
    const pool = poolTo(upstream)
    const slow = new Taker()
    slow.keeps = true
    await ask(pool, {}, slow)
    expect(slow.body).toBe('b'.repeat(size))
    expect(new Set(slow.pieces.map(({ buffer }) => buffer)).size).toBe(slow.pieces.length)
    const buffers = new Set<ArrayBufferLike>()
    const paused = new Taker()
    paused.onPiece = (piece) => {
      paused.exchange?.pause()
      buffers.add(piece.buffer)
      setImmediate(() => {
        paused.pieces.push(Buffer.from(piece))
        paused.exchange?.resume()
      })
      return false
    }
    await ask(pool, {}, paused)
    await expect.poll(() => paused.body).toBe('b'.repeat(size))
    expect(buffers.size).toBe(1)
    buffers.clear()
    const quick = new Taker()
    quick.onPieceCame = ({ buffer }) => void buffers.add(buffer)
    await ask(pool, {}, quick)
    expect(quick.body).toBe('b'.repeat(size))
    expect(buffers.size).toBe(1)
  })
})

describe('a request body', () => {
  const sending = { method: 'PUT', headers: '' }
  const lastOf = (wire: Wire | undefined): string => wire?.received().split('\r\nconnection: keep-alive\r\n')[1] ?? ''

  test.each([
    ['of a length', 10, 'content-length: 10\r\n\r\nhello rest'],
    ['in chunks', undefined, 'transfer-encoding: chunked\r\n\r\n6\r\nhello \r\n4\r\nrest\r\n0\r\n\r\n'],
  ])('%s is framed anew', async (_, length, expected) => {
    const upstream = await rawUpstream(
      ({ socket, seen }) => void seen(/rest(\r\n0\r\n\r\n)?$/).then(() => socket.write(OK)),
    )
    const pool = poolTo(upstream)
    expect(await ask(pool, { ...sending, body: bodyOf('hello ', 'rest'), length })).toMatchObject({ whole: true })
    await upstream.connections.all[0]?.seen(/rest(\r\n0\r\n\r\n)?$/)
    expect(lastOf(upstream.connections.all[0])).toBe(expected)
  })

  test.each([
    ['longer', 3, /content-length: 3\r\n\r\n$/],
    ['shorter', 9, /content-length: 9\r\n\r\nhello$/],
  ])('that is %s than its length ends the exchange, and no byte too many is sent', async (what, length, seen) => {
    const upstream = await rawUpstream()
    const taker = await ask(poolTo(upstream), { ...sending, body: bodyOf('hello'), length })
    expect(taker.failure?.error.message).toBe(`the body of the request is ${what} than its Content-Length`)
    const wire = await upstream.connections.next()
    await wire.closed
    expect(wire.received()).toMatch(seen)
  })

  test('whose client fails ends the exchange with its error', async () => {
    const upstream = await rawUpstream()
    const body = Object.assign(new Readable({ read() {} }), {
      bytes: 0,
      starving: false,
      onPiece() {},
      limit() {},
      limitBytes() {},
    })
    const taker = new Taker()
    poolTo(upstream).dispatch({ ...GET, ...sending, body, length: undefined }, taker)
    await (await upstream.connections.next()).seen(/\r\n\r\n$/)
    body.destroy(Object.assign(new Error('gone'), { code: 'GONE' }))
    await taker.over
    expect(taker.code).toBe('GONE')
    await upstream.connections.all[0]?.closed
    expect(upstream.connections.all[0]?.received()).not.toContain('0\r\n\r\n')
  })

  test('that is answered before it has ended is read no more, and the connection serves no other request', async () => {
    const upstream = await rawUpstream(
      ({ socket, seen }) =>
        void seen(/half/).then(
          () => socket.write(OK),
          () => {},
        ),
    )
    const body = Object.assign(new Readable({ read() {} }), {
      bytes: 0,
      starving: false,
      onPiece() {},
      limit() {},
      limitBytes() {},
    })
    body.push('half')
    const pool = poolTo(upstream)
    expect(await ask(pool, { ...sending, body, length: 100 })).toMatchObject({ body: 'ok', whole: true })
    expect(body.destroyed).toBe(true)
    await upstream.connections.all[0]?.closed
    void ask(pool)
    await upstream.connections.all[0]?.closed
    await expect.poll(() => upstream.connections.all.length).toBe(2)
  })

  test.each([
    ['of a length', 24 * 1024 * 1024],
    ['in chunks', undefined],
  ])('%s arrives byte for byte, and its memory is given back as soon as the kernel has it', async (_, length) => {
    const size = 24 * 1024 * 1024
    const sent = createHash('sha256')
    const got = createHash('sha256')
    let bytes = 0
    const upstream = await rawUpstream(({ socket }) => {
      socket.removeAllListeners('data')
      const decoder = new ChunkedDecoder()
      let isHead = true
      socket.on('data', (piece: Buffer) => {
        const at = isHead ? piece.indexOf('\r\n\r\n') + 4 : 0
        isHead = false
        const end = length === undefined ? decoder.decode(piece, at, piece.length) : piece.length
        const from = length === undefined ? decoder.start : at
        got.update(piece.subarray(from, end))
        bytes += end - from
        if (bytes === size && (length !== undefined || decoder.done)) socket.write(OK)
        // Now and then nothing is read, and the kernel takes no more.
        socket.pause()
        setImmediate(() => socket.resume())
      })
    })
    const pieces: Buffer[] = []
    const body = new Readable({
      highWaterMark: 128 * 1024,
      read() {
        const piece = Buffer.allocUnsafeSlow(64 * 1024).fill(String(pieces.length))
        const isLeft = pieces.length * piece.length < size
        if (isLeft) {
          sent.update(piece)
          pieces.push(piece)
        }
        this.push(isLeft ? piece : null)
      },
    })
    const request = Object.assign(body, { bytes: 0, starving: false, onPiece() {}, limit() {}, limitBytes() {} })
    expect(await ask(poolTo(upstream), { ...sending, body: request, length })).toMatchObject({
      whole: true,
      body: 'ok',
    })
    expect(got.digest('hex')).toBe(sent.digest('hex'))
    expect(pieces.filter(({ byteLength }) => byteLength === 0).length).toBeGreaterThan(0)
  })

  test('that shares its memory keeps it', async () => {
    const upstream = await rawUpstream(({ socket, seen }) => void seen(/b{65536}/).then(() => socket.write(OK)))
    const memory = Buffer.allocUnsafeSlow(128 * 1024).fill('b')
    const body = Object.assign(Readable.from([memory.subarray(0, 64 * 1024)]), {
      bytes: 0,
      starving: false,
      onPiece() {},
      limit() {},
      limitBytes() {},
    })
    expect(await ask(poolTo(upstream), { ...sending, body, length: 64 * 1024 })).toMatchObject({ whole: true })
    expect(memory.byteLength).toBe(128 * 1024)
  })

  test('comes at the pace of the upstream', async () => {
    const upstream = await rawUpstream(({ socket }) => socket.pause())
    let read = 0
    const piece = Buffer.alloc(64 * 1024)
    const body = new Readable({
      read() {
        read += piece.length
        this.push(read < 64 * 1024 * 1024 ? piece : null)
      },
    })
    const request = Object.assign(body, { bytes: 0, starving: false, onPiece() {}, limit() {}, limitBytes() {} })
    poolTo(upstream).dispatch({ ...GET, ...sending, body: request }, new Taker())
    await upstream.connections.next()
    let before = -1
    for (let still = 0; still < 200; still = read === before ? still + 1 : 0) {
      before = read
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(read).toBeLessThan(32 * 1024 * 1024)
  })
})

test.each([
  ['onStart', '/x'],
  ['onHead', '/x'],
  ['onPiece', '/x'],
  ['onEnd', '/whole'],
] as const)('a handler that throws in %s fails its exchange alone', async (where, path) => {
  const upstream = await rawUpstream(({ socket }) => {
    socket.on('data', (piece) => {
      socket.write(piece.includes('/whole') ? OK : 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwh')
    })
  })
  const pool = poolTo(upstream)
  const taker = new Taker()
  taker[where] = () => {
    throw new TypeError('no')
  }
  await ask(pool, { path }, taker)
  expect(taker.failure?.error.message).toBe('no')
  expect(await ask(pool, { path: '/whole' })).toMatchObject({ whole: true, body: 'ok' })
})

describe('a pool', () => {
  test('close resolves when its sockets are closed, and what is under way ends first', async () => {
    const upstream = await rawUpstream()
    const pool = poolTo(upstream)
    const taker = new Taker()
    pool.dispatch(GET, taker)
    await (await upstream.connections.next()).seen(/\r\n\r\n$/)
    let closed = false
    const closing = pool.close().then(() => (closed = true))
    expect((await ask(pool)).code).toBe('ERR_UPSTREAM_RESET')
    expect(closed).toBe(false)
    upstream.connections.all[0]?.send(OK)
    await taker.over
    expect(taker.body).toBe('ok')
    await closing
    await upstream.connections.all[0]?.closed
  })

  test('destroy cuts what is under way, connections that do not stand yet among them', async () => {
    const upstream = await rawUpstream()
    const pool = poolTo(upstream)
    const [held, connecting] = [new Taker(), new Taker()]
    pool.dispatch(GET, held)
    await (await upstream.connections.next()).seen(/\r\n\r\n$/)
    pool.dispatch(GET, connecting)
    await pool.destroy()
    expect([held.code, connecting.code]).toEqual(['ERR_UPSTREAM_RESET', 'ERR_UPSTREAM_RESET'])
    await upstream.connections.all[0]?.closed
  })

  test('uses the connection that was used last, so that those it needs no more close', async () => {
    const clock = manualClock()
    const upstream = await rawUpstream(answering(OK))
    const pool = poolTo(upstream, clock)
    await Promise.all([ask(pool), ask(pool), ask(pool)])
    expect(upstream.connections.all).toHaveLength(3)
    for (let i = 0; i < 4; i++) {
      clock.advance(1000)
      await ask(pool)
    }
    await expect.poll(() => upstream.connections.all.filter(({ socket }) => !socket.destroyed)).toHaveLength(1)
  })
})
