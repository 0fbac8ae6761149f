/** What was refused before anybody judged it: its log line says what was asked, as far as it was read, and nothing else can be made of it. */
import { afterEach, describe, expect, test } from 'vitest'
import { frame, h2Wire, headers, HEADERS, type Fields } from '../support/h2-wire.ts'
import { sendRaw } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'

const ROUTES = [{ name: 'open', from: 'http://app.localhost', allow_public_unauthenticated_access: true }]

let world: World
afterEach(() => world.close())

async function start(config: Readonly<Record<string, unknown>> = {}, from = 'http'): Promise<number> {
  const routes = ROUTES.map((route) => ({ ...route, from: route.from.replace('http:', `${from}:`) }))
  world = await createTestWorld({ config, routes })
  return world.app.listener.address.port
}

type Line = Readonly<Record<string, unknown>>

/** The lines of requests, once there are so many. */
async function linesOf(count = 1): Promise<readonly Line[]> {
  const lines = () => world.log().filter(({ msg }) => msg === 'request')
  await expect.poll(() => lines().length).toBe(count)
  return lines()
}

describe('HTTP/1.1', () => {
  test.each([
    [
      'a space in the name of a field',
      400,
      'GET /a?code=x HTTP/1.1\r\nHost: app.localhost\r\nbad name: x\r\n\r\n',
      ['GET', 'app.localhost', '/a'],
    ],
    ['a bare LF', 400, 'GET /a HTTP/1.1\nHost: app.localhost\n\n', ['GET', 'app.localhost', '/a']],
    ['no version', 400, 'GET /a?b\r\n\r\n', ['GET', undefined, '/a']],
    ['another version', 400, 'POST /a HTTP/3.0\r\nHost: app.localhost\r\n\r\n', ['POST', 'app.localhost', '/a']],
    ['garbage', 400, '\x01\x02\x03\r\n\r\n', [undefined, undefined, undefined]],
    ['no Host', 400, 'GET /a HTTP/1.1\r\n\r\n', ['GET', undefined, '/a']],
    ['two Hosts', 400, 'GET /a HTTP/1.1\r\nHost: one.test\r\nHost: two.test\r\n\r\n', ['GET', 'one.test', '/a']],
    [
      'an invalid Host',
      400,
      'GET /a HTTP/1.1\r\nHost: me:secret@app localhost\r\n\r\n',
      ['GET', 'app localhost', '/a'],
    ],
    [
      'a password in the target',
      400,
      'GET http://me:secret@app.localhost/a?b HTTP/1.1\r\n\r\n',
      ['GET', 'app.localhost', '/a'],
    ],
    [
      'a password in a target that is none',
      400,
      'GET http:me:secret@app.localhost/a HTTP/1.1\r\nHost: app.localhost\r\n\r\n',
      ['GET', 'app.localhost', 'app.localhost/a'],
    ],
    [
      'a password behind two slashes',
      400,
      'GET //me:secret@app.localhost/a#secret HTTP/1.1\r\nHost: app localhost\r\n\r\n',
      ['GET', 'app localhost', 'app.localhost/a'],
    ],
    [
      'a password behind three slashes',
      400,
      'GET http:///me:secret@app.localhost/a HTTP/1.1\r\nHost: app localhost\r\n\r\n',
      ['GET', 'app localhost', '/a'],
    ],
    [
      'a password in a CONNECT',
      405,
      'CONNECT me:secret@app.localhost:443 HTTP/1.1\r\nHost: app.localhost\r\n\r\n',
      ['CONNECT', 'app.localhost', 'app.localhost:443'],
    ],
    [
      'an address for Host',
      400,
      'GET /a HTTP/1.1\r\nHost: me:secret@app.localhost/b?code=x\r\n\r\n',
      ['GET', 'app.localhost', '/a'],
    ],
    [
      'both lengths',
      400,
      'POST /a HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      ['POST', 'app.localhost', '/a'],
    ],
    [
      'a method that nobody passes on',
      405,
      'TRACE /a HTTP/1.1\r\nHost: app.localhost\r\n\r\n',
      ['TRACE', 'app.localhost', '/a'],
    ],
    [
      'a header section without end',
      431,
      `GET /a?b HTTP/1.1\r\nHost: app.localhost\r\nx: ${'y'.repeat(70_000)}`,
      ['GET', 'app.localhost', '/a'],
    ],
    [
      'too many fields',
      431,
      `GET /a HTTP/1.1\r\nHost: app.localhost\r\n${'x: y\r\n'.repeat(2100)}\r\n`,
      ['GET', 'app.localhost', '/a'],
    ],
    [
      'a path that is too long',
      414,
      `GET /${'a'.repeat(15_000)}?b HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\n\r\n`,
      ['GET', 'app.localhost', /^\/a{100,1023}… \(\d+ more\)$/],
    ],
    [
      'an unknown host',
      404,
      'GET /a?b HTTP/1.1\r\nHost: nowhere.test\r\nConnection: close\r\n\r\n',
      ['GET', 'nowhere.test', '/a'],
    ],
    [
      'a path that can be read in two ways',
      400,
      'GET /a%2fb?c HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\n\r\n',
      ['GET', 'app.localhost', '/a%2Fb'],
    ],
  ])('%s: %i', async (_, status, bytes, [method, host, path]) => {
    await sendRaw(await start({ max_url_length: 8192 }), bytes)
    const [line] = await linesOf()
    expect([line?.['status'], line?.['method'], line?.['host']]).toEqual([status, method, host])
    if (path instanceof RegExp) expect(line?.['path']).toMatch(path)
    else expect(line?.['path']).toBe(path)
    expect(world.logText()).not.toMatch(/secret|code=x/)
  })

  test('plain HTTP on the port of HTTPS', async () => {
    const port = await start(
      {
        certificate: CERTIFICATE,
        certificate_key: KEY,
        insecure_server: undefined,
        authenticate_service_url: 'https://authenticate.localhost',
      },
      'https',
    )
    const [answer] = await sendRaw(port, 'GET /a?code=x HTTP/1.1\r\nHost: app.localhost\r\n\r\n')
    expect(answer).toMatchObject({ status: 400, body: 'This port speaks HTTPS: the address begins with https://\n' })
    const [line] = await linesOf()
    expect(line).toMatchObject({
      level: 'info',
      status: 400,
      detail: 'plain HTTP on the port of HTTPS',
      client_ip: '127.0.0.1',
      method: 'GET',
      host: 'app.localhost',
      path: '/a',
    })
  })
})

