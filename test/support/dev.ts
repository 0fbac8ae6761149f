/** `postern dev`, as a program. Tests only. */
import { spawn } from 'node:child_process'
import { freePort } from '../../e2e/browser/demo.ts'
import { main } from './built-program.ts'
import type { Received } from './echo.ts'

export interface Dev {
  readonly pid: number
  readonly port: number
  /** Origins. */
  readonly app: string
  readonly people: string
  readonly authenticate: string
  /** Everything printed so far. */
  output(): string
  /** Its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** Resolves when it says that it serves. `by`: another Node and another program than those of this checkout. */
export async function startDev(
  to: string,
  args: readonly string[] = [],
  cwd?: string,
  by: { readonly node: string; readonly main: string } = { node: process.execPath, main },
): Promise<Dev> {
  const port = await freePort()
  const child = spawn(by.node, [by.main, 'dev', '--to', to, '--port', String(port), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
  })
  let output = ''
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
        if (output.includes('Ctrl-C ends everything')) resolve()
      })
    }
    void ended.then(() => reject(new Error(`it ended before it served:\n${output}`)))
  })
  const at = (host: string): string => `http://${host}.localhost:${port}`
  return {
    pid: child.pid ?? 0,
    port,
    app: at('app'),
    people: at('people'),
    authenticate: at('authenticate'),
    output: () => output,
    stop(signal = 'SIGTERM') {
      child.kill(signal)
      return ended
    },
  }
}

/** An application that shows, as JSON, the headers that it gets. For `createEcho`. */
export function mirror({ headers }: Received): string {
  const body = JSON.stringify({
    headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
  })
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}
