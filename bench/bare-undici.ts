/** The floor: node:http in front of `Pool.dispatch`, streaming, without authorization, and with no header added or removed beyond framing. */
import { createServer, type ServerResponse } from 'node:http'
import { type Dispatcher, Pool } from 'undici'

const [port, upstream = ''] = process.argv.slice(2)
const pool = new Pool(upstream, { headersTimeout: 0, bodyTimeout: 0 })
const NOT_PASSED = new Set(['host', 'connection', 'keep-alive', 'transfer-encoding', 'expect', 'upgrade'])

class Passing implements Dispatcher.DispatchHandler {
  private readonly res: ServerResponse

  constructor(res: ServerResponse) {
    this.res = res
  }

  // undici takes a handler for a new-style one by this method.
  onRequestStart(): void {}

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const raw = (controller.rawHeaders ?? []) as Buffer[]
    const headers: string[] = []
    for (let i = 0; i < raw.length; i += 2) {
      const name = (raw[i] as Buffer).toString('latin1')
      if (!NOT_PASSED.has(name.toLowerCase())) headers.push(name, (raw[i + 1] as Buffer).toString('latin1'))
    }
    this.res.writeHead(status, headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.res.write(chunk)) return
    controller.pause()
    this.res.once('drain', () => controller.resume())
  }

  onResponseEnd(): void {
    this.res.end()
  }

  onResponseError(): void {
    this.res.destroy()
  }
}

createServer((req, res) => {
  const headers: string[] = []
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i] as string
    if (!NOT_PASSED.has(name.toLowerCase())) headers.push(name, req.rawHeaders[i + 1] as string)
  }
  const body = req.headers['content-length'] === undefined ? null : req
  pool.dispatch({ method: req.method as Dispatcher.HttpMethod, path: req.url ?? '/', headers, body }, new Passing(res))
}).listen(Number(port), '127.0.0.1')
