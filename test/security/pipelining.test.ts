/**
 * RFC 9112 §9.3.2: requests of one connection are served in turn and answered in order. Nothing is judged or forwarded
 * behind a request that closes the connection, and whatever ends the connection comes after the answers that are due.
 */
import { connect } from 'node:net'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP, createGauntlet, type Gauntlet, request } from '../support/gauntlet.ts'

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet({ people: ['alice'] })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

const HOST = `Host: ${APP}\r\n`
const get = (target: string): string => `GET ${target} HTTP/1.1\r\n${HOST}\r\n`
const FIRST = get('/public/first')
const LATER = get('/public/later')
const HANDSHAKE = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`
const webSocket = (target: string): string => `GET ${target} HTTP/1.1\r\n${HOST}${HANDSHAKE}`

/** Sends each once the one before it has been answered; the answers' status codes, until the connection ends. */
async function inTurn(port: number, heads: readonly string[]): Promise<number[]> {
  const socket = connect(port, '127.0.0.1')
  const left = [...heads]
  let text = ''
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject).once('close', () => resolve())
    socket.on('data', (piece) => {
      text += piece.toString('latin1')
      const next = text.split('HTTP/1.1 ').length - 1 === heads.length - left.length && left.shift()
      if (next) socket.write(next, 'latin1')
    })
    socket.write(left.shift() ?? '', 'latin1')
  })
  return Array.from(text.matchAll(/HTTP\/1\.1 (\d{3})/g), ([, status]) => Number(status))
}

describe('a head after equal ones', () => {
  let own: Gauntlet
  beforeAll(async () => {
    own = await createGauntlet({ people: [] })
  })
  afterAll(() => own.close())
  const padded = (header: string) => `POST /public/first HTTP/1.1\r\n${HOST}${header}\r\n\r\n`
  const known = padded('X-Much-Longer-A: 0')

  test.each([
    ['a blank before the colon', padded('X-Much-Longer : 00')],
    ['a control character', padded('X-Much-Longer-A: \x01')],
    ['DEL', padded('X-Much-Longer-A: \x7f')],
    ['a bare LF', padded('X-Much-L: 0\nX-A: 0')],
    ['no CRLF at its end', known.replace(/\r\n$/, 'x\n')],
    ['a coding that nobody knows', padded('Transfer-Encoding:')],
  ])('of the same length, with %s, is refused', async (_, head) => {
    expect(head).toHaveLength(known.length)
    expect(await inTurn(own.world.port, [known, known, known, head])).toEqual([200, 200, 200, 400])
  })

  test('of the same length, with a body, is read with its body', async () => {
    const withBody = padded('Expect: 100-continue\r\nContent-Length: 3')
    const without = padded('X-Much-Longer-A: 0000\r\nX-Even-Longer: 3')
    expect(withBody).toHaveLength(without.length)
    const last = request('GET', '/public/end')
    expect(await inTurn(own.world.port, [without, without, withBody, 'abc', without, last])).toEqual([
      200, 200, 100, 200, 200, 200,
    ])
  })
})

describe('pipelined requests', () => {
  test('3,000 pipelined GETs in one write use one connection to the upstream at a time, answered in order', async () => {
    const before = gauntlet.echo.connections()
    const targets = Array.from({ length: 3000 }, (_, i) => `/public/${i}`)
    const { answers, received } = await gauntlet.send(targets.map(get).join('') + request('GET', '/public/end'), {
      patience: 60_000,
    })
    expect(answers.map(({ body }) => (JSON.parse(body) as { target: string }).target)).toEqual([
      ...targets,
      '/public/end',
    ])
    expect(received).toHaveLength(3001)
    // A kept connection may be given up and replaced; never two at a time.
    expect(gauntlet.echo.connections() - before).toBeLessThan(20)
  })

  test('nothing of the second request reaches the upstream while the first is being answered', async () => {
    const held: string[] = []
    const slow = await createGauntlet({
      people: [],
      // Half an answer: the rest never comes.
      answer: ({ target }) => (held.push(target), 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'),
    })
    const socket = connect({ port: slow.world.port, host: '127.0.0.1' })
    let text = ''
    await new Promise<void>((resolve) => {
      socket.on('data', (piece) => {
        text += piece.toString('latin1')
        if (text.includes('half')) resolve()
      })
      socket.write(FIRST + LATER + webSocket('/public/ws') + 'malformed')
    })
    expect(held.filter((target) => target !== '/skip')).toEqual(['/public/first'])
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1)
    socket.destroy()
    await slow.close()
  })

  test('many that are answered at once do not keep another connection waiting', async () => {
    const [flood, other] = [connect(gauntlet.world.port, '127.0.0.1'), connect(gauntlet.world.port, '127.0.0.1')]
    const closed = [flood, other].map((socket) => new Promise((resolve) => socket.resume().once('close', resolve)))
    await Promise.all([flood, other].map((socket) => new Promise((resolve) => socket.once('connect', resolve))))
    const before = gauntlet.world.log().length
    flood.write(get('/none/flood').repeat(1000) + request('GET', '/none/flood'))
    other.write(request('GET', '/none/other'))
    await Promise.all(closed)
    const paths = gauntlet.world
      .log()
      .slice(before)
      .map((line) => line['path'])
    expect(paths.filter((path) => path === '/none/flood')).toHaveLength(1001)
    expect(paths.indexOf('/none/other')).toBeLessThan(500)
    await gauntlet.skip()
  })

  test('are the same requests wherever the bytes are cut', async () => {
    const bytes =
      FIRST + `POST /public/b HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n` + LATER
    const whole = Buffer.from(bytes + request('GET', '/public/end'), 'latin1')
    for (const size of [1, 2, 3, 7, 50]) {
      const received = gauntlet.echo.received.length
      const socket = connect({ port: gauntlet.world.port, host: '127.0.0.1', noDelay: true })
      const closed = new Promise((resolve) => socket.once('close', resolve))
      socket.resume()
      for (let at = 0; at < whole.length; at += size) {
        await new Promise((resolve) => socket.write(whole.subarray(at, at + size), resolve))
        await new Promise((resolve) => setImmediate(resolve))
      }
      await closed
      expect(gauntlet.echo.received.slice(received).map(({ target, body }) => target + body)).toEqual([
        '/public/first',
        '/public/babc',
        '/public/later',
        '/public/end',
      ])
    }
    await gauntlet.skip()
  })
})

describe('behind a request whose answer is not complete', () => {
  test.each([
    ['a request line with two spaces', `GET  /public HTTP/1.1\r\n${HOST}\r\n${LATER}`, 400],
    ['a malformed header', `GET /public HTTP/1.1\r\n${HOST}X y\r\n\r\n${LATER}`, 400],
    ['garbage', `\x16\x03\x01\x02`, 400],
    ['two lengths', `POST /public HTTP/1.1\r\n${HOST}Content-Length: 5, 6\r\n\r\nabcde${LATER}`, 400],
    ['a length that is none', `POST /public HTTP/1.1\r\n${HOST}Content-Length: x\r\n\r\n${LATER}`, 400],
    [
      'two framings',
      `POST /public HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${LATER}`,
      400,
    ],
    ['no Host', `GET /public HTTP/1.1\r\n\r\n${LATER}`, 400],
    ['a path that two read differently', `${get('/public/..%2fx')}${LATER}`, 400],
    ['CONNECT', `CONNECT ${APP}:80 HTTP/1.1\r\n${HOST}\r\n${LATER}`, 405],
    ['TRACE', `TRACE /public HTTP/1.1\r\n${HOST}\r\n${LATER}`, 405],
    ['too many headers', `GET /public HTTP/1.1\r\n${HOST}${'a: b\r\n'.repeat(1200)}\r\n${LATER}`, 431],
    ['a head that is too large', `GET /public HTTP/1.1\r\n${HOST}X: ${'x'.repeat(40_000)}`, 431],
    ['an unknown expectation', `GET /public HTTP/1.1\r\n${HOST}Expect: x\r\n\r\n${LATER}`, 417],
    ['an upgrade that is refused', `${webSocket('/ws')}${LATER}`, 401],
    ['an upgrade with a method that upgrades nothing', `POST /public HTTP/1.1\r\n${HOST}${HANDSHAKE}${LATER}`, 400],
  ])('%s: both are answered in order, and nothing behind them runs', async (_, behind, status) => {
    const { statuses, received, answers } = await gauntlet.send(FIRST + behind)
    expect({ statuses, targets: received.map(({ target }) => target) }).toEqual({
      statuses: [200, status],
      targets: ['/public/first'],
    })
    expect(answers[0]?.complete).toBe(true)
    expect(answers[0]?.body).toContain('/public/first')
    expect(answers[1]?.header('connection')).toBe('close')
  })

  test.each([
    ['Connection: close', request('GET', '/public/closing')],
    ['HTTP/1.0', `GET /public/closing HTTP/1.0\r\n${HOST}\r\n`],
  ])('a request with %s is the last one', async (_, closing) => {
    const { statuses, received } = await gauntlet.send(FIRST + closing + LATER + webSocket('/public'))
    expect({ statuses, targets: received.map(({ target }) => target) }).toEqual({
      statuses: [200, 200],
      targets: ['/public/first', '/public/closing'],
    })
  })

  test('an upgrade gets its own 101, after the answer to the first, and its bytes go through the tunnel', async () => {
    const { statuses, received, answers } = await gauntlet.send(`${FIRST}${webSocket('/public/ws')}${LATER}`, {
      until: /later HTTP/,
    })
    expect(statuses).toEqual([200, 101])
    expect(answers[0]?.body).toContain('/public/first')
    // The tunnel returns what it is sent.
    expect(answers[1]?.body).toBe(LATER)
    expect(received.map(({ target }) => target)).toEqual(['/public/first', '/public/ws'])
  })

  test('100 Continue comes after the answer to the first, before its own', async () => {
    const text = await exchange(
      `${FIRST}POST /public/second HTTP/1.1\r\n${HOST}Connection: close\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nabcde`,
    )
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 100', 'HTTP/1.1 200'])
    expect(text.slice(0, text.indexOf('HTTP/1.1 100'))).toContain('/public/first"}')
    await gauntlet.skip()
  })

  test('HTTP/1.0 has no 100 Continue (RFC 9110 §10.1.1)', async () => {
    const text = await exchange(
      `${FIRST}POST /public/second HTTP/1.0\r\n${HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nabcde`,
    )
    expect(text.match(/HTTP\/1\.[01] \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.0 200'])
    await gauntlet.skip()
  })

  test('a body cut short by a malformed chunk does not take the first answer away', async () => {
    const { statuses, answers } = await gauntlet.send(
      `${FIRST}POST /public/second HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nxyz\r\n${LATER}`,
    )
    expect({ statuses, complete: answers[0]?.complete }).toEqual({ statuses: [200, 400], complete: true })
  })
})

test('mixtures of requests on one connection are answered one by one and in order, then 4xx and the end', async () => {
  const last = [
    { bytes: request('GET', '/public/last'), status: 200, target: '/public/last' },
    { bytes: `GET /public HTTP/1.1\r\n${HOST}X y\r\n\r\n`, status: 400, target: undefined },
    { bytes: `POST /public HTTP/1.1\r\n${HOST}Content-Length: 1, 2\r\n\r\n`, status: 400, target: undefined },
    { bytes: `CONNECT x:80 HTTP/1.1\r\n${HOST}\r\n`, status: 405, target: undefined },
    { bytes: `GET  /public HTTP/1.1\r\n${HOST}\r\n`, status: 400, target: undefined },
    { bytes: `GET /public\\ HTTP/1.1\r\n${HOST}\r\n`, status: 400, target: undefined },
    { bytes: webSocket('/ws/x'), status: 401, target: undefined },
    { bytes: `GET /public HTTP/1.1\r\n${HOST}Expect: tea\r\n\r\n`, status: 417, target: undefined },
  ]
  const chunks = (body: string): string => (body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`)
  const one = fc.record({
    kind: fc.constantFrom('get', 'head', 'length', 'chunked', 'expect', 'h2c', 'denied', 'ping', 'empty line'),
    body: fc.string({ maxLength: 40, unit: 'binary-ascii' }),
  })
  const write = ({ kind, body }: { kind: string; body: string }, i: number) => {
    const target = `/public/${i}`
    const line = (method: string, more = '', to = target): string => `${method} ${to} HTTP/1.1\r\n${HOST}${more}\r\n`
    const ok = { status: 200, target, method: 'GET', body: '' }
    switch (kind) {
      case 'head':
        return { ...ok, bytes: line('HEAD'), method: 'HEAD' }
      case 'length':
        return { ...ok, bytes: line('PUT', `Content-Length: ${body.length}\r\n`) + body, body }
      case 'chunked':
        return { ...ok, bytes: `${line('POST', 'Transfer-Encoding: chunked\r\n') + chunks(body)}0\r\n\r\n`, body }
      case 'expect':
        // Whoever expects to be asked for a body has one.
        return {
          ...ok,
          bytes: `${line('POST', `Expect: 100-continue\r\nContent-Length: ${body.length + 1}\r\n`)}x${body}`,
          body: `x${body}`,
        }
      case 'h2c':
        return {
          ...ok,
          bytes: line('GET', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n'),
        }
      case 'denied':
        return {
          ...ok,
          bytes: line('POST', `Content-Length: ${body.length}\r\n`, '/admin') + body,
          status: 401,
          target: undefined,
        }
      case 'ping':
        return { ...ok, bytes: line('GET', '', '/nothing'), status: 404, target: undefined }
      case 'empty line':
        return { ...ok, bytes: `\r\n${line('GET')}` }
      default:
        return { ...ok, bytes: line('GET') }
    }
  }
  await fc.assert(
    fc.asyncProperty(fc.array(one, { maxLength: 8 }), fc.constantFrom(...last), async (mixture, end) => {
      const requests = mixture.map(write)
      const { statuses, received, answers } = await gauntlet.send(
        requests.map(({ bytes }) => bytes).join('') + end.bytes + LATER,
        { methods: requests.map(({ method }) => method) },
      )
      expect(statuses).toEqual([...requests.map(({ status }) => status), end.status])
      const forwarded = [...requests, { ...end, body: '' }].filter(({ target }) => target !== undefined)
      expect(received.map(({ target, body }) => ({ target, body }))).toEqual(
        forwarded.map(({ target, body }) => ({ target, body })),
      )
      expect(answers.every(({ complete }) => complete)).toBe(true)
    }),
    { numRuns: 300 },
  )
}, 120_000)

/** Everything that comes back, 1xx included. */
function exchange(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect({ port: gauntlet.world.port, host: '127.0.0.1' }, () => socket.write(bytes, 'latin1'))
    socket.on('data', (piece) => (text += piece.toString('latin1')))
    socket.on('close', () => resolve(text))
  })
}
