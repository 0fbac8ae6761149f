/** Two thousand idle WebSockets through the built program: what each costs in memory, that each still carries, and that none is left. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { listenOn, portOf } from '../support/world.ts'

const main = fileURLToPath(new URL('../../dist/cmd/postern/main.js', import.meta.url))
const MANY = 2000
const AT_ONCE = 32
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const HANDSHAKE = `GET / HTTP/1.1\r\nHost: app.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')

let folder: string
let upstream: Server
let postern: ChildProcess
let port: number
/** Open at the upstream. */
const tunnels = new Set<Duplex>()

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-tunnels-'))
  upstream = await listenOn(createServer())
  upstream.on('upgrade', (_, socket: Duplex) => {
    tunnels.add(socket)
    socket.on('close', () => tunnels.delete(socket)).on('error', () => {})
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n\r\n`,
    )
    socket.pipe(socket)
  })
  writeFileSync(
    join(folder, 'config.yaml'),
    `
authenticate_service_url: http://authenticate.localhost
address: 127.0.0.1:0
shared_secret: oQ7pRxYDbYxK2mXl1zJm3s4tq0Qe5cXwqkJYk0mB2nA=
idp_provider: oidc
idp_provider_url: http://127.0.0.1:9
idp_client_id: postern
idp_client_secret: a-secret-of-no-importance-1234
storage: {type: memory}
routes:
  - {from: http://app.localhost, to: http://127.0.0.1:${portOf(upstream)}, allow_public_unauthenticated_access: true}
`,
  )
  const args = ['--max-semi-space-size=4', main, 'run', '--config', join(folder, 'config.yaml')]
  postern = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  port = await new Promise<number>((resolve) => {
    let log = ''
    postern.stdout?.on('data', (piece: Buffer) => {
      log += piece.toString()
      const found = /"address":"127\.0\.0\.1:(\d+)"/.exec(log)
      if (found) resolve(Number(found[1]))
    })
  })
})
afterAll(async () => {
  postern.kill('SIGKILL')
  await once(postern, 'exit')
  for (const tunnel of tunnels) tunnel.destroy()
  upstream.close()
  rmSync(folder, { recursive: true, force: true })
})

async function openOne(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
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

/** KiB. */
function resident(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${postern.pid}/status`, 'utf8'))?.[1])
}

test('each costs little memory, still carries, and leaves nothing behind', async () => {
  // What is made once for all, and what V8 takes before it gives anything back.
  for (const socket of await openMany(500)) socket.destroy()
  await expect.poll(() => tunnels.size).toBe(0)
  const before = resident()
  const sockets = await openMany(MANY)
  expect(tunnels.size).toBe(MANY)
  const each = (resident() - before) / MANY
  process.stdout.write(`${MANY} idle WebSockets: ${each.toFixed(1)} KiB each\n`)
  expect(each).toBeLessThan(24)

  const answers = sockets.map(async (socket) => String((await once(socket, 'data'))[0]))
  for (const [i, socket] of sockets.entries()) socket.write(`hello ${i}`)
  expect(await Promise.all(answers)).toEqual(sockets.map((_, i) => `hello ${i}`))

  for (const socket of sockets) socket.destroy()
  await expect.poll(() => tunnels.size).toBe(0)
})