describe('HTTP/2', () => {
  const base: Fields = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':authority', 'app.localhost'],
    [':path', '/a?code=x'],
  ]

  test.each<readonly [string, number, Fields]>([
    ['a field of the connection', 400, [...base, ['connection', 'close']]],
    ['a name in capitals', 400, [...base, ['Bad', 'x']]],
    ['a pseudo-header field twice', 400, [...base, [':path', '/b']]],
    ['too large a field section', 431, [...base, ...Array.from({ length: 2100 }, (): [string, string] => ['x', 'y'])]],
    ['an unknown expectation', 417, [...base, ['expect', 'wonders']]],
  ])('%s: %i', async (_, status, fields) => {
    const wire = await h2Wire(await start({ codec_type: 'http2' }))
    wire.send(headers(1, fields))
    const [line] = await linesOf()
    expect(line).toMatchObject({ status, method: 'GET', host: 'app.localhost', path: '/a' })
    wire.socket.destroy()
  })

  test('a head that nobody can decode ends the connection, with a line', async () => {
    const wire = await h2Wire(await start({ codec_type: 'http2' }))
    wire.send(frame(HEADERS, 5, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])))
    const [line] = await linesOf()
    expect(line).toMatchObject({ status: 400, detail: expect.any(String), client_ip: '127.0.0.1' })
    await wire.closed
  })
})

describe('what clients choose', () => {
  const EVIL = ['\x1b[2J', '\x9b31m', '","level":"error","msg":"forged', '\u202e', '\\', '\x7f']

  test.each(EVIL)('%j neither begins a line nor moves a cursor, wherever it stands', async (evil) => {
    const port = await start()
    const bytes = Buffer.from(evil).toString('latin1')
    await sendRaw(port, `GET /${bytes}?q HTTP/1.1\r\nHost: ${bytes}\r\nbad name: x\r\n\r\n`)
    await sendRaw(
      port,
      `GET /${bytes} HTTP/1.1\r\nHost: app.localhost\r\nUser-Agent: ${bytes}\r\nConnection: close\r\n\r\n`,
    )
    await linesOf(2)
    const text = world.logText()
    // eslint-disable-next-line no-control-regex
    expect(text.replaceAll('\n', '')).toMatch(/^[ -~\u00a0-\u02ff\u2000-\u2009\u2010-\u2027…]*$/)
    for (const line of text.trimEnd().split('\n')) expect(JSON.parse(line)).not.toMatchObject({ msg: 'forged' })
    expect(world.log().filter(({ level }) => level === 'error')).toEqual([])
  })

  test('a line feed in a field ends neither the head nor the line', async () => {
    await sendRaw(await start(), 'GET /a HTTP/1.1\r\nHost: app.localhost\nx: {"level":"error"}\r\n\r\n')
    const [line] = await linesOf()
    expect(line).toMatchObject({ status: 400, method: 'GET', host: 'app.localhost', path: '/a' })
  })
})
