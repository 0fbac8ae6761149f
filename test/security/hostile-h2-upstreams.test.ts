/**
 * Upstreams of HTTP/2 that break the rules (E08), frame by frame: 502 or a cut answer for whoever asked, never half of an
 * answer for a whole one, never half of a request for a whole one, and the next request has another connection.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'
import {
  ACK,
  block,
  DATA,
  END_HEADERS,
  END_STREAM,
  type Fields,
  frame,
  framesOf,
  type Frame,
  GOAWAY,
  HEADERS,
  PADDED,
  PING,
  PREFACE,
  RST_STREAM,
  SETTINGS,
  uint32,
  WINDOW_UPDATE,
} from '../support/h2-wire.ts'

const CONTINUATION = 9
const PUSH_PROMISE = 5
const NO_ERROR = 0
const REFUSED_STREAM = 7
const CANCEL = 8

interface Peer {
  readonly socket: Socket
  readonly frames: Frame[]
  send(...octets: readonly Buffer[]): void
}

let server: Server
let gauntlet: Gauntlet
const peers: Peer[] = []
/** What the upstream does when a request's HEADERS have come; its settings have been sent. */
let talk: (peer: Peer, stream: number, connection: number) => void = () => {}
let settings = Buffer.alloc(0)

beforeAll(async () => {
  server = createServer((socket) => {
    const peer: Peer = { socket, frames: [], send: (...octets) => void socket.write(Buffer.concat(octets)) }
    const index = peers.push(peer) - 1
    let rest: Buffer = Buffer.alloc(0)
    let greeted = false
    socket.on('error', () => {})
    socket.on('data', (piece) => {
      rest = Buffer.concat([rest, piece])
      if (!greeted && rest.length >= PREFACE.length) {
        expect(rest.toString('latin1', 0, PREFACE.length)).toBe(PREFACE)
        rest = rest.subarray(PREFACE.length)
        greeted = true
        peer.send(frame(SETTINGS, 0, 0, settings), frame(SETTINGS, ACK, 0))
      }
      if (!greeted) return
      const [frames, left] = framesOf(rest)
      rest = left
      for (const one of frames) {
        peer.frames.push(one)
        if (one.type === HEADERS) talk(peer, one.stream, index)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const to = `h2c://127.0.0.1:${(server.address() as AddressInfo).port}`
  gauntlet = await createGauntlet({
    people: [],
    moreRoutes: [{ name: 'h2', prefix: '/h2', to, allow_public_unauthenticated_access: true }],
  })
})
afterEach(() => {
  for (const { socket } of peers.splice(0)) socket.destroy()
  settings = Buffer.alloc(0)
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
  server.close()
})

const head = (stream: number, fields: Fields = [[':status', '200']], flags = END_HEADERS): Buffer =>
  frame(HEADERS, flags, stream, block(fields))
const whole = (peer: Peer, stream: number): void =>
  peer.send(
    head(stream, [
      [':status', '200'],
      ['x-a', '1'],
    ]),
    frame(DATA, END_STREAM, stream, 'whole'),
  )

/** The next request is answered, whatever became of the one before. */
async function expectServed(): Promise<void> {
  talk = whole
  const { answers } = await gauntlet.get('/h2/next')
  expect(only(answers)).toMatchObject({ status: 200, body: 'whole' })
}

describe('an answer that is none is 502', () => {
  test.each<[name: string, answer: (stream: number) => Buffer]>([
    ['no :status', (id) => head(id, [['x-a', '1']])],
    [
      'two of them',
      (id) =>
        head(id, [
          [':status', '200'],
          [':status', '403'],
        ]),
    ],
    ['a status that is no number', (id) => head(id, [[':status', '2OO']])],
    [
      ':status behind another field',
      (id) =>
        head(id, [
          ['x-a', '1'],
          [':status', '200'],
        ]),
    ],
    [
      'a pseudo-header of requests',
      (id) =>
        head(id, [
          [':status', '200'],
          [':path', '/'],
        ]),
    ],
    [
      'a name in upper case',
      (id) =>
        head(id, [
          [':status', '200'],
          ['X-A', '1'],
        ]),
    ],
    [
      'CRLF in a value',
      (id) =>
        head(id, [
          [':status', '200'],
          ['x-a', '1\r\nset-cookie: a=b'],
        ]),
    ],
    [
      'NUL in a value',
      (id) =>
        head(id, [
          [':status', '200'],
          ['x-a', '\0'],
        ]),
    ],
    [
      'Transfer-Encoding',
      (id) =>
        head(id, [
          [':status', '200'],
          ['transfer-encoding', 'chunked'],
        ]),
    ],
    [
      'Connection',
      (id) =>
        head(id, [
          [':status', '200'],
          ['connection', 'close'],
        ]),
    ],
    [
      'two lengths',
      (id) =>
        head(id, [
          [':status', '200'],
          ['content-length', '1'],
          ['content-length', '2'],
        ]),
    ],
    [
      'a length and no body',
      (id) =>
        head(
          id,
          [
            [':status', '200'],
            ['content-length', '5'],
          ],
          END_HEADERS | END_STREAM,
        ),
    ],
    ['101', (id) => head(id, [[':status', '101']])],
    ['a hint that is the end of it', (id) => head(id, [[':status', '103']], END_HEADERS | END_STREAM)],
    ['hints without end', (id) => Buffer.concat(Array.from({ length: 40 }, () => head(id, [[':status', '103']])))],
    [
      'a header that is too long',
      (id) =>
        Buffer.concat([
          frame(
            HEADERS,
            0,
            id,
            block([
              [':status', '200'],
              ['x', 'y'.repeat(16_000)],
            ]),
          ),
          ...Array.from({ length: 4 }, () => frame(CONTINUATION, 0, id, block([['x', 'y'.repeat(16_000)]]))),
          frame(CONTINUATION, END_HEADERS, id),
        ]),
    ],
    ['a block that cannot be read', (id) => frame(HEADERS, END_HEADERS, id, Buffer.from([0x80]))],
    ['a pushed answer', (id) => frame(PUSH_PROMISE, END_HEADERS, id, Buffer.from([0, 0, 0, 2, 0x82]))],
    ['a frame that is too long', () => Buffer.concat([frame(0x42, 0, 0, 'x'.repeat(16_385))])],
    ['DATA on a stream that nobody opened', () => frame(DATA, 0, 77, 'x')],
    ['DATA before the head', (id) => frame(DATA, END_STREAM, id, 'x')],
    ['an end before the head', (id) => frame(DATA, END_STREAM, id)],
    ['padding and an end before the head', (id) => frame(DATA, END_STREAM | PADDED, id, '\x02\0\0')],
    ['a hint, and an end', (id) => Buffer.concat([head(id, [[':status', '103']]), frame(DATA, END_STREAM, id)])],
    ['a reset', (id) => frame(RST_STREAM, 0, id, uint32(2))],
    ['a reset without error', (id) => frame(RST_STREAM, 0, id, uint32(NO_ERROR))],
    ['a window that is too large', (id) => frame(WINDOW_UPDATE, 0, id, uint32(0x7fffffff))],
    ['a flood of pings', () => Buffer.concat(Array.from({ length: 5000 }, () => frame(PING, 0, 0, '12345678')))],
    ['a flood of settings', () => Buffer.concat(Array.from({ length: 5000 }, () => frame(SETTINGS, 0, 0)))],
    ['GOAWAY with the request, and an end', (id) => frame(GOAWAY, 0, 0, Buffer.concat([uint32(id), uint32(0)]))],
  ])('%s', async (name, answer) => {
    talk = (peer, stream) => {
      peer.send(answer(stream))
      if (name.startsWith('GOAWAY')) peer.socket.end()
    }
    const { statuses } = await gauntlet.send(request('POST', '/h2/x', 'Content-Length: 0'))
    expect(statuses).toEqual([502])
    await expectServed()
  })
})

describe('an answer that breaks off is never whole', () => {
  test.each<[name: string, end: (peer: Peer, stream: number) => void]>([
    ['by a reset', (peer, id) => peer.send(frame(RST_STREAM, 0, id, uint32(2)))],
    ['by a reset without error', (peer, id) => peer.send(frame(RST_STREAM, 0, id, uint32(NO_ERROR)))],
    ['by a reset that cancels', (peer, id) => peer.send(frame(RST_STREAM, 0, id, uint32(CANCEL)))],
    ['with its connection', ({ socket }) => void socket.end()],
    ['by GOAWAY and the end of the connection', ({ socket }) => void socket.end(frame(GOAWAY, 0, 0, Buffer.alloc(8)))],
    ['by fewer bytes than announced', (peer, id) => peer.send(frame(DATA, END_STREAM, id))],
    ['by trailers that end nothing', (peer, id) => peer.send(head(id, [['x-a', '1']]))],
  ])('%s', async (name, end) => {
    talk = (peer, stream) => {
      const length: Fields = name.includes('announced') ? [['content-length', '9']] : []
      peer.send(head(stream, [[':status', '200'], ...length]), frame(DATA, 0, stream, 'half'))
      setImmediate(() => setImmediate(() => end(peer, stream)))
    }
    const { answers } = await gauntlet.get('/h2/x')
    for (const answer of answers) expect([answer.status, answer.complete]).not.toEqual([200, true])
    await expectServed()
  })
})

test('a request that breaks off never ends in order: the upstream would take half of it for all', async () => {
  talk = () => {}
  const sent = gauntlet.send(
    `POST /h2/x HTTP/1.1\r\nHost: app.localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxx`,
    { moreLines: 0 },
  )
  await expect.poll(() => peers.flatMap(({ frames }) => frames).find(({ type }) => type === RST_STREAM)).toBeDefined()
  await sent
  const frames = peers.flatMap((peer) => peer.frames)
  expect(frames.filter(({ type, flags }) => type <= HEADERS && flags & END_STREAM)).toEqual([])
  expect(frames.find(({ type }) => type === RST_STREAM)?.payload.readUInt32BE(0)).toBe(CANCEL)
  await expectServed()
})

test('what an upstream has not looked at is asked again, on another connection', async () => {
  talk = (peer, stream, connection) => {
    if (connection > 0 || stream < 3) return whole(peer, stream)
    peer.send(frame(GOAWAY, 0, 0, Buffer.concat([uint32(1), uint32(NO_ERROR)])))
  }
  expect((await gauntlet.get('/h2/one')).statuses).toEqual([200])
  expect((await gauntlet.get('/h2/two')).statuses).toEqual([200])
  expect(peers.length).toBe(2)
})

test('a stream that was refused is asked for again', async () => {
  let refused = false
  talk = (peer, stream) => {
    if (refused) return whole(peer, stream)
    refused = true
    peer.send(frame(RST_STREAM, 0, stream, uint32(REFUSED_STREAM)))
  }
  expect((await gauntlet.get('/h2/one')).statuses).toEqual([200])
})

const POST = 'POST /h2/x HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\nContent-Length: 6\r\n\r\nabcdef'

/** Octets of the body on a stream. */
const bodyOf = ({ frames }: Peer, stream: number): string =>
  frames.map((one) => (one.type === DATA && one.stream === stream ? one.payload.toString('latin1') : '')).join('')

test('a POST that it has not looked at goes again, with all of its body and once only', async () => {
  const unseen = [
    (peer: Peer) => peer.send(frame(GOAWAY, 0, 0, Buffer.concat([uint32(0), uint32(NO_ERROR)]))),
    (peer: Peer, stream: number) => peer.send(frame(RST_STREAM, 0, stream, uint32(REFUSED_STREAM))),
  ]
  for (const refuse of unseen) {
    let refused = false
    talk = (peer, stream) => {
      if (!refused) {
        refused = true
        // Behind its body.
        setImmediate(() => setImmediate(() => refuse(peer, stream)))
      } else setImmediate(() => whole(peer, stream))
    }
    expect((await gauntlet.send(POST)).statuses).toEqual([200])
    const last = peers.at(-1)
    const stream = Math.max(...(last?.frames.map((one) => one.stream) ?? []))
    expect(last && bodyOf(last, stream)).toBe('abcdef')
    for (const { socket } of peers.splice(0)) socket.destroy()
  }
})

test('an upstream that refuses every stream is asked twice, and whoever asked gets 502', async () => {
  let asked = 0
  talk = (peer, stream) => {
    asked++
    peer.send(frame(RST_STREAM, 0, stream, uint32(REFUSED_STREAM)))
  }
  expect((await gauntlet.send(POST)).statuses).toEqual([502])
  expect(asked).toBe(2)
})

test('an upstream that allows one stream at a time has a connection for each', async () => {
  settings = Buffer.from([0, 3, 0, 0, 0, 1])
  const held: (() => void)[] = []
  talk = (peer, stream) => void held.push(() => whole(peer, stream))
  const asked = Promise.all(Array.from({ length: 3 }, () => gauntlet.world.browser().ask('http://app.localhost/h2/x')))
  await expect.poll(() => held.length).toBe(3)
  expect(peers.length).toBe(3)
  for (const answer of held) answer()
  expect((await asked).map(({ status }) => status)).toEqual([200, 200, 200])
  await gauntlet.skip()
})

test('calls share a connection', async () => {
  const held: (() => void)[] = []
  talk = (peer, stream) => void held.push(() => whole(peer, stream))
  const asked = Promise.all(Array.from({ length: 20 }, () => gauntlet.world.browser().ask('http://app.localhost/h2/x')))
  await expect.poll(() => held.length).toBe(20)
  expect(peers.length).toBe(1)
  for (const answer of held) answer()
  expect((await asked).map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
  await gauntlet.skip()
})

test('an upstream that allows no stream at all is not connected to over and over', async () => {
  settings = Buffer.from([0, 3, 0, 0, 0, 0])
  talk = whole
  const asked = gauntlet.world.browser().ask('http://app.localhost/h2/x')
  await expect.poll(() => peers[0]?.frames.some(({ type, flags }) => type === SETTINGS && flags === ACK)).toBe(true)
  for (let i = 0; i < 20; i++) await gauntlet.world.browser().ask('http://app.localhost/public')
  expect(peers.length).toBe(1)
  // It changes its mind.
  peers[0]?.send(frame(SETTINGS, 0, 0, Buffer.from([0, 3, 0, 0, 0, 9])))
  expect((await asked).status).toBe(200)
  await gauntlet.skip()
})
