/** Bodies pass through the built program in whatever length, at the pace of the slower side, and none of them stays in its memory. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { platform } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BuiltProgram, startBuiltProgram } from '../support/built-program.ts'
import { listenOn } from '../support/world.ts'

const MIB = 1024 * 1024
const PIECE = Buffer.alloc(256 * 1024, 'x')

/** `GET /N`: an answer of N bytes. `POST /`: reads the request to its end, slowly, and counts it. */
const application = createServer((socket) => {
  socket.on('error', () => {})
  socket.once('data', (first: Buffer) => {
    const [, method, length] = /^(\w+) \/(\d*)/.exec(first.toString('latin1')) ?? []
    if (method === 'GET') {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n`)
      send(socket, Number(length))
      return
    }
    const total = Number(/content-length: (\d+)/i.exec(first.toString('latin1'))?.[1])
    let got = first.length - first.indexOf('\r\n\r\n') - 4
    const end = (): void => void socket.end(`HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nread`)
    if (got === total) return end()
    slowly(socket, (piece) => {
      got += piece.length
      if (got === total) end()
    })
  })
})

let program: BuiltProgram
beforeAll(async () => {
  program = await startBuiltProgram(await listenOn(application))
})
afterAll(async () => {
  await program.close()
  await new Promise((resolve) => application.close(resolve))
})

/** Writes as fast as it is taken. */
function send(socket: Socket, length: number): void {
  let left = length
  const more = (): void => {
    while (left > 0) {
      const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE
      left -= piece.length
      if (!socket.write(piece)) return void socket.once('drain', more)
    }
  }
  more()
}

/** Reads a MiB, then nothing until everything else has had its turn, so that every buffer on the way is full again and again. */
function slowly(socket: Socket, took: (piece: Buffer) => void): void {
  let since = 0
  socket.on('data', (piece: Buffer) => {
    took(piece)
    since += piece.length
    if (since < MIB) return
    since = 0
    socket.pause()
    setTimeout(() => socket.resume(), 1)
  })
}

/** Sends one request and takes `expected` bytes behind the head of the answer. */
async function exchange(head: string, upload: number, expected: number): Promise<void> {
  const socket = connect(program.port, '127.0.0.1')
  socket.write(`${head}\r\nHost: open.localhost\r\nConnection: close\r\n\r\n`)
  send(socket, upload)
  let got = 0
  let isBody = false
  // The head comes whole, and perhaps alone.
  slowly(socket, (piece) => {
    got += isBody ? piece.length : piece.length - piece.indexOf('\r\n\r\n') - 4
    isBody = true
  })
  await once(socket, 'close')
  expect(got).toBe(expected)
}

/** The most that was resident during the work. */
async function most(work: Promise<void>): Promise<number> {
  const samples = [program.resident()]
  const watching = setInterval(() => samples.push(program.resident()), 50)
  await work.finally(() => clearInterval(watching))
  return Math.max(...samples)
}

test.skipIf(platform() !== 'linux').each([
  ['an answer', 'reader', (bytes: number) => exchange(`GET /${bytes} HTTP/1.1`, 0, bytes)],
  ['an upload', 'application', (bytes: number) => exchange(`POST / HTTP/1.1\r\nContent-Length: ${bytes}`, bytes, 4)],
] as const)('%s of a gigabyte with a slow %s grows nothing', { retry: 2 }, async (_, __, run) => {
  // Until the heap has its size. What other programs do to the machine shows, too: hence another try.
  const before = await most(run(256 * MIB))
  const total = Number(process.env['STEADY_MEMORY_MIB'] ?? 1024)
  const after = await most(run(total * MIB))
  expect(after - before, `from ${before} to ${after} MiB`).toBeLessThan(8)
})
