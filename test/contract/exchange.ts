/** What every carrier of exchanges does (src/http/exchange.ts), whatever its protocol. */
import type { Duplex } from 'node:stream'
import { afterEach, describe, expect, test } from 'vitest'
import type { Exchange } from '../../src/http/exchange.ts'
import { sendReply } from '../support/send-reply.ts'

export interface RequestOptions {
  readonly method?: string
  readonly target?: string
  readonly headers?: Readonly<Record<string, string>>
  /** A body follows with `write` and `end`. */
  readonly body?: boolean
}

export interface AnswerHead {
  readonly status: number
  readonly header: (name: string) => string | undefined
}

/** The client's side of one exchange, over a real connection. */
export interface ClientSide {
  readonly head: Promise<AnswerHead>
  /** What came of the body, and whether it ended as it should. */
  readonly body: Promise<{ readonly text: string; readonly complete: boolean }>
  /** Resolves with "100 Continue". */
  readonly continued: Promise<void>
  /** Resolves when the piece has been handed to the system. */
  write(piece: string | Buffer): Promise<void>
  end(): void
  /** Reads nothing until `resume`. Call it before the answer begins. */
  pause(): void
  resume(): void
  /** Hangs up. */
  leave(): void
}

export interface Carrier {
  request(options?: RequestOptions): ClientSide
  /** Asks for a WebSocket; `behind` is sent without waiting for the answer. */
  upgrade(behind?: string): Promise<{ readonly head: AnswerHead; readonly tunnel: Tunnel | undefined }>
  close(): Promise<void>
}

export interface Tunnel {
  send(text: string): void
  /** All that has come once it contains `text`. */
  received(text: string): Promise<string>
  readonly closed: Promise<void>
  leave(): void
}

export type StartCarrier = (handle: (exchange: Exchange) => void) => Promise<Carrier>

/** @param first what came together with the head. */
export function tunnelOf(stream: Duplex, leave: () => void, first: Buffer = Buffer.alloc(0)): Tunnel {
  let text = first.toString('latin1')
  stream.on('error', () => {})
  stream.on('data', (piece: Buffer) => (text += piece.toString('latin1')))
  return {
    send: (bytes) => void stream.write(bytes),
    received: (part) =>
      new Promise((resolve) => {
        const look = (): void => (text.includes(part) ? resolve(text) : void stream.once('data', look))
        look()
      }),
    closed: new Promise((resolve) => stream.once('close', () => resolve())),
    leave,
  }
}

const MiB = 1024 * 1024

