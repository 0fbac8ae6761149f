/** What a client writes to an HTTP/1.1 listener, on its way to an upstream that speaks HTTP/2 (`h2c://`). */
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'

interface Seen {
  readonly method: string
  readonly values: (name: string) => readonly string[]
  body: string
}

const seen: Seen[] = []
const upstream = createServer()
upstream.on('stream', (stream: ServerHttp2Stream, head: IncomingHttpHeaders, _: number, raw: readonly string[]) => {
  const { ':method': method = '' } = head
  const one: Seen = { method, values: (name) => raw.filter((__, i) => i % 2 === 1 && raw[i - 1] === name), body: '' }
  seen.push(one)
  stream.on('error', () => {})
  stream.on('data', (piece: Buffer) => (one.body += piece.toString('latin1')))
  stream.on('end', () => {
    if (stream.destroyed) return
    stream.respond({ ':status': 200 })
    stream.end('ok')
  })
})

let gauntlet: Gauntlet
beforeAll(async () => {
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const to = `h2c://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  gauntlet = await createGauntlet({
    people: ['alice'],
    moreRoutes: [{ name: 'h2', prefix: '/h2', to, allow_public_unauthenticated_access: true }],
  })
})
afterEach(() => void seen.splice(0))
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
  upstream.close()
})

const SINGLE = ['referer', 'user-agent', 'if-match', 'content-type', 'range']

test.each(SINGLE)('%s in two spellings is passed on as the two lines that it is', async (name) => {
  for (let i = 0; i < 2; i++) {
    const { statuses } = await gauntlet.get('/h2/x', `${name.toUpperCase()}: a`, `${name}: b`)
    expect(statuses).toEqual([200])
  }
  expect(seen.map(({ values }) => values(name))).toEqual([
    ['a', 'b'],
    ['a', 'b'],
  ])
})

test('lines of cookies are one list of cookies', async () => {
  await gauntlet.get('/h2/x', 'Cookie: a=1', 'cookie: b=2; c=3', `Cookie: ${gauntlet.cookies['alice']}`)
  expect(only(seen).values('cookie').join('; ')).toBe('a=1; b=2; c=3')
})

test('names that every object has are names like any other', async () => {
  const names = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf']
  const { statuses } = await gauntlet.get('/h2/x', ...names.map((name) => `${name}: x`))
  expect(statuses).toEqual([200])
  expect(names.map((name) => only(seen).values(name.toLowerCase()))).toEqual(names.map(() => ['x']))
})

test.each(['GET', 'POST', 'DELETE', 'PROPFIND'])('%s with a body is passed on whole', async (method) => {
  const { statuses } = await gauntlet.send(request(method, '/h2/x', 'Content-Length: 3') + 'abc')
  expect(statuses).toEqual([200])
  expect(only(seen)).toMatchObject({ method, body: 'abc' })
})
