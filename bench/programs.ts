/** Child programs pinned to a core, and what they cost by the kernel's accounting. */
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { randomInt } from 'node:crypto'
import { get } from 'node:http'
import { get as getSecurely } from 'node:https'
import { createServer } from 'node:net'
import { delimiter, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The program under test has a core for itself; load and upstream share the other. */
export const UNDER_TEST = 0
export const BESIDE = 1

export interface Program {
  readonly pid: number
  /** Run time so far of all threads of the process and of its children, in seconds, by the scheduler's nanosecond counter. */
  cpu(): number
  /** Times that a thread went to sleep by itself, so far: each is one wake-up. */
  wakeUps(): number
  /** Resident memory in MiB, children included; `RssAnon`: without mapped files. */
  rss(what?: 'VmRSS' | 'RssAnon'): number
  stop(): Promise<void>
  /** SIGKILL, at once. */
  kill(): Promise<void>
}

const running = new Set<ChildProcess>()

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
    cpu: () => sumOf(threads(pid), (thread) => Number(readFileSync(`${thread}/schedstat`, 'utf8').split(' ')[0])) / 1e9,
    wakeUps: () => sumOf(threads(pid), (thread) => field(`${thread}/status`, 'voluntary_ctxt_switches')),
    rss: (what = 'VmRSS') => sumOf(processes(pid), (one) => field(`/proc/${one}/status`, what)) / 1024,
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

/** A process and its children, theirs too. */
function processes(pid: number): readonly number[] {
  const children = tasks(pid).flatMap((task) => {
    const text = attempt(() => readFileSync(`${task}/children`, 'utf8')) ?? ''
    return text.split(' ').filter(Boolean).map(Number)
  })
  return [pid, ...children.flatMap(processes)]
}

function tasks(pid: number): readonly string[] {
  const folder = `/proc/${pid}/task`
  return (attempt(() => readdirSync(folder)) ?? []).map((id) => `${folder}/${id}`)
}

const threads = (pid: number): readonly string[] => processes(pid).flatMap(tasks)

function sumOf<T>(all: readonly T[], value: (one: T) => number): number {
  return all.reduce((sum, one) => sum + (attempt(() => value(one)) ?? 0), 0)
}

/** Undefined for what ended while it was read. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

function field(file: string, name: string): number {
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${name}:`))
  return Number(/\d+/.exec(line ?? '')?.[0] ?? 0)
}

/** Several programs measured as one, such as a proxy and what it asks about each request. */
export function together(first: Program, ...others: readonly Program[]): Program {
  const all = [first, ...others]
  return {
    pid: first.pid,
    cpu: () => sumOf(all, (one) => one.cpu()),
    wakeUps: () => sumOf(all, (one) => one.wakeUps()),
    rss: (what) => sumOf(all, (one) => one.rss(what)),
    async stop() {
      await Promise.all(all.map((one) => one.stop()))
    },
    async kill() {
      await Promise.all(all.map((one) => one.kill()))
    },
  }
}

/** Where a program, or a file with its whole path, is found: the search path, administrators' folders, what scripts/bench-peers.sh installs. */
export function find(program: string): string | undefined {
  const cache = join(process.env['POSTERN_TOOLS'] ?? join(process.env['HOME'] ?? '', '.cache/postern-tools'), 'bin')
  return [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', cache]
    .map((directory) => resolve(directory, program))
    .find((file) => attempt(() => accessSync(file, constants.R_OK) ?? true))
}

/** A compiled file beside this one, run by this Node. */
export function node(file: string, ...args: readonly string[]): string[] {
  return [process.execPath, fileURLToPath(new URL(file, import.meta.url)), ...args]
}

/** Ends everything that was started, and what that started in its turn. */
export function stopAll(): void {
  for (const pid of [...running].flatMap((child) => processes(child.pid ?? -1))) {
    attempt(() => process.kill(pid, 'SIGKILL'))
  }
  running.clear()
}

/** A port below those that the kernel gives to clients, of which a load takes thousands. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000)
    const server = createServer()
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!free) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}

export interface Answer {
  readonly status: number
  readonly body: string
  readonly location: string | undefined
}

export function ask(
  port: number,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  tls = false,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // Whose certificate it is does not matter to a load.
    const options = { host: '127.0.0.1', port, path, headers, agent: false, rejectUnauthorized: false } as const
    ;(tls ? getSecurely : get)(options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          body: Buffer.concat(chunks).toString('latin1'),
          location: response.headers.location,
        }),
      )
    }).on('error', reject)
  })
}

/** Until something answers at all. */
export async function answering(port: number, path = '/', tls = false): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      await ask(port, path, {}, tls)
      return
    } catch {
      // Not listening yet.
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  throw new Error(`nothing answers on port ${port}`)
}
