import type { UpstreamState } from '../http/upstream-state.ts'
import { isoTime } from '../lib/time.ts'
import type { Combine } from './exposition.ts'
import type { Component } from './health.ts'
import type { Registry } from './registry.ts'

export function exportUpstreams(metrics: Pick<Registry, 'gauges'>, states: () => readonly UpstreamState[]): void {
  const gauge = (name: string, help: string, read: (state: UpstreamState) => number, combine?: Combine): void =>
    metrics.gauges(name, help, ['upstream'], () => states().map((state) => [[state.upstream], read(state)]), combine)
  gauge(
    'upstream_health',
    '1 when an upstream gets requests, 0 when it is unhealthy, ejected or refuses connections.',
    ({ health }) => (health === 'healthy' ? 1 : 0),
    'min',
  )
  gauge('upstream_active_requests', 'Requests that an upstream has at the moment.', ({ active }) => active)
  gauge('upstream_pending_requests', 'Requests that wait for a connection to an upstream.', ({ pending }) => pending)
  gauge('upstream_tunnels', 'Open WebSockets to an upstream.', ({ tunnels }) => tunnels)
}

/** An upstream that is down makes Postern degraded, not unready. */
export function describeUpstreams(states: readonly UpstreamState[]): Component {
  const bad = states.filter(({ health }) => health !== 'healthy')
  if (bad.length === 0) return { name: 'upstreams', status: 'ok' }
  const detail = bad
    .map(({ upstream, health, detail: why, since }) => {
      const when = since === undefined ? '' : ` since ${isoTime(since)}`
      return `${upstream} is ${health}${when}${why === undefined ? '' : `: ${why}`}`
    })
    .join('; ')
  return { name: 'upstreams', status: 'degraded', detail }
}
