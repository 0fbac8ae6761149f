import { healthCheckAddress } from '../../../src/config/load.ts'
import { AppError } from '../../../src/errors.ts'
import { parseHost } from '../../../src/routing/host.ts'
import type { Io } from '../io.ts'
import { connectOrigin } from '../running.ts'
import { printable } from '../text.ts'

/** What `health_check_addr` is when nobody says, here and in Pomerium. */
const DEFAULT_ADDRESS = '127.0.0.1:28080'
/** A container's health check has five seconds. */
const TIMEOUT_MS = 4000

export interface HealthOptions {
  /** `host:port` or `:port`; default: HEALTH_CHECK_ADDR, then 127.0.0.1:28080. */
  readonly addr: string | undefined
  /** Components that do not count. */
  readonly exclude: readonly string[]
  readonly verbose: boolean
}

/** Asks a running Postern whether it is ready. Exit code 0 or 1. */
export async function healthCommand({ addr, exclude, verbose }: HealthOptions, io: Io): Promise<number> {
  const url = new URL(`${originOf(addr ?? healthCheckAddress(io.env) ?? DEFAULT_ADDRESS)}/readyz`)
  if (exclude.length > 0) url.searchParams.set('exclude', exclude.join(','))
  if (verbose) url.searchParams.set('verbose', '')
  const answer = await ask(url)
  if ('problem' in answer) {
    io.err(
      `postern: no answer from ${url.origin}: ${answer.problem}; is this the health_check_addr of a running Postern? (--addr HOST:PORT)`,
    )
    return 1
  }
  const { status, body } = answer
  if (status !== 200 && status !== 503) {
    io.err(`postern: ${url.origin} answered ${status}, which is not what a health_check_addr does`)
    return 1
  }
  if (verbose) for (const line of componentsOf(body)) io.out(line)
  else if (status === 200) io.out('ok')
  if (status === 503) io.err('not ready')
  return status === 200 ? 0 : 1
}

function originOf(address: string): string {
  const parsed = parseHost(address.startsWith(':') ? `127.0.0.1${address}` : address)
  if (parsed?.port === undefined) {
    throw new AppError('ERR_USAGE', `expected host:port or :port, found ${JSON.stringify(address)}`)
  }
  return connectOrigin(parsed.host, parsed.port)
}

async function ask(
  url: URL,
): Promise<{ readonly status: number; readonly body: string } | { readonly problem: string }> {
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) })
    return { status: response.status, body: await response.text() }
  } catch (error) {
    if (error instanceof DOMException && error.name === 'TimeoutError') return { problem: 'it took too long' }
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    return { problem: cause instanceof Error && 'code' in cause ? String(cause.code) : 'the connection failed' }
  }
}

/** `degraded  directory: okta: ERR_DIRECTORY_UNREACHABLE`, one component a line. */
function componentsOf(body: string): readonly string[] {
  // Ours: server/health.ts answers the verbose form in this shape.
  const { components } = JSON.parse(body) as {
    readonly components: readonly { readonly name: string; readonly status: string; readonly detail?: string }[]
  }
  return components.map(({ name, status, detail }) =>
    printable(`${status.padEnd('degraded'.length)}  ${name}${detail === undefined ? '' : `: ${detail}`}`),
  )
}
