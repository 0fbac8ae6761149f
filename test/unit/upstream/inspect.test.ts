import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { createServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { inspectUpstreams } from '../../../src/upstream/inspect.ts'
import { CERTIFICATE, EXPIRED, KEY } from './certificate.ts'
import { cleanup, route } from './support.ts'

async function tls(cert: string): Promise<string> {
  const server = createServer({ key: KEY, cert }, (req, res) => res.writeHead(req.method === 'HEAD' ? 204 : 500).end())
  return `https://localhost:${await listen(server)}`
}

async function plain(handle: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(createHttpServer(handle))}`
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  cleanup(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

test('each upstream is tried once for each set of TLS settings, and what is wrong is said', async () => {
  const asked: string[] = []
  const app = await plain(
    (req, res) => (asked.push(`${req.method} ${req.url} ${req.headers.authorization}`), res.writeHead(404).end()),
  )
  const [valid, expired] = [await tls(CERTIFICATE), await tls(EXPIRED)]
  const trusted = { skipVerify: false, ca: CERTIFICATE }
  const routes = [
    route([app, 'http://127.0.0.1:1']),
    route(app),
    route(valid, { tls: trusted }),
    route(valid, { tls: { ...trusted, serverName: 'other.test' } }),
    route(valid),
    route(expired, { tls: { skipVerify: false, ca: EXPIRED } }),
    route('unix:///nowhere/app.sock'),
  ]
  const found = await inspectUpstreams({ routes }, { timeout: 5000, clock: systemClock })
  const of = (origin: string) =>
    found
      .filter(({ upstream }) => upstream === origin)
      .map((each) => [each.kind, each.kind === 'answers' ? each.status : each.problem] as const)
      .toSorted(([, a], [, b]) => String(a).localeCompare(String(b)))
  expect(of(app)).toEqual([['answers', 404]])
  expect(asked).toEqual(['HEAD / undefined'])
  expect(of('http://127.0.0.1:1')).toEqual([['unreachable', 'connect ECONNREFUSED 127.0.0.1:1']])
  expect(of(valid)).toEqual([
    ['answers', 204],
    [
      'refused',
      expect.stringContaining('its certificate is for localhost, app.internal, 127.0.0.1, and not for other.test'),
    ],
    ['refused', expect.stringContaining('its certificate is self-signed')],
  ])
  expect(of(expired)).toEqual([['refused', expect.stringContaining('has expired (localhost, CERT_HAS_EXPIRED)')]])
  expect(of('unix:///nowhere/app.sock')).toEqual([['unreachable', expect.stringContaining('ENOENT')]])
  const known = await inspectUpstreams(
    { routes: [route(valid)] },
    { timeout: 5000, clock: systemClock, authorities: CERTIFICATE },
  )
  expect(known).toMatchObject([{ kind: 'answers', status: 204 }])
  expect(found.every(({ definedAt }) => definedAt === 'config.yaml:1:1')).toBe(true)
})

test('one that is away is spare when each of its routes has another', async () => {
  const app = await plain((_, res) => res.end())
  const spareOf = async (...routes: Parameters<typeof route>[0][]) => {
    const found = await inspectUpstreams(
      { routes: routes.map((to) => route(to)) },
      { timeout: 5000, clock: systemClock },
    )
    return found.flatMap((each) => (each.kind === 'unreachable' ? [each.spare] : []))
  }
  expect(await spareOf([app, 'http://127.0.0.1:1'])).toEqual([true])
  expect(await spareOf([app, 'http://127.0.0.1:1'], 'http://127.0.0.1:1')).toEqual([false])
  expect(await spareOf('http://127.0.0.1:1')).toEqual([false])
})

test('what speaks no HTTP, or not this one, or nothing at all, is silent', async () => {
  const h2c = `h2c://127.0.0.1:${await listen(createHttp2Server((_, res) => void res.writeHead(200).end()))}`
  const nonsense = await listen(
    createTcpServer((socket) => socket.on('error', () => {}).end('220 mail.corp.example\r\n')),
  )
  const mute = await listen(createTcpServer((socket) => void socket.on('error', () => {})))
  const routes = [
    route(h2c),
    route(h2c.replace('h2c', 'http')),
    route(`http://127.0.0.1:${nonsense}`),
    route(`http://127.0.0.1:${mute}`),
  ]
  const found = await inspectUpstreams({ routes }, { timeout: 300, clock: systemClock })
  const of = (origin: string) => found.find(({ upstream }) => upstream === origin)
  expect(of(h2c)).toMatchObject({ kind: 'answers', status: 200 })
  expect(of(`http://127.0.0.1:${nonsense}`)).toMatchObject({ kind: 'silent' })
  expect(of(h2c.replace('h2c', 'http'))).toMatchObject({ kind: 'silent' })
  expect(of(`http://127.0.0.1:${mute}`)).toMatchObject({
    kind: 'silent',
    problem: 'it did not answer within less than a second',
  })
})
