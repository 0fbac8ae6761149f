import type { Address } from '../../src/config/model.ts'

/** A metrics page is a few kilobytes from this machine, or it is none. */
const TIMEOUT_MS = 2000

/** What Okta has left of one rate-limit bucket in this minute. */
export interface Budget {
  readonly endpoint: string
  readonly remaining: number
  readonly limit: number
}

/** What a running Postern says of its directory. */
export interface RunningDirectory {
  /** How changes are followed; undefined: they are not. */
  readonly mode: 'log' | 'delta' | undefined
  /** Of every bucket that was used so far. */
  readonly budgets: readonly Budget[]
}

/** Asks the `metrics_address` of a running Postern; why not, when nothing can be known. */
export async function askRunning(
  metrics: Address | undefined,
): Promise<RunningDirectory | { readonly problem: string }> {
  if (!metrics) return { problem: 'metrics_address is not configured' }
  if (metrics.port === 0) return { problem: 'metrics_address has no fixed port' }
  const url = `${connectOrigin(metrics.host, metrics.port)}/metrics`
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) })
    if (response.status === 200) return readMetrics(await response.text())
  } catch {
    // Nobody there, or nobody who can be understood: the same for whoever asks.
  }
  return { problem: `no answer from ${url}` }
}

/** An address to listen on as one to connect to: "every address of the machine" is this machine. */
export function connectOrigin(host: string, port: number): string {
  const bare = host.replace(/^\[|\]$/g, '')
  if (bare === '0.0.0.0') return `http://127.0.0.1:${port}`
  if (bare === '::') return `http://[::1]:${port}`
  return `http://${bare.includes(':') ? `[${bare}]` : bare}:${port}`
}

/** Of the Prometheus text that server/metrics.ts makes. */
function readMetrics(text: string): RunningDirectory {
  const gauge = (name: string): ReadonlyMap<string, number> =>
    new Map(
      [...text.matchAll(new RegExp(`^postern_${name}\\{endpoint="([^"]*)"\\} (\\d+)$`, 'gm'))].map(
        ([, endpoint = '', value]) => [endpoint, Number(value)],
      ),
    )
  const limits = gauge('directory_rate_limit_limit')
  const remaining = gauge('directory_rate_limit_remaining')
  const mode = /^postern_directory_feed_info\{mode="(log|delta)"/m.exec(text)?.[1]
  return {
    mode: mode === 'log' || mode === 'delta' ? mode : undefined,
    budgets: [...limits].map(([endpoint, limit]) => ({ endpoint, limit, remaining: remaining.get(endpoint) ?? 0 })),
  }
}
