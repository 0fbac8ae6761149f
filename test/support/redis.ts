import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import type { RedisConfig } from '../../src/config/storage-model.ts'
import { freePort } from './pebble.ts'

export interface Redis {
  readonly port: number
  readonly folder: string
  /** Stands still, with all connections open, until `resume`. */
  pause(): void
  resume(): void
  /** As `kill -9`. */
  kill(): Promise<void>
  /** On the same port: after `kill`, with what is on disk, if anything is. */
  start(): Promise<void>
  close(): Promise<void>
}

/** A real redis-server on 127.0.0.1 that keeps nothing on disk, unless `args` say so. `within`: words before it. */
export async function startRedis(
  args: readonly string[] = [],
  port?: number,
  within: readonly string[] = [],
): Promise<Redis> {
  const at = port ?? (await freePort())
  const folder = mkdtempSync(join(tmpdir(), 'postern-redis-'))
  let server: ChildProcess | undefined

  async function start(): Promise<void> {
    const plain = ['--bind', '127.0.0.1', '--port', `${at}`, '--dir', folder, '--save', '', '--appendonly', 'no']
    // A configuration file comes first, or not at all.
    const ordered = args[0]?.startsWith('/') ? [args[0], ...plain, ...args.slice(1)] : [...plain, ...args]
    const [command = '', ...words] = [...within, 'redis-server', ...ordered]
    const started = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [started.stdout, started.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    server = started
    // Hooks may not use expect.poll.
    await vi.waitFor(
      () => {
        if (started.exitCode !== null) throw new Error(`redis-server ended: ${output}`)
        if (!/Ready to accept connections|Running mode=sentinel/.test(output))
          throw new Error('redis-server does not listen yet')
      },
      { timeout: 60_000, interval: 10 },
    )
  }

  async function kill(): Promise<void> {
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const ended = once(server, 'exit')
    server.kill('SIGKILL')
    await ended
  }

  await start()
  return {
    port: at,
    folder,
    pause: () => void server?.kill('SIGSTOP'),
    resume: () => void server?.kill('SIGCONT'),
    kill,
    start,
    async close() {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

let prefixes = 0

/** Keys of its own for each test. */
export function redisConfig(port: number, more: Partial<RedisConfig> = {}): RedisConfig {
  return {
    kind: 'redis',
    place: { kind: 'single', node: { host: '127.0.0.1', port } },
    credentials: {},
    database: 0,
    prefix: `test-${prefixes++}`,
    ...more,
  }
}

/** One command to a server, over a connection of its own; the reply as it is on the wire. */
export async function askRedis(port: number, ...command: readonly string[]): Promise<string> {
  const socket = createConnection(port, '127.0.0.1')
  socket.setEncoding('utf8')
  socket.write(`*${command.length}\r\n${command.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`)
  let reply = ''
  socket.on('data', (text: string) => (reply += text))
  await vi.waitFor(() => {
    if (!reply.endsWith('\r\n')) throw new Error('there is no reply yet')
  })
  socket.destroy()
  return reply
}
