/**
 * gRPC-Web end to end: Connect's client and server (https://connectrpc.com), through Postern, to an upstream of HTTP/1.1, of
 * HTTP/2 and of TLS. To Postern it is HTTP, trailers in the body included; a refusal is one of HTTP, which clients map.
 */
import { createServer, type RequestListener } from 'node:http'
import { createSecureServer, createServer as createHttp2Server } from 'node:http2'
import { createRequire } from 'node:module'
import type { Server, Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'
import { listenOn, portOf, createTestWorld, type World } from '../support/world.ts'
import { installed } from './installed.ts'

const connectEs = installed('connect-es', {
  from: 'npm',
  packages: ['@connectrpc/connect@2.1.1', '@connectrpc/connect-node@2.1.1', '@bufbuild/protobuf@2.7.0'],
})

/** The part of it that this test uses. */
interface Text {
  readonly value: string
}
interface Context {
  readonly requestHeader: Headers
  readonly responseTrailer: Headers
}
interface EchoClient {
  say(text: Text, options?: object): Promise<Text>
  count(text: Text, options?: object): AsyncIterable<Text>
}
interface ConnectEs {
  readonly connect: {
    createClient(service: unknown, transport: unknown): EchoClient
    readonly ConnectError: new (message: string, code: number) => Error
  }
  readonly node: {
    connectNodeAdapter(options: object): RequestListener
    createGrpcWebTransport(options: object): unknown
  }
  readonly protobuf: {
    createFileRegistry(file: unknown, resolve: (name: string) => unknown): { getService(name: string): unknown }
    create(schema: unknown, init: object): unknown
  }
  readonly wkt: {
    readonly FileDescriptorProtoSchema: unknown
    readonly file_google_protobuf_wrappers: { readonly proto: unknown }
  }
}

function load(): ConnectEs {
  const require = createRequire(join(connectEs.bin ?? '', '../'))
  return {
    connect: require('@connectrpc/connect') as ConnectEs['connect'],
    node: require('@connectrpc/connect-node') as ConnectEs['node'],
    protobuf: require('@bufbuild/protobuf') as ConnectEs['protobuf'],
    wkt: require('@bufbuild/protobuf/wkt') as ConnectEs['wkt'],
  }
}

const NOT_FOUND = 5
const servers: Server[] = []
const sockets = new Set<Socket>()
let world: World
let clientTo: (host: string, login?: string) => EchoClient

async function listening(server: Server): Promise<number> {
  servers.push(server)
  for (const event of ['connection', 'secureConnection']) server.on(event, (socket: Socket) => sockets.add(socket))
  return portOf(await listenOn(server))
}

describe.skipIf(connectEs.bin === undefined)(connectEs.name('gRPC-Web'), () => {
  beforeAll(async () => {
    const { connect, node, protobuf, wkt } = load()
    const type = '.google.protobuf.StringValue'
    const file = protobuf.create(wkt.FileDescriptorProtoSchema, {
      name: 'echo.proto',
      package: 'test',
      syntax: 'proto3',
      dependency: ['google/protobuf/wrappers.proto'],
      service: [
        {
          name: 'Echo',
          method: [
            { name: 'Say', inputType: type, outputType: type },
            { name: 'Count', inputType: type, outputType: type, serverStreaming: true },
          ],
        },
      ],
    })
    const service = protobuf
      .createFileRegistry(file, (name) =>
        name === 'google/protobuf/wrappers.proto' ? wkt.file_google_protobuf_wrappers.proto : undefined,
      )
      .getService('test.Echo')
    const application = node.connectNodeAdapter({
      routes: (router: { service(service: unknown, handlers: object): void }) =>
        router.service(service, {
          say({ value }: Text, context: Context) {
            if (value === '') throw new connect.ConnectError('nothing to say', NOT_FOUND)
            context.responseTrailer.set('x-last', 'word')
            return { value: `${value} for ${context.requestHeader.get('x-postern-claim-email') ?? 'nobody'}` }
          },
          async *count({ value }: Text) {
            for (let i = 1; i <= Number(value); i++) yield { value: String(i) }
          },
        }),
    })
    // The types of the compatible API are wider than what it takes.
    const http2 = application as never
    const h1 = await listening(createServer(application))
    const h2c = await listening(createHttp2Server(http2))
    const tls = await listening(createSecureServer({ key: KEY, cert: CERTIFICATE }, http2))
    const rule = { allowed_groups: ['Engineering'] }
    world = await createTestWorld({
      routes: [
        { from: 'http://h1.localhost', to: `http://127.0.0.1:${h1}`, ...rule },
        { from: 'http://h2c.localhost', to: `h2c://127.0.0.1:${h2c}`, ...rule },
        { from: 'http://tls.localhost', to: `https://127.0.0.1:${tls}`, tls_custom_ca: CERTIFICATE, ...rule },
      ],
    })
    const cookies = new Map<string, string>()
    for (const login of ['alice', 'bob']) {
      const browser = world.browser()
      for (const host of ['h1', 'h2c', 'tls']) {
        await world.signIn(browser, `http://${host}.localhost/`, `${login}@example.com`)
        cookies.set(`${login}@${host}`, `postern=${browser.cookies.get(`${host}.localhost`)?.get('postern')}`)
      }
    }
    clientTo = (host, login) => {
      const transport = node.createGrpcWebTransport({
        baseUrl: `http://127.0.0.1:${world.port}`,
        httpVersion: '1.1',
        interceptors: [
          (next: (request: { readonly header: Headers }) => unknown) => (request: { readonly header: Headers }) => {
            request.header.set('host', `${host}.localhost`)
            const cookie = cookies.get(`${login}@${host}`)
            if (cookie !== undefined) request.header.set('cookie', cookie)
            return next(request)
          },
        ],
      })
      return connect.createClient(service, transport)
    }
  })
  afterAll(async () => {
    await world?.close()
    for (const socket of sockets) socket.destroy()
    for (const server of servers) server.close()
  })

  test.each(['h1', 'h2c', 'tls'])('%s: unary calls, with messages, trailers and errors', async (host) => {
    const client = clientTo(host, 'alice')
    let trailers: Headers | undefined
    const onTrailer = (all: Headers): void => void (trailers = all)
    expect((await client.say({ value: 'hello' }, { onTrailer })).value).toBe('hello for alice@example.com')
    expect(trailers?.get('x-last')).toBe('word')
    const long = 'x'.repeat(1_000_000)
    expect((await client.say({ value: long })).value).toBe(`${long} for alice@example.com`)
    await expect(client.say({ value: '' })).rejects.toMatchObject({ code: NOT_FOUND, rawMessage: 'nothing to say' })
  })

  test.each(['h1', 'h2c', 'tls'])('%s: a stream of messages comes whole and in order', async (host) => {
    const counted: string[] = []
    for await (const { value } of clientTo(host, 'alice').count({ value: '500' })) counted.push(value)
    expect(counted).toEqual(Array.from({ length: 500 }, (_, i) => String(i + 1)))
  })

  test.each([
    ['nobody', undefined, 16],
    ['somebody who may not', 'bob', 7],
  ] as const)('%s gets a refusal of HTTP, and so the right code', async (_, login, code) => {
    await expect(clientTo('h1', login).say({ value: 'hello' })).rejects.toMatchObject({ code })
  })
})
