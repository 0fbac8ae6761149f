/** Bodies pass through the built program in whatever length, at the pace of the slower side, and none of them stays in its memory. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { stringify } from 'yaml'

const main = fileURLToPath(new URL('../../dist/cmd/postern/main.js', import.meta.url))
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

let folder: string
let program: ChildProcess
let port: number

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-memory-'))
  application.listen(0, '127.0.0.1')
  await once(application, 'listening')
  const address = application.address()
  const file = join(folder, 'config.yaml')
  writeFileSync(
    file,
    stringify({
      authenticate_service_url: 'http://authenticate.localhost',
      address: '127.0.0.1:0',
      shared_secret: 'oQ7pRxYDbYxK2mXl1zJm3s4tq0Qe5cXwqkJYk0mB2nA=',
      idp_provider: 'oidc',
      // Nobody listens there: nothing below needs the identity provider.
      idp_provider_url: 'http://localhost:9',
      idp_client_id: 'postern',
      idp_client_secret: 'a-secret-of-no-importance-1234',
      storage: { type: 'memory' },
      client_write_timeout: '0s',
      routes: [
        {
          from: 'http://open.localhost',
          to: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
          timeout: '0s',
          allow_public_unauthenticated_access: true,
        },
      ],
    }),
  )
  program = spawn(process.execPath, [main, 'run', '--config', file], { stdio: ['ignore', 'pipe', 'inherit'] })
  if (!program.stdout) throw new Error('no output')
  for await (const line of createInterface({ input: program.stdout })) {
    const { msg, address: at } = JSON.parse(line) as Readonly<Record<string, unknown>>
    if (msg !== 'listening') continue
    port = Number(String(at).split(':').at(-1))
    break
  }
  program.stdout.resume()
})

afterAll(async () => {
  program.kill('SIGTERM')
  if (program.exitCode === null) await once(program, 'exit')
  await new Promise((resolve) => application.close(resolve))
  rmSync(folder, { recursive: true })
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

/** Resident memory of the program, in MiB. */
function resident(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${program.pid}/status`, 'utf8'))?.[1]) / 1024
}

/** Sends one request and takes `expected` bytes behind the head of the answer. */
async function exchange(head: string, upload: number, expected: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`${head}\r\nHost: open.localhost\r\nConnection: close\r\n\r\n`)
  send(socket, upload)
  let got = 0
  slowly(socket, (piece) => {
    got += got === 0 ? piece.length - piece.indexOf('\r\n\r\n') - 4 : piece.length
  })
  await once(socket, 'close')
  expect(got).toBe(expected)
}

/** The most that was resident during the work. */
async function most(work: Promise<void>): Promise<number> {
  const samples = [resident()]
  const watching = setInterval(() => samples.push(resident()), 50)
  await work.finally(() => clearInterval(watching))
  return Math.max(...samples)
}

test.skipIf(platform() !== 'linux').each([
  ['an answer', 'reader', (bytes: number) => exchange(`GET /${bytes} HTTP/1.1`, 0, bytes)],
  ['an upload', 'application', (bytes: number) => exchange(`POST / HTTP/1.1\r\nContent-Length: ${bytes}`, bytes, 4)],
] as const)('%s of a gigabyte with a slow %s grows nothing', async (_, __, run) => {
  // Until the heap has its size.
  const before = await most(run(256 * MIB))
  const total = Number(process.env['STEADY_MEMORY_MIB'] ?? 1024)
  const after = await most(run(total * MIB))
  expect(after - before, `from ${before} to ${after} MiB`).toBeLessThan(8)
})
