/** Each limit of what a request may be: exactly that much passes, one more is refused, whatever the protocol. */
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DATA, END_HEADERS, END_STREAM, type Fields, frame, h2Wire, headers } from '../support/h2-wire.ts'
import { sendRaw } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'

const LIMITS = { max_header_bytes: 2048, max_headers: 20, max_url_length: 300, max_request_body: 1000 }
const HOST = 'open.localhost'

interface Ask {
  readonly path?: string
  readonly fields?: Fields
  readonly body?: string
}

/** Takes as many header lines as come. */
let seen = 0
const upstream = createServer({ maxHeaderSize: 65_536 }, (req, res) => {
  seen = req.rawHeaders.length / 2
  req.resume().on('end', () => res.end())
})
upstream.maxHeadersCount = 0
let world: World
const ports: Record<'h1' | 'h2' | 'h1 unlimited', number> = { h1: 0, h2: 0, 'h1 unlimited': 0 }

beforeAll(async () => {
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const to = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  const routes = [{ from: `http://${HOST}`, to, allow_public_unauthenticated_access: true }]
  world = await createTestWorld({ routes, config: LIMITS })
  ports.h1 = world.port
  ports.h2 = (await world.another({ ...LIMITS, codec_type: 'http2' })).app.listener.address.port
  const none = { max_header_bytes: undefined, max_headers: undefined, max_url_length: undefined }
  ports['h1 unlimited'] = (await world.another(none)).app.listener.address.port
})
afterAll(async () => {
  await world.close()
  await new Promise((resolve) => upstream.close(resolve))
})

async function askH1({ path = '/', fields = [], body }: Ask, port = ports.h1): Promise<number | undefined> {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const method = body === undefined ? 'GET' : 'POST'
  const bytes = `${method} ${path} HTTP/1.1\r\nhost: ${HOST}\r\n${lines}\r\n${body ?? ''}`
  return (await sendRaw(port, bytes, { until: /\r\n\r\n/ }))[0]?.status
}

async function askH2({ path = '/', fields = [], body }: Ask): Promise<number> {
  const wire = await h2Wire(ports.h2)
  const method = body === undefined ? 'GET' : 'POST'
  const begin: Fields = [
    [':method', method],
    [':scheme', 'http'],
    [':authority', HOST],
    [':path', path],
  ]
  wire.send(headers(1, [...begin, ...fields], body === undefined ? END_HEADERS | END_STREAM : END_HEADERS))
  if (body !== undefined) wire.send(frame(DATA, END_STREAM, 1, body))
  const { status } = await wire.answer(1)
  wire.socket.destroy()
  return status
}

/** With `host` so many. */
const many = (count: number): Fields => Array.from({ length: count - 1 }, (_, i) => [`x${i}`, 'x'])
/** With `host` so many octets, each field `name: value` and CRLF. */
const large = (octets: number): Fields => [['x', 'x'.repeat(octets - `host: ${HOST}\r\nx: \r\n`.length)]]
const lengthOf = (body: string): Fields => [['content-length', `${body.length}`]]

describe.each([
  ['HTTP/1.1', askH1],
  ['HTTP/2', askH2],
] as const)('%s', (_, ask) => {
  test.each<readonly [key: string, at: Ask, beyond: Ask, status: number]>([
    ['max_headers', { fields: many(20) }, { fields: many(21) }, 431],
    ['max_header_bytes', { fields: large(2048) }, { fields: large(2049) }, 431],
    ['max_url_length', { path: `/${'x'.repeat(299)}` }, { path: `/${'x'.repeat(300)}` }, 414],
    ['max_url_length, query', { path: `/?${'x'.repeat(298)}` }, { path: `/?${'x'.repeat(299)}` }, 414],
    [
      'max_request_body',
      { body: 'x'.repeat(1000), fields: lengthOf('x'.repeat(1000)) },
      { body: 'x'.repeat(1001), fields: lengthOf('x'.repeat(1001)) },
      413,
    ],
  ])('%s: exactly so much passes, one more does not', async (__, at, beyond, status) => {
    expect(await ask(at)).toBe(200)
    expect(await ask(beyond)).toBe(status)
  })
})

test('a body without a declared length: exactly so much passes, one more does not', async () => {
  const chunked = (octets: number): Ask => ({
    fields: [['transfer-encoding', 'chunked']],
    body: `${octets.toString(16)}\r\n${'x'.repeat(octets)}\r\n0\r\n\r\n`,
  })
  expect([await askH1(chunked(1000)), await askH1(chunked(1001))]).toEqual([200, 413])
  const [whole, more] = ['x'.repeat(1000), 'x'.repeat(1001)]
  expect([await askH2({ body: whole }), await askH2({ body: more })]).toEqual([200, 413])
})

test('of an absolute target path and query count, as in any other form', async () => {
  const path = (octets: number): string => `http://${HOST}/${'x'.repeat(octets - 1)}`
  expect([await askH1({ path: path(300) }), await askH1({ path: path(301) })]).toEqual([200, 414])
})

test('a thousand header fields pass, and all of them reach the application', async () => {
  expect(await askH1({ fields: many(1000) }, ports['h1 unlimited'])).toBe(200)
  expect(seen).toBeGreaterThanOrEqual(1000)
  expect(await askH1({ fields: many(1001) }, ports['h1 unlimited'])).toBe(431)
})
