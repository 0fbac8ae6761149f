/** Runs applications and clients as processes of their own. Tests only. */
import { spawn } from 'node:child_process'
import { connect } from 'node:net'

export interface Running {
  /** Everything printed so far. */
  output(): string
  close(): Promise<void>
}

export interface Ran {
  readonly code: number | null
  /** Of both streams. */
  readonly output: string
}

export interface Surroundings {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Starts a server and waits until `port` of 127.0.0.1 accepts. */
export async function startServer(
  [program, ...args]: readonly [string, ...string[]],
  port: number,
  { cwd, env = {} }: Surroundings = {},
): Promise<Running> {
  const child = spawn(program, args, {
    // A process group of its own: it may start others, and they must be gone afterwards.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...(cwd !== undefined && { cwd }),
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  let over = false
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => ((output += String(error)), (over = true), resolve()))
    child.once('close', () => ((over = true), resolve()))
  })
  const kill = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // Nobody of that group is left.
    }
  }
  process.once('exit', kill)
  const close = async (): Promise<void> => {
    kill()
    await ended
    process.off('exit', kill)
  }
  for (let attempt = 0; attempt < 900; attempt++) {
    if (over) break
    if (await accepts(port)) return { output: () => output, close }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await close()
  throw new Error(`${program} ${over ? 'ended' : 'does not listen'}:\n${output}`)
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('connect', () => (socket.destroy(), resolve(true)))
    socket.on('error', () => resolve(false))
  })
}

/** Runs a client to its end. */
export function run(
  [program, ...args]: readonly [string, ...string[]],
  { cwd, env = {} }: Surroundings = {},
): Promise<Ran> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 110_000,
    env: { ...process.env, ...env },
    ...(cwd !== undefined && { cwd }),
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}
