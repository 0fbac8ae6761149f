import type { Pool } from 'undici'
import type { Forward, Live, Upstream } from '../config/model.ts'
import type { UpstreamAddress } from './address.ts'
import type { Admission, Limits } from './limits.ts'

export type PoolSettings = Limits & Pick<Live, 'routes' | 'upstreamConnectTimeout'>

/** Connections to one upstream under one set of TLS settings. */
export interface SharedPool {
  readonly upstream: Upstream
  readonly address: UpstreamAddress
  readonly action: Forward
  /** Goes into the options of each dispatch: a constant, or undici would open another connection for every Host it sees. */
  readonly servername: string
  readonly pool: Pool
  readonly admission: Admission
  /** Generations that hold it. */
  holders: number
}
