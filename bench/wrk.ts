import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { BESIDE } from './programs.ts'

export interface Load {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly connections: number
  readonly seconds: number
  /** Bytes of a POST body; absent: GET. */
  readonly upload?: number
}

/** Sends requests as fast as they are answered and counts them. Throws when an answer was not 2xx or a connection failed. */
export async function wrk(directory: string, { url, headers, connections, seconds, upload }: Load): Promise<number> {
  const script = `${directory}/upload-${upload ?? 0}.lua`
  if (upload !== undefined) {
    writeFileSync(script, `wrk.method = "POST"\nwrk.body = string.rep("x", ${upload})\n`)
  }
  const { stdout } = await promisify(execFile)('taskset', [
    '-c',
    String(BESIDE),
    'wrk',
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
    ...(upload === undefined ? [] : ['-s', script]),
    url,
  ])
  const wrong = /Non-2xx[^\n]*|Socket errors:[^\n]*/.exec(stdout)?.[0]
  if (wrong !== undefined) throw new Error(`${url}: ${wrong}`)
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0)
  if (requests === 0) throw new Error(`${url}: no request was answered`)
  return requests
}
