/** Whether upstreams can be reached from here: for whoever checks a configuration. */
import type { Live } from '../config/model.ts'
import type { Upstream } from '../config/route-model.ts'
import { createDeadlines } from '../lib/deadlines.ts'
import { describeDuration } from '../lib/duration.ts'
import { fingerprint } from '../lib/fingerprint.ts'
import { firstPath } from '../routing/first-path.ts'
import { rewrittenPath } from '../routing/rewrite.ts'
import { originFor } from '../routing/table.ts'
import type { Clock, Span } from '../types.ts'
import { isTls } from './address.ts'
import { connectionTo, type UpstreamConnection } from './connection.ts'
import { openClient } from './open-client.ts'
import { askHead, askWebSocket, type Probe, tcpProbe } from './probe.ts'

export type UpstreamFinding = {
  readonly upstream: string
  /** Of the first route that uses it so, `config.yaml:12:5`. */
  readonly definedAt: string
} & (
  | { readonly kind: 'answers'; readonly status: number }
  /** A connection stands, and its certificate is as the route wants it; but nothing that is HTTP comes back. */
  | { readonly kind: 'silent'; readonly problem: string }
  /** One of TLS: a certificate that is refused, ours or the upstream's. */
  | { readonly kind: 'refused'; readonly problem: string }
  /** `spare`: each of its routes has another upstream that takes connections. */
  | { readonly kind: 'unreachable'; readonly problem: string; readonly spare: boolean }
)

export interface Inspecting {
  /** For a connection, and again for an answer. */
  readonly timeout: Span
  readonly clock: Clock
  /** PEM bundle beside the system's. */
  readonly authorities?: string | undefined
}

/** Looked at at the same time. */
const PARALLEL = 16

/**
 * Opens a connection to each upstream of the routes, once for each set of TLS settings, asks `HEAD /` there, and says what is
 * wrong. Never rejects.
 */
export async function inspectUpstreams(
  { routes }: Pick<Live, 'routes'>,
  inspecting: Inspecting,
): Promise<readonly UpstreamFinding[]> {
  const looks = new Map<string, () => Promise<UpstreamFinding>>()
  /** By route. */
  const keys: (readonly string[])[] = []
  for (const { action, definedAt } of routes) {
    if (action.kind !== 'forward') continue
    const of = action.upstreams.map((upstream) => {
      const key = fingerprint([upstream.origin, isTls(upstream.origin) && action.tls])
      if (!looks.has(key)) looks.set(key, () => look(action, upstream, definedAt, inspecting))
      return key
    })
    keys.push(of)
  }
  const found = new Map(
    await inTurns(
      [...looks].map(
        ([key, one]) =>
          async () =>
            [key, await one()] as const,
      ),
    ),
  )
  const stands = (key: string): boolean => ['answers', 'silent'].includes(found.get(key)?.kind ?? '')
  const isSpare = (key: string): boolean => keys.every((of) => !of.includes(key) || of.some(stands))
  return [...found]
    .map(([key, each]) => (each.kind === 'unreachable' ? { ...each, spare: isSpare(key) } : each))
    .toSorted((a, b) => (a.upstream < b.upstream ? -1 : 1))
}

/** Some at a time, in order. */
async function inTurns<T>(tasks: readonly (() => Promise<T>)[]): Promise<readonly T[]> {
  const done: T[] = []
  const left = [...tasks.entries()]
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next; next = left.shift()) done[next[0]] = await next[1]()
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  return done
}

const connects: Probe = tcpProbe({ kind: 'tcp', send: Buffer.alloc(0), receive: [] })

async function look(
  action: Parameters<typeof connectionTo>[0],
  upstream: Upstream,
  definedAt: string,
  { timeout, clock, authorities }: Inspecting,
): Promise<UpstreamFinding> {
  const to = connectionTo(action, upstream, timeout, authorities)
  const finding = { upstream: upstream.origin, definedAt }
  const problem = await new Promise<string | undefined>((resolve) => void connects(to, resolve))
  if (problem === undefined) return { ...finding, ...(await ask(to, timeout, clock)) }
  return /certificate|TLS/.test(problem)
    ? { ...finding, kind: 'refused', problem }
    : { ...finding, kind: 'unreachable', problem, spare: false }
}

type Asked =
  | { readonly kind: 'answers'; readonly status: number }
  | { readonly kind: 'silent'; readonly problem: string }

/** On a connection of its own. */
function ask(to: UpstreamConnection, timeout: Span, clock: Clock): Promise<Asked> {
  const deadlines = createDeadlines(clock)
  return within(timeout, (done) => askHead(to, (each) => openClient(each, { clock, deadlines }), done)).finally(() =>
    deadlines.close(),
  )
}

function within(
  timeout: Span,
  begin: (done: (answer: { readonly status: number } | { readonly problem: string }) => void) => () => void,
): Promise<Asked> {
  return new Promise((resolve) => {
    const settle = (asked: Asked): void => {
      clearTimeout(timer)
      resolve(asked)
    }
    const end = begin((answer) =>
      settle('problem' in answer ? { kind: 'silent', ...answer } : { kind: 'answers', ...answer }),
    )
    const timer = setTimeout(() => {
      end()
      settle({ kind: 'silent', problem: `it did not answer within ${describeDuration(timeout)}` })
    }, timeout)
  })
}

export interface WebSocketFinding {
  /** Of the route. */
  readonly name: string
  readonly upstream: string
  readonly definedAt: string
  /** At the upstream. */
  readonly path: string
  readonly found: Asked
}

/**
 * Asks the first upstream of each route that allows WebSockets for one, at the path where the route begins, as its page would
 * without anybody's identity. Routes that begin nowhere, and upstreams of HTTP/2, are left out. Never rejects.
 */
export async function inspectWebSockets(
  { routes }: Pick<Live, 'routes'>,
  { timeout, authorities }: Inspecting,
): Promise<readonly WebSocketFinding[]> {
  const asked = routes.map(
    ({ action, match, from, name, definedAt }) =>
      async (): Promise<readonly WebSocketFinding[]> => {
        const first = firstPath(match)
        if (action.kind !== 'forward' || !action.allowWebsockets || first === undefined) return []
        const [upstream] = action.upstreams
        if (upstream.origin.startsWith('h2c:')) return []
        const to = connectionTo(action, upstream, timeout, authorities)
        const path = rewrittenPath(action.rewrite.path, first)
        const asking = {
          path,
          host: new URL(to.address.url).host,
          origin: originFor(from, from.host.replaceAll('*', 'x')),
        }
        const found = await within(timeout, (done) => askWebSocket(to, asking, done))
        return [{ name, upstream: upstream.origin, definedAt, path, found }]
      },
  )
  return (await inTurns(asked)).flat()
}
