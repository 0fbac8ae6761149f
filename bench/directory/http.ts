import { Agent, request } from 'node:http'

export interface Call {
  readonly port: number
  readonly path: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Answer {
  readonly status: number
  readonly body: string
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

/** One request on a kept connection to a port of this machine. */
export function call({ port, path, method = 'GET', headers = {}, body }: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const asked = request({ host: '127.0.0.1', port, path, method, headers: { ...headers, ...length }, agent })
    asked.on('error', reject)
    asked.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      )
    })
    asked.end(body)
  })
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)))
}

/** Asks again and again; throws when it takes longer than `timeout`. */
export async function until(holds: () => Promise<boolean>, timeout: number, what: string, pause = 50): Promise<void> {
  const end = performance.now() + timeout
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`gave up waiting for ${what} after ${timeout} ms`)
    await sleep(pause)
  }
}

/** All of `items`, at most `parallel` at once. */
export async function each<T>(items: readonly T[], parallel: number, run: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values()
  const work = async (): Promise<void> => {
    for (const item of rest) await run(item)
  }
  await Promise.all(Array.from({ length: parallel }, work))
}
