/** `postern run` as an operator starts it: the compiled program in a process of its own. Tests only. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Backend } from './balancer.ts'

/** Another build than `npm run build` makes may be named in the environment. */
const main = join(
  process.env['POSTERN_DIST'] ?? fileURLToPath(new URL('../../dist', import.meta.url)),
  'cmd/postern/main.js',
)

export interface Program extends Backend {
  readonly pid: number
  /** Path of its configuration. */
  readonly config: string
  /** Of `metrics_address`; NaN without. */
  readonly metricsPort: number
  log(): readonly Readonly<Record<string, unknown>>[]
  /** Exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>
  /** Asks it to drain and end, as a rolling restart does. */
  stop(): Promise<number | null>
  /** `kill -9`. */
  kill(): Promise<void>
}

export interface ProgramOptions {
  readonly config: string
  /** Words before the program: what it runs in (`ip netns exec …`). */
  readonly within?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** Resolves when it listens. Rejects, with what it said, when it ends before. */
export async function startProgram({ config, within = [], env = {} }: ProgramOptions): Promise<Program> {
  if (!existsSync(main)) throw new Error(`${main} is missing: run \`npm run build\` first, or all of \`npm test\``)
  const [command, ...args] = [...within, process.execPath, main, 'run', '--config', config]
  const child: ChildProcess = spawn(command, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // Whatever ends the tests ends it, too.
  const abandon = (): void => void child.kill('SIGKILL')
  process.once('exit', abandon)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text))
  const ended = once(child, 'close').then(([code]) => {
    process.off('exit', abandon)
    return code as number | null
  })
  const log = (): readonly Readonly<Record<string, unknown>>[] => output.split('\n').flatMap(parsed)
  const said = (message: string) => log().find(({ msg }) => msg === message)

  const over = ended.then(() => 'over' as const)
  while (!said('listening') || !said('side listeners')) {
    const next = await Promise.race([over, new Promise((resolve) => setTimeout(resolve, 20))])
    if (next === 'over') throw new Error(`postern ended with ${await ended}: ${output}`)
  }
  return {
    pid: child.pid ?? 0,
    config,
    metricsPort: portIn(said('side listeners')?.['metrics']),
    port: portIn(said('listening')?.['address']),
    healthPort: portIn(said('side listeners')?.['health']),
    log,
    ended,
    stop() {
      child.kill('SIGTERM')
      return ended
    },
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

function portIn(address: unknown): number {
  return Number(String(address).replace(/^.*:/, ''))
}

/** Lines that the program prints for people are none of the log. */
function parsed(line: string): readonly Readonly<Record<string, unknown>>[] {
  if (!line.startsWith('{') || !line.endsWith('}')) return []
  return [JSON.parse(line) as Readonly<Record<string, unknown>>]
}
