/**
 * A process that sends requests at a fixed rate, whether they are answered or not (open loop), and prints how long each
 * answer took. Each millisecond it sends what has come due. A request that finds no free connection waits, and its time
 * counts from when it came due, so that a proxy that stands still is not asked less.
 */
import { connect, type Socket } from 'node:net'

export interface Pace {
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly connections: number
  readonly perSecond: number
  readonly seconds: number
}

export interface Paced {
  readonly requests: number
  /** Milliseconds from when a request came due to the end of its answer that 99 % do not exceed. */
  readonly p99: number
}

const { port, path, headers, connections, perSecond, seconds } = JSON.parse(process.argv[2] ?? '') as Pace
const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
const request = Buffer.from(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1')
const total = Math.round(perSecond * seconds)
const took = new Float64Array(total)
const free: Socket[] = []
const waiting: number[] = []
let due = 0
let done = 0

function send(socket: Socket, from: number): void {
  let missing = -1
  socket.write(request)
  socket.on('data', receive)

  function receive(bytes: Buffer): void {
    // The whole head comes in one piece: the upstreams of a bench answer with a few lines.
    if (missing < 0) {
      const head = bytes.indexOf('\r\n\r\n')
      const text = bytes.toString('latin1', 0, head + 2)
      const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(text)?.[1]
      if (!text.startsWith('HTTP/1.1 200 ') || length === undefined) fail(`unexpected answer: ${text.slice(0, 200)}`)
      missing = Number(length) + head + 4
    }
    missing -= bytes.length
    if (missing > 0) return
    socket.off('data', receive)
    took[done++] = performance.now() - from
    const next = waiting.shift()
    if (next === undefined) free.push(socket)
    else send(socket, next)
  }
}

function fail(why: string): never {
  console.error(why)
  process.exit(1)
}

function report(): void {
  const p99 = took.toSorted()[Math.ceil(total * 0.99) - 1] ?? Number.NaN
  console.log(JSON.stringify({ requests: total, p99 } satisfies Paced))
  process.exit(0)
}

for (let i = 0; i < connections; i++) {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  socket.on('error', (error) => fail(error.message))
  socket.on('close', () => fail('a connection was closed'))
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  free.push(socket)
}

const begin = performance.now()
const tick = setInterval(() => {
  const now = performance.now()
  for (const should = Math.min(total, Math.floor(((now - begin) / 1000) * perSecond)); due < should; due++) {
    // The connection that has rested longest, so that all are used.
    const socket = free.shift()
    if (socket) send(socket, now)
    else waiting.push(now)
  }
  if (done === total) {
    clearInterval(tick)
    report()
  }
}, 1)
