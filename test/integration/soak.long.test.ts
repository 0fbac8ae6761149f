/**
 * Clients that abort, reset, close half, read slowly, pipeline and talk nonsense, in front of an application that dies in
 * every way: no byte of one exchange turns up in another, and in the end nothing is left of them. SOAK_SECONDS asks for
 * more, SOAK_SEED for others.
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { platform } from 'node:os'
import { TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { createRandom, type Random } from '../fuzz/random.ts'
import { type BuiltProgram, startBuiltProgram } from '../support/built-program.ts'
import { listenOn, portOf } from '../support/world.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'

const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 20)
const SEED = Number(process.env['SOAK_SEED'] ?? 1)
const CLIENTS = 24
const WAYS = [
  'length',
  'chunks',
  'close',
  'late',
  'pieces',
  'no-answer',
  'half',
  'half-chunks',
  'reset',
  'nonsense',
  'more',
  'early',
] as const
type Way = (typeof WAYS)[number]

const sockets = new Set<Socket>()
/** What arrived at the application and should not have. */
const strange: string[] = []

/**
 * Answers `/WAY/NONCE/SIZE` with SIZE bytes of NONCE, in that way; a body must be of NONCE as well.
 * @param below of TCP.
 */
function serve(socket: Socket, below: Socket): void {
  sockets.add(socket)
  socket.setNoDelay(true)
  socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  let text = ''
  /** Bytes of a body that was answered before it had come. */
  let skipped = 0
  socket.on('data', (piece: Buffer) => {
    text += piece.toString('latin1')
    for (let taken = take(text); taken > 0; taken = take(text)) text = text.slice(taken)
  })
  /** How much of it was a whole request. */
  function take(received: string): number {
    if (skipped > 0) {
      const taken = Math.min(skipped, received.length)
      skipped -= taken
      return taken
    }
    const end = received.indexOf('\r\n\r\n') + 4
    const [, way, nonce = '', size] = /^\w+ \/([\w-]+)\/(\w+)\/(\d+) HTTP\/1\.1\r\n/.exec(received) ?? []
    if (end === 3) return 0
    if (way === undefined) {
      strange.push(received.slice(0, 200))
      socket.destroy()
      return 0
    }
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(received.slice(0, end))?.[1] ?? 0)
    const body = received.slice(end, end + length)
    if (way === 'early' && body.length < length) {
      skipped = length - body.length
      answer(socket, 'early', nonce, Number(size), below)
      return received.length
    }
    if (body.length < length) return 0
    if (body !== bodyOf(nonce, length)) strange.push(`a body of another: ${nonce} ${body.slice(0, 100)}`)
    answer(socket, way as Way, nonce, Number(size), below)
    return end + length
  }
}

const APPLICATIONS = {
  http: createServer((socket) => serve(socket, socket)),
  https: createServer((below) => {
    below.on('error', () => {})
    serve(new TLSSocket(below, { isServer: true, cert: CERTIFICATE, key: KEY }), below)
  }),
}

function bodyOf(nonce: string, size: number): string {
  return nonce.repeat(Math.ceil(size / nonce.length)).slice(0, size)
}

function answer(socket: Socket, way: Way, nonce: string, size: number, below: Socket): void {
  const body = bodyOf(nonce, size)
  const head = `HTTP/1.1 200 OK\r\nx-nonce: ${nonce}\r\n`
  const whole = `${head}content-length: ${size}\r\n\r\n${body}`
  const chunk = size === 0 ? '' : `${size.toString(16)}\r\n${body}\r\n`
  const half = whole.slice(0, whole.length - Math.ceil(size / 2) - 1)
  const write = (text: string): boolean => socket.write(text, 'latin1')
  switch (way) {
    case 'chunks':
      return void write(`${head}transfer-encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`)
    case 'close':
      return void socket.end(`${head}\r\n${body}`, 'latin1')
    case 'late':
      return void setTimeout(write, 20, whole)
    case 'pieces':
      write(whole.slice(0, 30))
      return void setImmediate(write, whole.slice(30))
    case 'no-answer':
      return void socket.destroy()
    case 'half':
      return void socket.end(half, 'latin1')
    case 'half-chunks':
      return void socket.end(`${head}transfer-encoding: chunked\r\n\r\n${chunk}`, 'latin1')
    case 'reset':
      write(half)
      return void setImmediate(() => below.resetAndDestroy())
    case 'nonsense':
      return void write(`HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n${body}`)
    case 'more':
      return void write(`${whole}HTTP/1.1 200 OK\r\nx-nonce: stray\r\ncontent-length: 5\r\n\r\nstray`)
    default:
      write(whole)
  }
}

interface Tally {
  exchanges: number
  whole: number
  readonly wrong: string[]
}

