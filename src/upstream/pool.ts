import type { Live } from '../config/model.ts'
import type { Forward } from '../config/route-model.ts'
import type { UpstreamClient } from './client.ts'
import type { UpstreamConnection } from './connection.ts'
import type { Admission, Limits } from './limits.ts'
import type { Standing } from './standing.ts'

export type PoolSettings = Limits & Pick<Live, 'routes' | 'upstreamConnectTimeout'>

/** Connections to one upstream under one set of TLS settings. */
export interface SharedPool extends UpstreamConnection {
  readonly key: string
  readonly action: Forward
  readonly client: UpstreamClient
  readonly admission: Admission
  /** By the rules of ejection: routes with the same rules learn from one another. */
  readonly standings: Map<string, Standing>
  /** Generations that hold it. */
  holders: number
}
