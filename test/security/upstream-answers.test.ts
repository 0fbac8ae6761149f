/**
 * What an application says belongs to the request that it answers, or to nobody (RFC 9112 §6.3, §9.2; CVE-2022-32215 and
 * its like, on the other side of a proxy): an answer that is followed by another one, that has a body where none is read,
 * or that two readers cut differently must never become the answer of another person.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'
import { sendRaw, type WireAnswer } from '../support/wire.ts'
import { createTestWorld, listenOn, portOf, type World } from '../support/world.ts'

const OK = 'HTTP/1.1 200 OK\r\n'
const POISON = `${OK}Content-Length: 6\r\nX-Poison: 1\r\n\r\npoison`

function fullRead(): string {
  const head = `${OK}Content-Length: 65000\r\nX-Filled: `
  return `${head}${'x'.repeat(65_536 - head.length - 4 - 65_000)}\r\n\r\n${'y'.repeat(65_000)}`
}

/** What comes instead of, or behind, the answer to `/NAME`. */
const POISONS: Readonly<Record<string, string>> = {
  'second-answer': `${OK}Content-Length: 2\r\n\r\nok${POISON}`,
  'longer-than-its-length': `${OK}Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\npoison`,
  'behind-the-last-chunk': `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n${POISON}`,
  'body-of-204': `HTTP/1.1 204 No Content\r\nContent-Length: ${POISON.length}\r\n\r\n${POISON}`,
  'chunks-of-304': `HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n${POISON}`,
  'no-length-but-keep-alive': `HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok${POISON}`,
  // As much as one read brings: when what follows is read, the next request may have the connection.
  'behind-a-full-read': `${fullRead()}${POISON}`,
  'behind-hints': `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n${OK}Content-Length: 2\r\n\r\nok${POISON}`,
}

/** Heads that are no heads; whatever follows them. */
const BROKEN: Readonly<Record<string, string>> = {
  'two-lengths': `${OK}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok`,
  'list-of-lengths': `${OK}Content-Length: 2, 2\r\n\r\nok`,
  'signed-length': `${OK}Content-Length: +2\r\n\r\nok`,
  'length-beside-chunks': `${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
  'chunks-twice': `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'other-coding': `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  'chunks-in-1.0': `HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'folded-line': `${OK}X: a\r\n Set-Cookie: b=c\r\nContent-Length: 2\r\n\r\nok`,
  'bare-cr': `${OK}X: a\rSet-Cookie: b=c\r\nContent-Length: 2\r\n\r\nok`,
  'bare-lf': `${OK}X: a\nSet-Cookie: b=c\r\nContent-Length: 2\r\n\r\nok`,
  'only-lf': 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok',
  nul: `${OK}X: a\0b\r\nContent-Length: 2\r\n\r\nok`,
  'blank-before-colon': `${OK}Content-Length : 2\r\n\r\nok`,
  'tab-behind-the-coding': `${OK}Transfer-Encoding: chunked\t\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
  'switch-unasked': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
  'endless-hints': 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100),
  'older-version': 'HTTP/0.9 200 OK\r\n\r\n',
  'newer-version': 'HTTP/2.0 200 OK\r\n\r\n',
  'empty-line-first': `\r\n${OK}Content-Length: 2\r\n\r\nok`,
  'more-lines-than-are-read': `${OK}${'X: y\r\n'.repeat(1000)}Set-Cookie: b=c\r\n\r\nok`,
  'hint-with-a-body': `HTTP/1.1 103 Early Hints\r\nContent-Length: ${POISON.length}\r\n\r\n${POISON}${OK}\r\n`,
  'hint-with-chunks': `HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n${POISON}${OK}\r\n`,
}

const HANDSHAKE = [
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]

let world: World
const sockets = new Set<Socket>()
const listeners: Server[] = []

function serve(socket: Socket): void {
  sockets.add(socket)
  // Or what is written behind an answer waits until the next request acknowledges that.
  socket.setNoDelay(true)
  socket.on('close', () => sockets.delete(socket)).on('error', () => {})
  socket.on('data', (piece) => {
    const name = /^\w+ \/([^ ]*)/.exec(piece.toString('latin1'))?.[1] ?? ''
    const said = POISONS[name] ?? BROKEN[name]
    if (said !== undefined) socket.write(said, 'latin1')
    else if (name === 'reset') socket.write(`${OK}\r\nhalf`, () => setTimeout(reset, 20, socket))
    else socket.write(`${OK}Content-Length: ${name.length}\r\n\r\n${name}`, 'latin1')
  })
}

/** Below TLS, so that nothing says it is over. */
function reset(socket: Socket): void {
  const { _parent: below } = socket as Socket & { readonly _parent?: Socket | null }
  ;(below ?? socket).resetAndDestroy()
}

beforeAll(async () => {
  const [plain, secure] = await Promise.all([
    listenOn(createServer(serve)),
    listenOn(createTlsServer({ cert: CERTIFICATE, key: KEY }, serve)),
  ])
  listeners.push(plain, secure)
  const common = { allow_public_unauthenticated_access: true }
  world = await createTestWorld({
    routes: [
      { ...common, from: 'http://plain.localhost', to: `http://127.0.0.1:${portOf(plain)}` },
      { ...common, from: 'http://secure.localhost', to: `https://127.0.0.1:${portOf(secure)}`, tls_skip_verify: true },
    ],
  })
})
afterAll(async () => {
  await world.close()
  for (const socket of sockets) socket.destroy()
  for (const listener of listeners) await new Promise((resolve) => listener.close(resolve))
})

