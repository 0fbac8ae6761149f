import { expect, test } from 'vitest'
import type { UpstreamState } from '../../../src/http/upstream-state.ts'
import { wallTime } from '../../../src/lib/time.ts'
import { textOf } from '../../../src/server/exposition.ts'
import { createRegistry } from '../../../src/server/registry.ts'
import { describeUpstreams, exportUpstreams } from '../../../src/server/upstream-metrics.ts'

const HEALTHY: UpstreamState = { upstream: 'http://a:8080', health: 'healthy', active: 3, pending: 1, tunnels: 2 }
const UNHEALTHY: UpstreamState = {
  upstream: 'unix:///run/b.sock',
  health: 'unhealthy',
  detail: 'status 500',
  since: wallTime(0),
  active: 0,
  pending: 0,
  tunnels: 0,
}

test('upstreams are one component, which is degraded while one of them gets no requests', () => {
  expect(describeUpstreams([HEALTHY])).toEqual({ name: 'upstreams', status: 'ok' })
  expect(describeUpstreams([HEALTHY, UNHEALTHY])).toEqual({
    name: 'upstreams',
    status: 'degraded',
    detail: 'unix:///run/b.sock is unhealthy since 1970-01-01T00:00:00.000Z: status 500',
  })
})

test('each upstream has its health and its requests in the metrics', async () => {
  const metrics = createRegistry()
  exportUpstreams(metrics, () => [HEALTHY, UNHEALTHY])
  const text = textOf(await metrics.read())
  for (const line of [
    'postern_upstream_health{upstream="http://a:8080"} 1',
    'postern_upstream_health{upstream="unix:///run/b.sock"} 0',
    'postern_upstream_active_requests{upstream="http://a:8080"} 3',
    'postern_upstream_pending_requests{upstream="http://a:8080"} 1',
    'postern_upstream_tunnels{upstream="http://a:8080"} 2',
  ]) {
    expect(text).toContain(line)
  }
})
