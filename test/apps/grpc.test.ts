/** A client and a server of gRPC with Postern between them: every kind of call, and what becomes of those that may not. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestWorld, type World } from '../support/world.ts'
import {
  type Call,
  type Client,
  definition,
  grpcJs,
  loadGrpcJs,
  type Metadata,
  method,
  type Server,
  type Status,
} from './grpc-js.ts'

const UNARY = '/test.Echo/Unary'
const DOWN = '/test.Echo/Down'
const UP = '/test.Echo/Up'
const BOTH = '/test.Echo/Both'

describe.skipIf(grpcJs.bin === undefined)(grpcJs.name('gRPC'), () => {
  const { Server, Client, Metadata, ServerCredentials, credentials } =
    grpcJs.bin === undefined ? ({} as ReturnType<typeof loadGrpcJs>) : loadGrpcJs()
  let server: Server
  let world: World
  let address: string
  const clients: Client[] = []
  const cookies: Record<string, string> = {}
  const seen: Metadata[] = []
  /** Calls of `Both` and `Down` that the server has. */
  const open: Call[] = []

  beforeAll(async () => {
    server = new Server()
    server.addService(
      {
        Unary: definition(UNARY, false, false),
        Down: definition(DOWN, false, true),
        Up: definition(UP, true, false),
        Both: definition(BOTH, true, true),
      },
      {
        Unary(call: Call, done: (error: object | null, message?: Buffer, trailers?: Metadata) => void) {
          seen.push(call.metadata)
          const first = new Metadata()
          first.set('x-first', 'head')
          call.sendMetadata(first)
          const trailers = new Metadata()
          trailers.set('x-last', 'trailer')
          trailers.set('x-bytes-bin', Buffer.from([0, 255]))
          if (call.request.toString() === 'fail') done({ code: 9, details: 'no: 100 % wrong', metadata: trailers })
          else done(null, call.request, trailers)
        },
        Down: (call: Call) => void open.push(call),
        Up(call: Call, done: (error: null, message: Buffer) => void) {
          const pieces: Buffer[] = []
          call.on('data', (piece: Buffer) => pieces.push(piece))
          call.on('end', () => done(null, Buffer.concat(pieces)))
        },
        Both(call: Call) {
          open.push(call)
          call.on('error', () => {})
          call.on('data', (piece: Buffer) => call.write(piece))
          call.on('end', () => call.end())
        },
      },
    )
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    )
    const nobody = createServer().listen(0, '127.0.0.1')
    await once(nobody, 'listening')
    const down = (nobody.address() as { port: number }).port
    nobody.close()
    const to = `h2c://127.0.0.1:${port}`
    const rule = { allowed_groups: ['Engineering'] }
    world = await createTestWorld({
      routes: [
        { from: 'http://app.localhost', to, ...rule },
        { from: 'http://public.localhost', to, allow_public_unauthenticated_access: true },
        { from: 'http://down.localhost', to: `h2c://127.0.0.1:${down}`, allow_public_unauthenticated_access: true },
        { from: 'http://short.localhost', to, timeout: '1s', allow_public_unauthenticated_access: true },
      ],
    })
    for (const login of ['alice', 'bob']) {
      const browser = world.browser()
      await world.signIn(browser, 'http://app.localhost/', `${login}@example.com`)
      cookies[login] = `postern=${browser.cookies.get('app.localhost')?.get('postern')}`
    }
    const other = await world.another({ codec_type: 'http2' })
    address = `127.0.0.1:${other.app.listener.address.port}`
  })
  afterAll(async () => {
    for (const one of clients) one.close()
    server?.forceShutdown()
    await world?.close()
  })

  function client(host = 'app.localhost'): Client {
    const made = new Client(address, credentials.createInsecure(), {
      'grpc.default_authority': host,
      'grpc.max_receive_message_length': -1,
    })
    clients.push(made)
    return made
  }

  function as(login?: string): Metadata {
    const metadata = new Metadata()
    const cookie = login === undefined ? undefined : cookies[login]
    if (cookie !== undefined) metadata.set('cookie', cookie)
    return metadata
  }

  const soon = (): object => ({ deadline: Date.now() + 60_000 })

  interface Outcome extends Status {
    readonly message: string | undefined
    /** Metadata before the message. */
    readonly first: Metadata | undefined
  }

  /** What a unary call came to. */
  async function unary(from: Client, text: string, metadata: Metadata): Promise<Outcome> {
    let first: Metadata | undefined
    let message: string | undefined
    const call = from.makeUnaryRequest(...method(UNARY), Buffer.from(text), metadata, soon(), (_, answer) => {
      message = answer?.toString()
    })
    call.on('metadata', (metadata: Metadata) => (first = metadata))
    const status = await statusOf(call)
    return { ...status, message, first }
  }

  function statusOf(call: Call): Promise<Status> {
    // Told of by its status, too.
    call.on('error', () => {})
    return new Promise((resolve) => call.once('status', resolve))
  }

  test('a unary call: message, metadata of both ends, trailers, and who asks', async () => {
    const { code, message, metadata: last, first } = await unary(client(), 'hello', as('alice'))
    expect([code, message]).toEqual([0, 'hello'])
    expect(first?.get('x-first')).toEqual(['head'])
    expect(last.get('x-last')).toEqual(['trailer'])
    expect(last.get('x-bytes-bin')).toEqual([Buffer.from([0, 255])])
    const metadata = seen.at(-1)
    expect(metadata?.get('x-postern-jwt-assertion')).toHaveLength(1)
    // Its only cookie was ours.
    expect(metadata?.get('cookie')).toEqual([])
  })

  test('an error of the server is passed on with its words and metadata', async () => {
    const { code, details, metadata } = await unary(client(), 'fail', as('alice'))
    expect([code, details, metadata.get('x-last')]).toEqual([9, 'no: 100 % wrong', ['trailer']])
  })

  test.each([
    ['nobody', 'app.localhost', undefined, 16],
    ['somebody who may not', 'app.localhost', 'bob', 7],
    ['a host without routes', 'nothing.localhost', undefined, 12],
    ['a server that is down', 'down.localhost', undefined, 14],
  ])('%s gets a status of gRPC', async (_, host, login, expected) => {
    const { code, details } = await unary(client(host), 'hello', as(login))
    expect([code, details]).toEqual([expected, expect.stringMatching(/\w/)])
  })

  test('messages of the server come one by one, and the status behind them', async () => {
    const call = client().makeServerStreamRequest(...method(DOWN), Buffer.from('x'), as('alice'), soon())
    const status = statusOf(call)
    await expect.poll(() => open.length).toBe(1)
    const there = open.splice(0)[0]
    for (const word of ['one', 'two', 'three']) {
      there?.write(Buffer.from(word))
      expect(((await once(call, 'data')) as [Buffer])[0].toString()).toBe(word)
    }
    const trailers = new Metadata()
    trailers.set('x-last', 'trailer')
    there?.end(trailers)
    const { code, metadata } = await status
    expect([code, metadata.get('x-last')]).toEqual([0, ['trailer']])
  })

  test('messages of the client are one body, however large', async () => {
    const message = Buffer.alloc(1 << 20, 'x')
    const answer = new Promise<Buffer | undefined>((resolve, reject) => {
      const call = client().makeClientStreamRequest(...method(UP), as('alice'), soon(), (error, whole) =>
        error ? reject(new Error(error.details)) : resolve(whole),
      )
      for (let i = 0; i < 8; i++) call.write(message)
      call.end()
    })
    expect((await answer)?.length).toBe(8 << 20)
  })

  test('both at once: each message has its answer before the next one is sent', async () => {
    const call = client().makeBidiStreamRequest(...method(BOTH), as('alice'), soon())
    const status = statusOf(call)
    for (let i = 0; i < 20; i++) {
      call.write(Buffer.from(`message ${i}`))
      expect(((await once(call, 'data')) as [Buffer])[0].toString()).toBe(`message ${i}`)
    }
    call.end()
    expect((await status).code).toBe(0)
    open.splice(0)
  })

  test('a client that cancels is heard by the server', async () => {
    const call = client().makeBidiStreamRequest(...method(BOTH), as('alice'), soon())
    const status = statusOf(call)
    call.write(Buffer.from('hello'))
    await once(call, 'data')
    const there = open.splice(0)[0]
    call.cancel()
    expect((await status).code).toBe(1)
    await expect.poll(() => there?.cancelled).toBe(true)
  })

  test('one call that is cancelled leaves the others of its connection alone', async () => {
    const from = client()
    const begin = (): Call => from.makeBidiStreamRequest(...method(BOTH), as('alice'), soon())
    const [one, other] = [begin(), begin()]
    for (const call of [one, other]) {
      call.on('error', () => {})
      call.write(Buffer.from('hello'))
      await once(call, 'data')
    }
    one.cancel()
    other.write(Buffer.from('still here'))
    expect(((await once(other, 'data')) as [Buffer])[0].toString()).toBe('still here')
    other.cancel()
    open.splice(0)
  })

  test('an open call ends when its session does', async () => {
    const browser = world.browser()
    await world.signIn(browser, 'http://app.localhost/', 'alice@example.com')
    const metadata = new Metadata()
    metadata.set('cookie', `postern=${browser.cookies.get('app.localhost')?.get('postern')}`)
    const call = client().makeBidiStreamRequest(...method(BOTH), metadata, soon())
    const status = statusOf(call)
    call.write(Buffer.from('hello'))
    await once(call, 'data')
    const there = open.splice(0)[0]
    const page = await browser.ask('http://app.localhost/.postern/sign_out')
    await browser.ask('http://app.localhost/.postern/sign_out', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `csrf=${/name="csrf" value="([^"]+)"/.exec(page.body)?.[1]}`,
    })
    expect((await status).code).not.toBe(0)
    await expect.poll(() => there?.cancelled).toBe(true)
  })
})
