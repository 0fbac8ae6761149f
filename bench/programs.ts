/** Child programs pinned to a core, and what they cost by the kernel's accounting. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

/** The program under test has a core for itself; load and upstream share the other. */
export const UNDER_TEST = 0
export const BESIDE = 1

export interface Program {
  readonly pid: number
  /** User and system time so far, all threads, in seconds. */
  cpu(): number
  /** Resident memory in MiB; `RssAnon`: without mapped files. */
  rss(what?: 'VmRSS' | 'RssAnon'): number
  stop(): Promise<void>
  /** SIGKILL, at once. */
  kill(): Promise<void>
}

const running = new Set<ChildProcess>()
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** Starts `command` on one core. Its output goes nowhere; what it writes to stderr is shown when it ends by itself. */
export function start(core: number, command: readonly string[]): Program {
  const child = spawn('taskset', ['-c', String(core), ...command], { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors = `${errors}${chunk.toString()}`.slice(-4000)))
  running.add(child)
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.once('exit', (code) => {
    if (running.delete(child)) console.error(`${command.join(' ')} ended with ${code}\n${errors}`)
  })
  // taskset replaces itself, so the child is the program.
  const pid = child.pid
  if (pid === undefined) throw new Error(`cannot start ${command[0]}`)
  return {
    pid,
    cpu() {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // Fields 14 and 15 (proc(5)); the second is in brackets and may hold blanks.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
    },
    rss(what = 'VmRSS') {
      const line = readFileSync(`/proc/${pid}/status`, 'utf8')
        .split('\n')
        .find((each) => each.startsWith(`${what}:`))
      return Number(/\d+/.exec(line ?? '')?.[0] ?? 0) / 1024
    },
    async stop() {
      if (!running.delete(child)) return
      child.kill('SIGTERM')
      const force = setTimeout(() => child.kill('SIGKILL'), 5000)
      await ended
      clearTimeout(force)
    },
    async kill() {
      running.delete(child)
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** A compiled file beside this one, run by this Node. */
export function node(file: string, ...args: readonly string[]): string[] {
  return [process.execPath, fileURLToPath(new URL(file, import.meta.url)), ...args]
}

export function stopAll(): void {
  for (const child of running) child.kill('SIGKILL')
  running.clear()
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export interface Answer {
  readonly status: number
  readonly body: string
}

export function ask(port: number, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('latin1') }),
      )
    }).on('error', reject)
  })
}

/** Until something answers at all. */
export async function answering(port: number, path = '/'): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      await ask(port, path)
      return
    } catch {
      // Not listening yet.
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  throw new Error(`nothing answers on port ${port}`)
}
