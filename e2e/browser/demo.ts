/** Runs the demo as a user does: the compiled program in processes of its own. Tests only. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Another build than `npm run build` makes may be named in the environment. */
const main = join(process.env['POSTERN_DIST'] ?? fileURLToPath(new URL('../../dist', import.meta.url)), 'demo/main.js')

/** A process and all that it has started. */
export interface Program {
  /** Everything printed so far. */
  output(): string
  readonly pid: number
  /** Exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>
  /** Whether it, or anything that it has started, still runs. */
  alive(): boolean
  /** As a terminal does: to every process at once; `first`: to the one that was started alone. */
  interrupt(to?: 'all' | 'first'): void
  close(): Promise<void>
}

/** A demo that has said that it is ready. Origins without a slash at the end. */
export interface Demo extends Program {
  readonly engineering: string
  readonly everyone: string
  readonly authenticate: string
  readonly okta: string
  readonly port: number
  /** What an Okta admin does: `act('status', { user: 'alice@example.com', status: 'SUSPENDED' })`. */
  act(name: string, fields?: Readonly<Record<string, unknown>>): Promise<void>
}

/** `command`: what starts it, which takes the arguments. */
export function runDemo(
  args: readonly string[],
  [command, ...first]: readonly [string, ...string[]] = [process.execPath, main],
): Program {
  if (!existsSync(main)) throw new Error(`${main} is missing: run \`npm run build\` first, or all of \`npm test\``)
  const state = mkdtempSync(join(tmpdir(), 'postern-demo-'))
  const child = spawn(command, [...first, '--state', state, ...args], {
    // A process group of its own: what a terminal interrupts, and what must be gone afterwards.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code))
  })
  const pid = child.pid ?? 0
  const group = (signal: 'SIGINT' | 'SIGKILL' | 0): boolean => {
    try {
      return process.kill(-pid, signal)
    } catch {
      return false // Nobody of that group is left.
    }
  }
  const abandon = (): void => void group('SIGKILL')
  process.once('exit', abandon)
  return {
    output: () => output,
    pid,
    ended,
    alive: () => group(0),
    interrupt: (to = 'all') => void (to === 'all' ? group('SIGINT') : child.kill('SIGINT')),
    async close() {
      group('SIGKILL')
      await ended
      process.off('exit', abandon)
      rmSync(state, { recursive: true, force: true })
    },
  }
}

export async function startDemo(options: { readonly refreshInterval?: string } = {}): Promise<Demo> {
  const port = await freePort()
  const ports = ['--port', String(port), '--okta-port', '0', '--engineering-port', '0', '--everyone-port', '0']
  const program = runDemo([...ports, '--refresh-interval', options.refreshInterval ?? '60s'])
  try {
    await until(() => program.output().includes('Ctrl-C ends everything.'), program)
  } catch (error) {
    await program.close()
    throw error
  }
  const okta = /http:\/\/localhost:\d+/.exec(program.output())?.[0] ?? ''
  return {
    ...program,
    engineering: `http://engineering.localhost:${port}`,
    everyone: `http://everyone.localhost:${port}`,
    authenticate: `http://authenticate.localhost:${port}`,
    okta,
    port,
    async act(name, fields = {}) {
      const answer = await fetch(`${okta}/control/${name}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(fields),
      })
      if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`)
    },
  }
}

/** A port that nobody listened on a moment ago: redirect URIs are fixed before Postern listens. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function until(condition: () => boolean, program: Program): Promise<void> {
  let over = false
  void program.ended.then(() => (over = true))
  for (let attempt = 0; attempt < 900; attempt++) {
    if (condition()) return
    if (over) break
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`the demo ${over ? 'ended' : 'is not ready'}:\n${program.output()}`)
}
