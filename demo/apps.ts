import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { WebSocketServer } from 'ws'
import { every, systemClock } from '../src/lib/clock.ts'
import { appPage, type Verified } from './app-page.tsx'

export interface SampleApps {
  /** Origins on loopback, by name. */
  readonly urls: Readonly<Record<AppName, string>>
  close(): Promise<void>
}

export type AppName = 'engineering' | 'everyone'

const APPS: Readonly<Record<AppName, string>> = { engineering: 'Engineering', everyone: 'Everyone' }
const ASSERTION = 'x-postern-jwt-assertion'

/**
 * Two small applications as they would stand behind Postern. Each shows who Postern says is asking, having verified the
 * assertion against Postern's keys as a real application should. Also: `/ws` echoes (WebSocket), `/sse` counts seconds,
 * `/upload` counts bytes, `/headers` answers the request as JSON. `postern`: where the keys are asked for.
 */
export async function startSampleApps(options: {
  readonly ports: Readonly<Record<AppName, number>>
  readonly postern?: string
}): Promise<SampleApps> {
  const postern = new URL(options.postern ?? 'http://127.0.0.1:8080')
  const running = await Promise.all(
    (Object.keys(APPS) as AppName[]).map(async (name) => ({
      name,
      app: await startApp(name, options.ports[name], postern),
    })),
  )
  return {
    urls: Object.fromEntries(running.map(({ name, app }) => [name, app.url])) as Record<AppName, string>,
    async close() {
      await Promise.all(running.map(({ app }) => app.close()))
    },
  }
}

async function startApp(
  name: AppName,
  port: number,
  postern: URL,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer((req, res) => {
    answer(req, res).catch((error: unknown) => {
      if (res.headersSent) res.destroy()
      else text(res, 500, 'text/plain', String(error))
    })
  })
  const sockets = new WebSocketServer({ server, path: '/ws' })
  sockets.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  await listen(server, port)
  const address = server.address()
  const actual = typeof address === 'object' && address ? address.port : port

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = (req.url ?? '/').split('?')[0]
    if (path === '/sse') return countSeconds(res)
    if (path === '/upload' && (req.method === 'POST' || req.method === 'PUT')) return countBytes(req, res)
    if (path === '/headers') {
      const { method, url, headers } = req
      return text(res, 200, 'application/json', JSON.stringify({ app: name, method, url, headers }))
    }
    const verified = await verify(req, name, postern)
    text(res, 200, 'text/html; charset=utf-8', appPage({ title: APPS[name], req, verified }))
  }

  return {
    url: `http://127.0.0.1:${actual}`,
    close: () =>
      new Promise((resolve) => {
        for (const client of sockets.clients) client.terminate()
        sockets.close()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** The application's own name is the audience: an assertion for another application is refused. */
async function verify(req: IncomingMessage, name: AppName, postern: URL): Promise<Verified> {
  const assertion = req.headers[ASSERTION]
  if (typeof assertion !== 'string') return { kind: 'absent' }
  try {
    const keys = await fetchKeys(`${name}.localhost`, postern)
    const { payload: claims } = await jwtVerify(assertion, createLocalJWKSet(keys), {
      audience: `${name}.localhost`,
      algorithms: ['ES256', 'RS256'],
    })
    return { kind: 'genuine', claims }
  } catch (error) {
    return { kind: 'refused', why: error instanceof Error ? error.message : String(error) }
  }
}

/** By node:http: `*.localhost` need not resolve here, and fetch cannot set Host. */
function fetchKeys(host: string, postern: URL): Promise<JSONWebKeySet> {
  return new Promise((resolve, reject) => {
    const asked = request(
      new URL('/.well-known/postern/jwks.json', postern),
      { headers: { host: `${host}:${postern.port}` }, timeout: 2000 },
      (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          body += chunk
        })
        response.on('error', reject)
        response.on('end', () => {
          try {
            // createLocalJWKSet judges the shape.
            resolve(JSON.parse(body) as JSONWebKeySet)
          } catch (error) {
            reject(new Error(`no keys at ${host}`, { cause: error }))
          }
        })
      },
    )
    asked.on('timeout', () => asked.destroy(new Error(`no answer from ${postern.origin}`)))
    asked.on('error', reject)
    asked.end()
  })
}

function countSeconds(res: ServerResponse): void {
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  let count = 0
  const send = (): void => void res.write(`id: ${count}\ndata: second ${count++}\n\n`)
  send()
  res.on('close', every(systemClock, 1000, send))
}

async function countBytes(req: IncomingMessage, res: ServerResponse): Promise<void> {
  let bytes = 0
  for await (const chunk of req as AsyncIterable<Buffer>) bytes += chunk.length
  text(res, 200, 'application/json', JSON.stringify({ bytes }))
}

function text(res: ServerResponse, status: number, type: string, body: string): void {
  res.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  res.end(body)
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
}
