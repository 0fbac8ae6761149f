/** Bodies on their way through our own client: of requests, and of answers to a client that is slow. */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { ChunkedDecoder } from '../../../src/wire/chunked.ts'
import { answering, OK, rawUpstream, type Wire } from './support.ts'
import { ask, bodyOf, GET, poolTo, Taker } from './h1-taker.ts'

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
