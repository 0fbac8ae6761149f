import type { PostgresConfig } from '../config/storage-model.ts'
import type { KeyRings } from '../lib/key-ring.ts'
import type { Clock, Logger, Span, Store } from '../types.ts'
import { createPostgresBackend } from './postgres/backend.ts'
import { openSharedStore } from './shared/store.ts'

/** The shared store on PostgreSQL. See `openSharedStore`. */
export function openPostgresStore(deps: {
  readonly config: PostgresConfig
  readonly keyRings: KeyRings
  readonly clock: Clock
  readonly logger: Logger
  readonly sweepInterval?: Span
  readonly startPatience?: Span
}): Promise<Store> {
  return openSharedStore({ ...deps, backend: createPostgresBackend(deps) })
}
