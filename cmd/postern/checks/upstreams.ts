import { assertNever } from '../../../src/errors.ts'
import type { UpstreamFinding, WebSocketFinding } from '../../../src/inspection.ts'
import type { Config } from '../../../src/config/model.ts'
import type { Clock } from '../../../src/types.ts'
import type { Finding } from '../finding.ts'

/** Of one that is down for now, and of one behind another network than this machine's. */
const UPSTREAM_TIMEOUT_MS = 5000

/** `HEAD /` is all that they are asked, without anybody's identity. */
export async function checkUpstreams({ fixed, live }: Config, clock: Clock): Promise<readonly Finding[]> {
  if (fixed.services === 'authenticate') return []
  // Here and not above: what it brings with it is for those who ask.
  const { inspectUpstreams } = await import('../../../src/inspection.ts')
  const timeout = Math.min(live.upstreamConnectTimeout, UPSTREAM_TIMEOUT_MS)
  return (await inspectUpstreams(live, { timeout, clock, authorities: fixed.authorities })).map(judge)
}

/** Of applications that have none at that path nothing is wrong. */
export async function checkWebSockets({ fixed, live }: Config, clock: Clock): Promise<readonly Finding[]> {
  if (fixed.services === 'authenticate') return []
  const { inspectWebSockets } = await import('../../../src/inspection.ts')
  const timeout = Math.min(live.upstreamConnectTimeout, UPSTREAM_TIMEOUT_MS)
  return (await inspectWebSockets(live, { timeout, clock, authorities: fixed.authorities })).map(judgeWebSocket)
}

function judgeWebSocket({ name, upstream, path, definedAt, found }: WebSocketFinding): Finding {
  const check = `WebSocket of ${name} at ${upstream}${path}`
  // That it is not there is said of the upstream.
  if (found.kind === 'silent') return { check, status: 'warn', message: `${found.problem} (${definedAt})` }
  return found.status === 101
    ? { check, status: 'ok', message: 'opens' }
    : {
        check,
        status: 'note',
        message: `answers ${found.status} (${definedAt})`,
        remedy:
          'where the application has one there, what is between drops Upgrade; else allow_websockets: false closes the way',
      }
}

const REMEDY_OF_TLS =
  'tls_custom_ca is for its authority, tls_server_name for its name, tls_client_cert for what it asks of us; what has expired has to be renewed there'

function judge(found: UpstreamFinding): Finding {
  const { upstream, definedAt } = found
  const check = `upstream ${upstream}`
  switch (found.kind) {
    case 'answers':
      return { check, status: 'ok', message: `answers HEAD / with ${found.status}` }
    case 'silent':
      return {
        check,
        status: 'warn',
        message: `takes connections, but does not answer HEAD / (${definedAt}): ${found.problem}`,
        remedy: 'see that the scheme and the port are those of its HTTP: http, https, h2c',
      }
    case 'refused':
      return { check, status: 'fail', message: `${found.problem} (${definedAt})`, remedy: REMEDY_OF_TLS }
    case 'unreachable':
      return {
        check,
        status: found.spare ? 'warn' : 'fail',
        message: `${found.problem} (${definedAt})${found.spare ? '; another one of the route is there' : ''}`,
        remedy: 'see `to`, that it runs, and that this machine may connect there',
      }
    default:
      return assertNever(found)
  }
}
