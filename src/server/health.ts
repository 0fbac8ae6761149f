/**
 * What an orchestrator may ask, on an address of its own. A dependency that is down makes Postern
 * *degraded*, not unready: people with sessions still work, and restarting pods would help nobody.
 */
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Address } from '../config/model.ts'
import type { Logger, WallTime } from '../types.ts'
import { bind } from './bind.ts'
import { isoTime } from '../lib/time.ts'

export interface Component {
  readonly name: string
  readonly status: 'ok' | 'degraded' | 'failed'
  readonly since?: WallTime
  readonly detail?: string
}

export interface HealthDeps {
  /** The process serves requests; false while draining. */
  readonly ready: () => boolean
  readonly started: () => boolean
  readonly components: () => Promise<readonly Component[]>
}

interface Logged {
  readonly logger: Pick<Logger, 'error'>
}

export interface SideListener {
  readonly address: AddressInfo
  close(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** `/livez`, `/readyz`, `/startupz`, `/healthz` (as readyz); `?verbose` lists components, `?exclude=store` leaves one out. */
async function healthAnswer(deps: HealthDeps, url: URL): Promise<Answer | undefined> {
  const probe = { '/livez': () => true, '/readyz': deps.ready, '/healthz': deps.ready, '/startupz': deps.started }[
    url.pathname
  ]
  if (!probe) return undefined
  const isVerbose = url.searchParams.has('verbose')
  const isAlive = url.pathname === '/livez'
  // Whoever answers is alive; nobody else is asked.
  if (isAlive && !isVerbose) return { status: 200, type: 'text/plain; charset=utf-8', body: 'ok\n' }
  const excluded = url.searchParams.getAll('exclude').flatMap((names) => names.split(','))
  const components = (await deps.components()).filter(({ name }) => !excluded.includes(name))
  const ok = probe() && (isAlive || !components.some(({ status }) => status === 'failed'))
  const status = ok ? 200 : 503
  if (!isVerbose) return { status, type: 'text/plain; charset=utf-8', body: ok ? 'ok\n' : 'not ready\n' }
  const listed = components.map(({ since, ...component }) => ({
    ...component,
    ...(since !== undefined && { since: isoTime(since) }),
  }))
  return {
    status,
    type: 'application/json',
    body: `${JSON.stringify({ status: ok ? 'ok' : 'failed', components: listed })}\n`,
  }
}

export function listenHealth(address: Address, deps: HealthDeps & Logged): Promise<SideListener> {
  return listenBeside('health_check_addr', address, deps, (url) => healthAnswer(deps, url))
}

export function listenMetrics(
  address: Address,
  deps: Logged & { readonly text: () => Promise<string> },
): Promise<SideListener> {
  return listenBeside('metrics_address', address, deps, async (url) =>
    url.pathname === '/metrics'
      ? { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: await deps.text() }
      : undefined,
  )
}

async function listenBeside(
  key: 'health_check_addr' | 'metrics_address',
  address: Address,
  { logger }: Logged,
  answer: (url: URL) => Promise<Answer | undefined>,
): Promise<SideListener> {
  const server: Server = createServer((req, res) => {
    const known = (req.method === 'GET' || req.method === 'HEAD') && req.url?.startsWith('/')
    void respond(known ? new URL(`http://side${req.url}`) : undefined, req.method === 'HEAD', res, answer)
  })
  await bind(server, address, key)
  // Too many open files, for one: what waits in the queue is accepted later, and the process lives on.
  server.on('error', (error) =>
    logger.error({ error: 'ERR_LISTEN', error_message: error.message, key }, 'a side listener reports an error'),
  )
  return {
    address: server.address() as AddressInfo,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function respond(
  url: URL | undefined,
  headOnly: boolean,
  res: ServerResponse,
  answer: (url: URL) => Promise<Answer | undefined>,
): Promise<void> {
  let result: Answer
  try {
    result = (url && (await answer(url))) ?? { status: 404, type: 'text/plain', body: 'not found\n' }
  } catch {
    // A probe that fails says so; what failed is in the log of whoever failed.
    result = { status: 500, type: 'text/plain', body: 'failed\n' }
  }
  const { status, type, body } = result
  res.writeHead(status, {
    'content-type': type,
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(body),
  })
  res.end(headOnly ? undefined : body)
}
