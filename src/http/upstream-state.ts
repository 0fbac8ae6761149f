/** Types only. */
import type { WallTime } from '../types.ts'

/** What is known of one upstream, for whoever operates it. */
export interface UpstreamState {
  /** As the configuration names it. */
  readonly upstream: string
  /** `unhealthy`: by its health checks. `ejected`: after errors in a row. `refusing`: it took no connection a moment ago. */
  readonly health: 'healthy' | 'unhealthy' | 'ejected' | 'refusing'
  readonly detail?: string
  readonly since?: WallTime
  /** Requests that it has, that wait for a connection to it, and WebSockets. */
  readonly active: number
  readonly pending: number
  readonly tunnels: number
}
