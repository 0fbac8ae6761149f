/** Whether upstreams can be reached from here: for whoever checks a configuration. */
import type { Live } from '../config/model.ts'
import type { Upstream } from '../config/route-model.ts'
import { fingerprint } from '../lib/fingerprint.ts'
import type { Span } from '../types.ts'
import { isTls } from './address.ts'
import { connectionTo } from './connection.ts'
import { type Probe, tcpProbe } from './probe.ts'

export interface UpstreamFinding {
  readonly upstream: string
  /** Of the first route that uses it so, `config.yaml:12:5`. */
  readonly definedAt: string
  /** Is the problem one of TLS: a certificate that is refused, ours or the upstream's? */
  readonly certificate: boolean
  /** undefined: a connection stands, and its certificate is as the route wants it. */
  readonly problem?: string
}

/** Looked at at the same time. */
const PARALLEL = 16

/** Opens a connection to each upstream of the routes, once for each set of TLS settings, and says what is wrong. `authorities`: PEM bundle beside the system's. Never rejects. */
export async function inspectUpstreams(
  { routes }: Pick<Live, 'routes'>,
  timeout: Span,
  authorities?: string,
): Promise<readonly UpstreamFinding[]> {
  const looks = new Map<string, () => Promise<UpstreamFinding>>()
  for (const { action, definedAt } of routes) {
    if (action.kind !== 'forward') continue
    for (const upstream of action.upstreams) {
      const key = fingerprint([upstream.origin, isTls(upstream.origin) && action.tls])
      if (!looks.has(key)) looks.set(key, () => look(action, upstream, definedAt, timeout, authorities))
    }
  }
  const left = [...looks.values()]
  const found: UpstreamFinding[] = []
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next; next = left.shift()) found.push(await next())
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  return found.toSorted((a, b) => (a.upstream < b.upstream ? -1 : 1))
}

const connects: Probe = tcpProbe({ kind: 'tcp', send: Buffer.alloc(0), receive: [] })

async function look(
  action: Parameters<typeof connectionTo>[0],
  upstream: Upstream,
  definedAt: string,
  timeout: Span,
  authorities: string | undefined,
): Promise<UpstreamFinding> {
  const problem = await new Promise<string | undefined>((resolve) => {
    connects(connectionTo(action, upstream, timeout, authorities), resolve)
  })
  const finding = { upstream: upstream.origin, definedAt }
  return problem === undefined
    ? { ...finding, certificate: false }
    : { ...finding, certificate: /certificate|TLS/.test(problem), problem }
}