/** One connection with a few requests, in one way of many. */
async function visit(port: number, random: Random, name: string, tally: Tally): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  const closed = once(socket, 'close').catch(() => {})
  const expected: { readonly nonce: string; readonly size: number; readonly way: Way }[] = []
  let requests = ''
  for (let count = random.once(3) ? 1 + random.below(4) : 1; count > 0; count--) {
    const nonce = `${name}x${tally.exchanges++}y`
    const [way, size] = [random.pick(WAYS), random.pick([0, 1, 100, 3000, 70_000, 300_000])]
    const upload = random.once(3) ? random.pick([1, 100, 5000, 100_000]) : 0
    const lines = `Host: open.localhost\r\n${count === 1 ? 'Connection: close\r\n' : ''}`
    requests += `${upload > 0 ? 'POST' : 'GET'} /${way}/${nonce}/${size} HTTP/1.1\r\n${lines}`
    requests += upload > 0 ? `Content-Length: ${upload}\r\n\r\n${bodyOf(nonce, upload)}` : '\r\n'
    expected.push({ nonce, size, way })
  }
  const manner = random.pick([
    'patient',
    'patient',
    'patient',
    'slow',
    'aborts',
    'resets',
    'half-closes',
    'stops',
    'drips',
    'nonsense',
  ])
  let received = ''
  let pieces = 0
  socket.on('data', (piece: Buffer) => {
    received += piece.toString('latin1')
    if (manner === 'aborts' && ++pieces > 1) socket.destroy()
    if (manner === 'resets') socket.resetAndDestroy()
    if (manner === 'slow') {
      socket.pause()
      setTimeout(() => socket.resume(), 1)
    }
  })
  if (manner === 'stops') {
    socket.write(requests.slice(0, random.below(requests.length)), 'latin1')
    setTimeout(() => socket.destroy(), random.below(30))
  } else if (manner === 'drips') {
    const at = random.below(requests.length)
    socket.write(requests.slice(0, at), 'latin1')
    setTimeout(() => socket.write(requests.slice(at), 'latin1'), random.below(10))
  } else if (manner === 'nonsense') socket.write(`${requests}\0nonsense\r\n\r\n`, 'latin1')
  else {
    socket.write(requests, 'latin1')
    if (manner === 'half-closes') socket.end()
  }
  const giveUp = setTimeout(() => {
    tally.wrong.push(
      `still open: ${manner} ${JSON.stringify(expected.map(({ way, size }) => [way, size]))} ${received.slice(-200)}`,
    )
    socket.destroy()
  }, 60_000)
  await closed
  clearTimeout(giveUp)
  judge(received, expected, tally)
}

/** Everything that came belongs to the requests, in their order. */
function judge(
  received: string,
  expected: readonly { readonly nonce: string; readonly size: number }[],
  tally: Tally,
): void {
  let rest = received
  for (const { nonce, size } of expected) {
    const end = rest.indexOf('\r\n\r\n')
    if (end === -1) break
    const head = rest.slice(0, end)
    const status = head.slice(9, 12)
    const told = /\r\nx-nonce: (\w+)/.exec(head)?.[1]
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
    let body: string
    if (length !== undefined) {
      body = rest.slice(end + 4, end + 4 + Number(length))
      rest = rest.slice(end + 4 + Number(length))
    } else {
      const [decoded, behind] = unchunked(rest.slice(end + 4))
      body = decoded
      rest = behind
    }
    if (status !== '200') continue
    if (told !== nonce || body !== bodyOf(nonce, body.length))
      tally.wrong.push(`${nonce} got ${told} ${body.slice(0, 100)}`)
    if (body.length === size) tally.whole++
  }
  if (/stray/.test(received)) tally.wrong.push('what was said behind an answer')
}

function unchunked(text: string): readonly [body: string, behind: string] {
  let body = ''
  let rest = text
  for (;;) {
    const line = /^([0-9a-f]+)\r\n/i.exec(rest)
    if (!line) return [body, '']
    const size = Number.parseInt(line[1] ?? '0', 16)
    const from = line[0].length
    body += rest.slice(from, from + size)
    rest = rest.slice(from + size + 2)
    if (size === 0) return [body, rest]
  }
}

/** Leaves nothing of itself. */
async function soak(program: BuiltProgram): Promise<void> {
  const tally: Tally = { exchanges: 0, whole: 0, wrong: [] }
  const work = async (until: number): Promise<void> => {
    const one = async (client: number): Promise<void> => {
      const random = createRandom(SEED * 1000 + client)
      while (Date.now() < until && tally.wrong.length === 0) await visit(program.port, random, `c${client}`, tally)
    }
    await Promise.all(Array.from({ length: CLIENTS }, (_, client) => one(client)))
  }
  const atFirst = program.sockets()
  // What is never collected is there at each moment, and the least of many shows it.
  const least = async (seconds: number): Promise<number> => {
    const samples: number[] = []
    const watching = setInterval(() => samples.push(program.resident()), 100)
    await work(Date.now() + seconds * 1000)
    clearInterval(watching)
    return Math.min(...samples)
  }
  await work(Date.now() + SECONDS * 250)
  const before = await least(SECONDS * 0.25)
  const after = await least(SECONDS * 0.5)
  expect({ wrong: tally.wrong, strange, ended: program.ended }).toEqual({ wrong: [], strange: [], ended: false })
  // Idle connections to the application close after four seconds.
  await expect.poll(() => program.sockets(), { timeout: 30_000 }).toBe(atFirst)
  await expect.poll(() => sockets.size).toBe(0)
  expect(tally.whole).toBeGreaterThan(tally.exchanges / 5)
  const figures = `${tally.exchanges} exchanges; resident memory from ${before} to ${after} MiB; ${atFirst} sockets`
  if (SECONDS >= 60) process.stderr.write(`${figures}\n`)
  expect(after - before, figures).toBeLessThan(16)
}

test.skipIf(platform() !== 'linux').each(['http', 'https'] as const)(
  `%s: ${SECONDS} seconds of everything that goes wrong (seed ${SEED}) mix up nothing and leave nothing`,
  { timeout: (SECONDS + 120) * 1000 },
  async (scheme) => {
    const application = await listenOn(APPLICATIONS[scheme])
    const to = `${scheme}://127.0.0.1:${portOf(application)}`
    const program = await startBuiltProgram(application, {}, [], {
      to,
      ...(scheme === 'https' && { tls_skip_verify: true }),
    })
    try {
      await soak(program)
    } finally {
      await program.close()
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => application.close(resolve))
    }
  },
)
