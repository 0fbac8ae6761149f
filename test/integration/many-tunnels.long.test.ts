/** Two thousand idle WebSockets through the built program: what each costs in memory, that each still carries, and that none is left. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BuiltProgram, startBuiltProgram } from '../support/built-program.ts'
import { listenOn } from '../support/world.ts'

const MANY = 2000
const AT_ONCE = 32
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const HANDSHAKE = `GET / HTTP/1.1\r\nHost: open.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')

let upstream: Server
let program: BuiltProgram
/** Open at the upstream. */
const tunnels = new Set<Duplex>()

beforeAll(async () => {
  upstream = await listenOn(createServer())
  upstream.on('upgrade', (_, socket: Duplex) => {
    tunnels.add(socket)
    socket.on('close', () => tunnels.delete(socket)).on('error', () => {})
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n\r\n`,
    )
    socket.pipe(socket)
  })
  program = await startBuiltProgram(upstream, {}, ['--max-semi-space-size=4'])
})
afterAll(async () => {
  await program.close()
  for (const tunnel of tunnels) tunnel.destroy()
  upstream.close()
})

async function openOne(): Promise<Socket> {
  const socket = connect(program.port, '127.0.0.1').on('error', () => {})
  socket.write(HANDSHAKE)
  let head = ''
  for await (const piece of socket.iterator({ destroyOnReturn: false })) {
    head += String(piece)
    if (head.includes('\r\n\r\n')) break
  }
  expect(head).toMatch(/^HTTP\/1\.1 101 /)
  return socket
}

async function openMany(count: number): Promise<readonly Socket[]> {
  const opened: Socket[] = []
  const one = async (): Promise<void> => {
    while (opened.length + AT_ONCE <= count) opened.push(await openOne())
  }
  await Promise.all(Array.from({ length: AT_ONCE }, one))
  while (opened.length < count) opened.push(await openOne())
  return opened
}

test('each costs little memory, still carries, and leaves nothing behind', async () => {
  // What is made once for all, and what V8 takes before it gives anything back.
  for (const socket of await openMany(500)) socket.destroy()
  await expect.poll(() => tunnels.size).toBe(0)
  const before = program.resident()
  const sockets = await openMany(MANY)
  expect(tunnels.size).toBe(MANY)
  const each = ((program.resident() - before) * 1024) / MANY
  process.stdout.write(`${MANY} idle WebSockets: ${each.toFixed(1)} KiB each\n`)
  expect(each).toBeLessThan(24)

  const answers = sockets.map(async (socket) => String((await once(socket, 'data'))[0]))
  for (const [i, socket] of sockets.entries()) socket.write(`hello ${i}`)
  expect(await Promise.all(answers)).toEqual(sockets.map((_, i) => `hello ${i}`))

  for (const socket of sockets) socket.destroy()
  await expect.poll(() => tunnels.size).toBe(0)
})
