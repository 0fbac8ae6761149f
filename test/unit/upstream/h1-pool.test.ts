/** Our own client on raw sockets: what it writes, what it takes for an answer, and what becomes of its connections. */
import { describe, expect, test } from 'vitest'
import type { UpstreamRequest } from '../../../src/upstream/client.ts'
import type { H1Pool } from '../../../src/upstream/h1-pool.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'
import { answering, OK, type RawUpstream, rawUpstream } from './support.ts'
import { ask, GET, pieces, poolTo, say, Taker } from './h1-taker.ts'

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
