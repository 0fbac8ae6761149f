import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { BESIDE } from './programs.ts'

export interface Load {
  /** Of what is under load, for messages. */
  readonly name: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly connections: number
  readonly seconds: number
  /** It may close a connection now and then that a request is on its way to (RFC 9112 §9.6). */
  readonly closes?: boolean
  /** The status that every answer must have. */
  readonly status: number
  /** Bytes of a POST body; absent: GET. */
  readonly upload?: number
  /** One after the other, in the place of that of `headers`. */
  readonly cookies?: readonly string[]
  /** One after the other, in the place of that of `url`. */
  readonly paths?: readonly string[]
}

/** Sends requests as fast as they are answered and counts them. Throws when an answer had another status or connections fail. */
export async function wrk(directory: string, load: Load): Promise<number> {
  // On a machine that is busy with something else a second may pass without a whole answer.
  for (let { seconds } = load; seconds < 60; seconds *= 2) {
    const requests = await once(directory, { ...load, seconds })
    if (requests > 0) return requests
  }
  throw new Error(`${load.name}, ${load.url}: no request was answered`)
}

/** What wrk does beside plain GETs is told by a script in Lua. */
function script({ upload, cookies, paths }: Load): string | undefined {
  if (upload !== undefined) return `wrk.method = "POST"\nwrk.body = string.rep("x", ${upload})\n`
  if (paths !== undefined) {
    return `local paths = {${paths.map((path) => JSON.stringify(path)).join(',')}}
local i = 0
request = function()
  i = i % #paths + 1
  return wrk.format(nil, paths[i])
end
`
  }
  if (cookies === undefined) return undefined
  return `local cookies = {${cookies.map((cookie) => JSON.stringify(cookie)).join(',')}}
local i = 0
request = function()
  i = i % #cookies + 1
  wrk.headers["Cookie"] = cookies[i]
  return wrk.format()
end
`
}

async function once(directory: string, load: Load): Promise<number> {
  const { name, url, headers, connections, seconds, status } = load
  const lua = script(load)
  const file = `${directory}/wrk.lua`
  if (lua !== undefined) writeFileSync(file, lua)
  const { stdout } = await promisify(execFile)('taskset', [
    '-c',
    String(BESIDE),
    'wrk',
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    // A busy machine is slow, not wrong.
    '--timeout=60s',
    ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
    ...(lua === undefined ? [] : ['-s', file]),
    url,
  ])
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0)
  const failed = /Socket errors:[^\n]*/.exec(stdout)?.[0] ?? ''
  const failures = [...failed.matchAll(/\d+/g)].reduce((sum, [count]) => sum + Number(count), 0)
  if (failures > (load.closes ? requests / 50 : 0)) throw new Error(`${name}, ${url}: ${requests} requests, ${failed}`)
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0)
  if (refused !== (status >= 400 ? requests : 0)) {
    throw new Error(`${name}, ${url}: ${refused} of ${requests} answers were errors; ${status} was expected`)
  }
  return requests
}