/** Each is read by another client of ours: see docs/codecs.md. */
describe.each(['plain', 'secure'])('of a %s upstream', (upstream) => {
  function ask(name: string, method = 'GET', asked = ['Connection: close']): Promise<readonly WireAnswer[]> {
    const lines = [`${method} /${name} HTTP/1.1`, `Host: ${upstream}.localhost`, ...asked, '', '']
    return sendRaw(world.port, lines.join('\r\n'), { methods: [method] })
  }

  /** Others ask at the same time and afterwards: each gets its own answer. */
  async function expectOwnAnswers(): Promise<void> {
    const names = Array.from({ length: 8 }, (_, i) => `mine-${i}`)
    const answers = await Promise.all(names.map((name) => ask(name)))
    const [last] = await ask('mine-8')
    expect([...answers.map(([one]) => one?.body), last?.body]).toEqual([...names, 'mine-8'])
  }

  describe('what is said behind an answer', () => {
    test.each(Object.keys(POISONS))('%s reaches nobody', async (name) => {
      await expectOwnAnswers()
      const others = expectOwnAnswers()
      const answers = await ask(name)
      expect(answers).toHaveLength(1)
      expect(JSON.stringify(answers)).not.toContain('poison')
      await others
      await expectOwnAnswers()
    })

    test.each(Object.keys(POISONS))('%s is not the answer to the next request of its connection', async (name) => {
      for (let round = 0; round < 20; round++) {
        const requests = [name, `mine-${round}`].map(
          (target) => `GET /${target} HTTP/1.1\r\nHost: ${upstream}.localhost\r\n`,
        )
        const answers = await sendRaw(world.port, `${requests.join('\r\n')}Connection: close\r\n\r\n`)
        expect(answers.at(-1)?.body).toBe(`mine-${round}`)
        expect(answers).toHaveLength(2)
      }
    })

    test('an answer to HEAD with a body reaches nobody', async () => {
      const answers = await ask('second-answer', 'HEAD')
      expect(answers.map(({ status, body }) => [status, body])).toEqual([[200, '']])
      await expectOwnAnswers()
    })

    test('an answer that nobody asked for, on an idle connection, reaches nobody', async () => {
      await expectOwnAnswers()
      const idle = [...sockets]
      expect(idle.length).toBeGreaterThan(0)
      for (const socket of idle) socket.write(POISON)
      await expectOwnAnswers()
      await expect.poll(() => idle.every((socket) => !sockets.has(socket))).toBe(true)
    })
  })

  describe.each([
    ['a request', undefined],
    ['a handshake', HANDSHAKE],
  ])('to %s', (_, asked) => {
    test.each(Object.keys(BROKEN))('%s is 502, and nothing of it is passed on', async (name) => {
      const [answer] = await ask(name, 'GET', asked)
      expect(answer).toMatchObject({ status: 502, complete: true })
      expect(JSON.parse(answer?.body ?? '')).toMatchObject({ error: 'ERR_UPSTREAM_PROTOCOL' })
      expect(answer?.header('set-cookie')).toBeUndefined()
      await expectOwnAnswers()
    })

    test('a body that a reset ends does not look complete', async () => {
      expect(await ask('reset', 'GET', asked)).toMatchObject([{ status: 200, body: 'half', complete: false }])
    })
  })
})
