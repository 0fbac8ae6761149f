/** The built program with one open route, for tests that look at its memory and its sockets (Linux). */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { portOf } from './world.ts'

export const main = fileURLToPath(new URL('../../dist/cmd/postern/main.js', import.meta.url))

/** A configuration that needs nobody: `open.localhost` leads to `to`, without an identity. */
export function openConfig(to: string, more: object = {}, ofRoute: object = {}): string {
  return stringify({
    authenticate_service_url: 'http://authenticate.localhost',
    address: '127.0.0.1:0',
    shared_secret: 'oQ7pRxYDbYxK2mXl1zJm3s4tq0Qe5cXwqkJYk0mB2nA=',
    idp_provider: 'oidc',
    // Nobody listens there: nothing needs the identity provider.
    idp_provider_url: 'http://localhost:9',
    idp_client_id: 'postern',
    idp_client_secret: 'a-secret-of-no-importance-1234',
    storage: { type: 'memory' },
    routes: [
      { name: 'open', from: 'http://open.localhost', to, allow_public_unauthenticated_access: true, ...ofRoute },
    ],
    ...more,
  })
}

export interface BuiltProgram {
  readonly port: number
  /** Has it ended by itself? */
  readonly ended: boolean
  /** Resident memory in MiB. */
  resident(): number
  /** Sockets that it has open, listening ones included. */
  sockets(): number
  close(): Promise<void>
}

/**
 * With `openConfig`; requests and answers may take as long as they like. @param application listens already.
 * @param options of Node.
 */
export async function startBuiltProgram(
  application: Server,
  more: object = {},
  options: readonly string[] = [],
  ofRoute: object = {},
): Promise<BuiltProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-built-'))
  const file = join(folder, 'config.yaml')
  const to = `http://127.0.0.1:${portOf(application)}`
  writeFileSync(file, openConfig(to, { client_write_timeout: '0s', ...more }, { timeout: '0s', ...ofRoute }))
  const child = spawn(process.execPath, [...options, main, 'run', '--config', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const port = await listening(child)
  const of = (path: string): string => `/proc/${child.pid}/${path}`
  return {
    port,
    get ended() {
      return child.exitCode !== null || child.signalCode !== null
    },
    resident: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(of('status'), 'utf8'))?.[1]) / 1024,
    sockets: () => readdirSync(of('fd')).filter((fd) => isSocket(of(`fd/${fd}`))).length,
    async close() {
      child.kill('SIGTERM')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      rmSync(folder, { recursive: true })
    },
  }
}

async function listening({ stdout }: ChildProcess): Promise<number> {
  if (!stdout) throw new Error('no output')
  const lines = createInterface({ input: stdout })
  return new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const { msg, address } = JSON.parse(line) as Readonly<Record<string, unknown>>
      if (msg === 'listening') resolve(Number(String(address).split(':').at(-1)))
    })
    lines.once('close', () => reject(new Error('it ended before it listened')))
  })
}

/** It may have been closed since it was listed. */
function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith('socket:')
  } catch {
    return false
  }
}
