/**
 * What an orchestrator may ask, on an address of its own. A dependency that is down makes Postern
 * *degraded*, not unready: people with sessions still work, and restarting pods would help nobody.
 */
import { createServer, type ServerResponse } from 'node:http'
import type { Address } from '../config/model.ts'
import type { Logger, WallTime } from '../types.ts'
import { isoTime } from '../lib/time.ts'
import { listenBeside, type SideListener } from './side-listener.ts'

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
  return listenBeside(
    serverOf((url) => healthAnswer(deps, url)),
    address,
    'health_check_addr',
    deps.logger,
  )
}

export function listenMetrics(
  address: Address,
  deps: Logged & { readonly text: () => Promise<string> },
): Promise<SideListener> {
  const server = serverOf(async (url) =>
    url.pathname === '/metrics'
      ? { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: await deps.text() }
      : undefined,
  )
  return listenBeside(server, address, 'metrics_address', deps.logger)
}

function serverOf(answer: (url: URL) => Promise<Answer | undefined>) {
  return createServer((req, res) => {
    const known = (req.method === 'GET' || req.method === 'HEAD') && req.url?.startsWith('/')
    void respond(known ? new URL(`http://side${req.url}`) : undefined, req.method === 'HEAD', res, answer)
  })
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