export function exchangeContract(protocol: string, start: StartCarrier): void {
  const cleanups: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const clean of cleanups.splice(0)) await clean()
  })

  /** A carrier, and its exchanges as they come. */
  async function carrying(): Promise<{ readonly carrier: Carrier; readonly next: () => Promise<Exchange> }> {
    const come: Exchange[] = []
    const waiting: ((exchange: Exchange) => void)[] = []
    const carrier = await start((exchange) => {
      const first = waiting.shift()
      if (first) first(exchange)
      else come.push(exchange)
    })
    cleanups.push(() => carrier.close())
    return {
      carrier,
      next: () => {
        const known = come.shift()
        return known ? Promise.resolve(known) : new Promise((resolve) => waiting.push(resolve))
      },
    }
  }

  const closing = (exchange: Exchange): Promise<void> => new Promise((resolve) => exchange.onClosed(resolve))
  const read = async (exchange: Exchange): Promise<string> => {
    let text = ''
    for await (const piece of exchange.body ?? []) text += (piece as Buffer).toString('latin1')
    return text
  }

  describe(`an exchange over ${protocol}`, () => {
    test('head says what was asked, verbatim, and who asks', async () => {
      const { carrier, next } = await carrying()
      carrier.request({ method: 'OPTIONS', target: '/a/%2e%2E/b?x=%20&&y', headers: { 'x-a': '1', 'x-b': ' two ' } })
      const { head, body } = await next()
      expect(head).toMatchObject({
        method: 'OPTIONS',
        target: '/a/%2e%2E/b?x=%20&&y',
        peer: expect.stringContaining('127.0.0.1'),
        upgrade: false,
      })
      expect([head.headers.first('x-a'), head.headers.first('x-b')]).toEqual(['1', 'two'])
      expect(body).toBeUndefined()
    })

    test('respond with a body: status, headers and bytes arrive, then it is closed', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request()
      const exchange = await next()
      const closed = closing(exchange)
      expect(exchange.closed).toBe(false)
      exchange.respond({ status: 203, headers: 'x-a: 1\r\nset-cookie: a\r\nset-cookie: b\r\n' }).end('hello')
      const { status, header } = await client.head
      expect([status, header('x-a'), header('set-cookie')]).toEqual([203, '1', 'a, b'])
      expect(await client.body).toEqual({ text: 'hello', complete: true })
      await closed
      expect([exchange.closed, exchange.aborted]).toEqual([true, undefined])
      // Whoever comes late is told as well.
      await closing(exchange)
    })

    test.each([
      ['nothing', ''],
      ['ASCII', 'hello'],
      ['other text', 'Grüße, 世界'],
      ['bytes', Buffer.from([0, 0x80, 0xff, 0x0a])],
      ['much', 'ü'.repeat(20_000)],
    ])('sendReply: %s arrives byte for byte, on a request and on a refused upgrade', async (_, body) => {
      const { carrier, next } = await carrying()
      const bytes = Buffer.from(body)
      const reply = { status: 200, headers: [['x-a', '1']], body } as const
      for (let round = 0; round < 2; round++) {
        const client = carrier.request()
        expect(await sendReply(await next(), reply)).toEqual({ status: 200, bytesOut: bytes.length })
        const { header } = await client.head
        expect([header('x-a'), header('content-length')]).toEqual(['1', String(bytes.length)])
        expect(await client.body).toEqual({ text: bytes.toString('latin1'), complete: true })
      }
      const refused = carrier.upgrade()
      await sendReply(await next(), reply)
      expect((await refused).head.header('content-length')).toBe(String(bytes.length))
    })

    test('sendReply: an answer to HEAD has the length and no body', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request({ method: 'HEAD' })
      await sendReply(await next(), { status: 200, headers: [], body: 'hello' })
      expect((await client.head).header('content-length')).toBe('5')
      expect(await client.body).toEqual({ text: '', complete: true })
    })

    test('respond without a body', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request()
      ;(await next()).respond({ status: 404, headers: '', length: 0 }).end()
      expect((await client.head).status).toBe(404)
      expect(await client.body).toEqual({ text: '', complete: true })
    })

    test.each([
      ['HEAD', 200],
      ['GET', 204],
      ['GET', 304],
    ])('respond to %s with %i: a body that is written is dropped', async (method, status) => {
      const { carrier, next } = await carrying()
      const client = carrier.request({ method })
      const out = (await next()).respond({ status, headers: '', length: method === 'HEAD' ? 4 : undefined })
      out.write('body')
      out.end()
      expect((await client.head).status).toBe(status)
      expect(await client.body).toEqual({ text: '', complete: true })
    })

    test('flushHeaders sends the head before there is a body', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request()
      const out = (await next()).respond({ status: 200, headers: '' })
      out.flushHeaders()
      expect((await client.head).status).toBe(200)
      out.end('later')
      expect(await client.body).toEqual({ text: 'later', complete: true })
    })

    test('a client that does not read stops the writer, and gets everything when it reads', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request()
      client.pause()
      const out = (await next()).respond({ status: 200, headers: '' })
      const piece = Buffer.alloc(MiB, 'x')
      let written = 0
      while (out.write(piece)) written++
      written++
      // Whatever the system buffers, the stream says stop at some time, and does not say go.
      expect(out.writableNeedDrain).toBe(true)
      client.resume()
      for (; written < 20; written++) {
        if (!out.write(piece)) await new Promise<void>((resolve) => out.once('drain', resolve))
      }
      out.end()
      const { text, complete } = await client.body
      expect([text.length, complete]).toEqual([written * MiB, true])
    })

    test('trailers may be given and harm nothing', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request()
      const out = (await next()).respond({ status: 200, headers: '' })
      out.write('body')
      out.addTrailers({ 'x-checksum': '1' })
      out.end()
      expect(await client.body).toEqual({ text: 'body', complete: true })
    })

    test('a client that leaves while it waits closes the exchange, and an answer is nobody’s', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request()
      const exchange = await next()
      const closed = closing(exchange)
      client.leave()
      await closed
      expect([exchange.closed, exchange.aborted]).toEqual([true, undefined])
    })

    test('a client that leaves while it is answered closes the exchange', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request()
      const exchange = await next()
      const closed = closing(exchange)
      const out = exchange.respond({ status: 200, headers: '' })
      out.write('half')
      await client.head
      client.leave()
      await closed
      expect(out.writableFinished).toBe(false)
    })

    test.each(['before', 'in'])('abort %s the answer: the client never takes it for whole', async (when) => {
      const { carrier, next } = await carrying()
      const client = carrier.request()
      const exchange = await next()
      const closed = closing(exchange)
      if (when === 'in') {
        const out = exchange.respond({ status: 200, headers: '' })
        out.write('half')
        await client.head
      }
      exchange.abort('revoked')
      await closed
      expect([exchange.closed, exchange.aborted]).toEqual([true, 'revoked'])
      expect((await client.body).complete).toBe(false)
    })

    test('a body arrives whole, in order, and is counted', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request({ method: 'POST', body: true })
      const exchange = await next()
      const whole = read(exchange)
      const sent = ['one', 'x'.repeat(3 * MiB), 'three']
      for (const piece of sent) await client.write(piece)
      client.end()
      expect((await whole) === sent.join('')).toBe(true)
      expect(exchange.body?.bytes).toBe(sent.join('').length)
      exchange.respond({ status: 200, headers: '' }).end('ok')
      expect((await client.body).complete).toBe(true)
    })

    test('a body that nobody reads stops its sender', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request({ method: 'POST', body: true })
      const exchange = await next()
      const { body } = exchange
      const piece = 'x'.repeat(MiB)
      let taken = 0
      const sending = (async () => {
        for (; taken < 64; taken++) await client.write(piece)
        client.end()
      })()
      // One look at the first piece, and no more.
      await new Promise((resolve) => body?.once('readable', resolve))
      await new Promise((resolve) => setImmediate(resolve))
      expect(taken).toBeLessThan(64)
      const rest = read(exchange)
      await sending
      expect((await rest).length).toBe(64 * MiB)
      exchange.respond({ status: 200, headers: '' }).end()
      await client.body
    })

    test('a body that ends too early is an error for its reader, and closes the exchange', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request({ method: 'POST', body: true })
      const exchange = await next()
      const closed = closing(exchange)
      const whole = read(exchange)
      await client.write('half')
      client.leave()
      await expect(whole).rejects.toThrow()
      await closed
    })

    test('100 Continue is said when the body is wanted, and not before', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request({ method: 'POST', body: true, headers: { expect: '100-continue' } })
      let continued = false
      void client.continued.then(() => (continued = true))
      const exchange = await next()
      await new Promise((resolve) => setImmediate(resolve))
      expect(continued).toBe(false)
      const whole = read(exchange)
      await client.continued
      await client.write('body')
      client.end()
      expect(await whole).toBe('body')
      exchange.respond({ status: 200, headers: '' }).end()
      expect((await client.head).status).toBe(200)
    })

    test('an answer may come before the body is read, and without it', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request({ method: 'POST', body: true })
      const exchange = await next()
      await client.write('the beginning')
      exchange.respond({ status: 413, headers: '' }).end('too large')
      expect((await client.head).status).toBe(413)
      expect(await client.body).toEqual({ text: 'too large', complete: true })
      await client.write('the rest')
      client.end()
    })

    test('destroying a body leaves the answer alone', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request({ method: 'POST', body: true })
      const exchange = await next()
      await client.write('the beginning')
      await new Promise((resolve) => exchange.body?.once('readable', resolve))
      exchange.body?.destroy(new Error('not wanted'))
      exchange.respond({ status: 502, headers: '' }).end('failed')
      await client.write('x'.repeat(MiB))
      client.end()
      expect(await client.body).toEqual({ text: 'failed', complete: true })
    })

    test('there is one exit', async () => {
      const { carrier, next } = await carrying()
      const client = carrier.request()
      const exchange = await next()
      expect(() => exchange.upgrade('')).toThrow(TypeError)
      exchange.respond({ status: 200, headers: '' }).end()
      expect(() => exchange.respond({ status: 500, headers: '' })).toThrow('only one exit')
      expect((await client.head).status).toBe(200)
    })

    test('upgrade: bytes go both ways, what was sent behind the request first', async () => {
      const { carrier, next } = await carrying()
      const asked = carrier.upgrade('early ')
      const exchange = await next()
      expect(exchange.head.upgrade).toBe(true)
      expect(exchange.body).toBeUndefined()
      const stream = exchange.upgrade('connection: Upgrade\r\nupgrade: websocket\r\nx-a: 1\r\n')
      expect(() => exchange.respond({ status: 500, headers: '' })).toThrow('only one exit')
      let got = ''
      stream.on('data', (piece: Buffer) => {
        got += piece.toString('latin1')
        if (got.endsWith('late')) stream.write(`got ${got}`)
      })
      // Two directions: whoever reads the end of one ends the other.
      stream.on('end', () => stream.end())
      const { head, tunnel } = await asked
      expect(head.header('x-a')).toBe('1')
      tunnel?.send('late')
      expect(await tunnel?.received('late')).toBe('got early late')
      const closed = closing(exchange)
      tunnel?.leave()
      await closed
    })

    test('an upgrade may be refused with an answer', async () => {
      const { carrier, next } = await carrying()
      const asked = carrier.upgrade()
      const exchange = await next()
      const closed = closing(exchange)
      exchange.respond({ status: 403, headers: '', length: 2 }).end('no')
      expect((await asked).head.status).toBe(403)
      await closed
      expect(exchange.aborted).toBeUndefined()
    })

    test('abort ends an upgraded exchange', async () => {
      const { carrier, next } = await carrying()
      const asked = carrier.upgrade()
      const exchange = await next()
      exchange.upgrade('connection: Upgrade\r\nupgrade: websocket\r\n').on('error', () => {})
      const { tunnel } = await asked
      exchange.abort('expired')
      await tunnel?.closed
      expect([exchange.closed, exchange.aborted]).toEqual([true, 'expired'])
    })

    test('requests of one client are answered one by one', async () => {
      const { carrier, next } = await carrying()
      for (const target of ['/1', '/2', '/3']) {
        const client = carrier.request({ target })
        const exchange = await next()
        exchange.respond({ status: 200, headers: '' }).end(exchange.head.target)
        expect(await client.body).toEqual({ text: target, complete: true })
      }
    })
  })
}
