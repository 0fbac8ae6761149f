import type { RedisConfig } from '../config/storage-model.ts'
import type { KeyRings } from '../lib/key-ring.ts'
import type { Clock, Logger, Span, Store } from '../types.ts'
import { createRedisBackend } from './redis/backend.ts'
import { openSharedStore } from './shared/store.ts'

/** The shared store on Redis or Valkey: single, behind Sentinels or a cluster. See `openSharedStore`. */
export function openRedisStore(deps: {
  readonly config: RedisConfig
  readonly keyRings: KeyRings
  readonly clock: Clock
  readonly logger: Logger
  readonly sweepInterval?: Span
  readonly startPatience?: Span
}): Promise<Store> {
  return openSharedStore({ ...deps, backend: createRedisBackend(deps) })
}
