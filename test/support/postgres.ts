import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import type { PostgresConfig } from '../../src/config/storage-model.ts'
import { freePort } from './pebble.ts'

export interface Postgres {
  readonly port: number
  readonly folder: string
  /** Stands still, with all connections open, until `resume`. */
  pause(): void
  resume(): void
  /** As `kill -9` of the server and of all its processes. */
  kill(): Promise<void>
  /** On the same port, with what is on disk. */
  start(): Promise<void>
  /** In its database. */
  run(sql: string): string
  close(): Promise<void>
}

/** Debian keeps the programs of each version in a folder of its own. */
function folderOf(program: string): string | undefined {
  const root = '/usr/lib/postgresql'
  const folders = existsSync(root) ? readdirSync(root).map((version) => join(root, version, 'bin')) : []
  return [...folders, ...(process.env['PATH'] ?? '').split(':')].find((folder) => existsSync(join(folder, program)))
}

const programs = folderOf('initdb')
export const hasPostgres = programs !== undefined

/** PostgreSQL refuses to run as root. */
function asNobody(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8', timeout: 60_000 }))
  return { uid: id('-u'), gid: id('-g') }
}

/** A real PostgreSQL on 127.0.0.1, for one suite. `args`: more settings, `-c name=value`; `tls`: PEM. */
export async function startPostgres(
  args: readonly string[] = [],
  tls?: { readonly certificate: string; readonly key: string },
): Promise<Postgres> {
  if (programs === undefined) throw new Error('apt-get install postgresql')
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'postern-postgres-'))
  chmodSync(folder, 0o777)
  const data = join(folder, 'data')
  const options = { ...asNobody(), cwd: folder, env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' } }
  const auth = ['--auth=trust', '--username=postern', '--no-sync', '--encoding=UTF8']
  execFileSync(join(programs, 'initdb'), ['-D', data, ...auth], { ...options, stdio: 'pipe', timeout: 60_000 })
  const settings = [...args]
  if (tls) {
    const [certificate, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
    writeFileSync(certificate, tls.certificate)
    writeFileSync(key, tls.key, { mode: 0o600 })
    if (options.uid !== undefined) chownSync(key, options.uid, options.gid ?? 0)
    settings.push('-c', 'ssl=on', '-c', `ssl_cert_file=${certificate}`, '-c', `ssl_key_file=${key}`)
  }
  let server: ChildProcess | undefined

  /** Processes of one that was killed may hold its memory for a moment, and then the next one does not start. */
  async function start(): Promise<void> {
    // Hooks may not use expect.poll.
    await vi.waitFor(startOnce, { timeout: 60_000, interval: 100 })
  }

  async function startOnce(): Promise<void> {
    const plain = ['-D', data, '-p', `${port}`, '-h', '127.0.0.1', '-k', folder, '-c', 'fsync=off']
    const started = spawn(join(programs ?? '', 'postgres'), [...plain, ...settings], {
      ...options,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    server = started
    let output = ''
    await new Promise<void>((resolve, reject) => {
      started.stderr.setEncoding('utf8').on('data', (text: string) => {
        output += text
        if (output.includes('ready to accept connections')) resolve()
      })
      started.once('exit', () => reject(new Error(`postgres ended: ${output}`)))
    })
  }

  /** The server and its processes, which are in groups of their own. */
  function signal(name: NodeJS.Signals): void {
    const pid = server?.pid
    if (pid === undefined) return
    const children = spawnSync('pgrep', ['-P', `${pid}`], { encoding: 'utf8', timeout: 60_000 })
      .stdout.split('\n')
      .filter(Boolean)
    for (const each of [pid, ...children.map(Number)]) {
      try {
        process.kill(each, name)
      } catch {
        // It has just ended.
      }
    }
  }

  async function kill(): Promise<void> {
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const ended = once(server, 'exit')
    signal('SIGKILL')
    await ended
  }

  process.once('exit', () => signal('SIGKILL'))
  await start()
  return {
    port,
    folder,
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    kill,
    start,
    run: (sql) =>
      execFileSync('psql', ['-h', '127.0.0.1', '-p', `${port}`, '-U', 'postern', '-d', 'postgres', '-Atqc', sql], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: 60_000,
      }).trim(),
    async close() {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

let prefixes = 0

/** Rows of its own for each test. */
export function postgresConfig(port: number, more: Partial<PostgresConfig> = {}): PostgresConfig {
  return {
    kind: 'postgres',
    node: { host: '127.0.0.1', port },
    credentials: { username: 'postern' },
    database: 'postgres',
    prefix: `test-${prefixes++}`,
    ...more,
  }
}
