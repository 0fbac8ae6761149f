import type { Fixed } from '../config/model.ts'
import type { PostgresConfig, RedisConfig, StorageConfig } from '../config/storage-model.ts'
import { AppError, assertNever } from '../errors.ts'
import { randomId } from '../lib/crypto.ts'
import type { KeyRings } from '../lib/key-ring.ts'
import { later } from '../lib/time.ts'
import type { Clock, Logger, Span, Store, Table } from '../types.ts'
import { compareStoreKey } from './key-check.ts'
import { openLmdbStore } from './lmdb.ts'
import { createMemoryStore } from './memory.ts'
import { openPostgresStore } from './postgres.ts'
import { createPostgresBackend } from './postgres/backend.ts'
import { openRedisStore } from './redis.ts'
import { createRedisBackend } from './redis/backend.ts'
import type { Backend, ServerFacts } from './shared/backend.ts'
import { openSharedStore } from './shared/store.ts'

interface StoreDeps {
  readonly keyRings: KeyRings
  readonly clock: Clock
  readonly logger: Logger
}

/** The store that the configuration names. Throws ERR_STORE_UNAVAILABLE when it cannot be had. */
export async function openStore(
  { storage }: Pick<Fixed, 'storage'>,
  { keyRings, clock, logger }: StoreDeps,
): Promise<Store> {
  switch (storage.kind) {
    case 'memory':
      return createMemoryStore({ clock })
    case 'embedded':
      return openLmdbStore({ path: storage.path, clock, logger })
    case 'redis':
      return openRedisStore({ config: storage, keyRings, clock, logger })
    case 'postgres':
      return openPostgresStore({ config: storage, keyRings, clock, logger })
    default:
      return assertNever(storage)
  }
}

function backendOf(config: RedisConfig | PostgresConfig, { clock, logger }: StoreDeps): Backend {
  const deps = { clock, logger }
  return config.kind === 'redis' ? createRedisBackend({ config, ...deps }) : createPostgresBackend({ config, ...deps })
}

const probeTable: Table<string> = { name: 'check', parse: (value) => (typeof value === 'string' ? value : undefined) }
/** What is left behind when this process ends in between goes by itself. */
const PROBE_TTL: Span = 60_000

/**
 * Does it answer, is it ours, does it keep what is written, and may we do there all that we must? Throws
 * ERR_STORE_UNAVAILABLE or ERR_CONFIG_INVALID. Writes one record of its own, and deletes it; nothing into a store of another
 * shared secret. Gives what a server says of itself; undefined: there is none.
 */
export async function inspectStore(config: Pick<Fixed, 'storage'>, deps: StoreDeps): Promise<ServerFacts | undefined> {
  const { storage } = config
  const backend = storage.kind === 'redis' || storage.kind === 'postgres' ? backendOf(storage, deps) : undefined
  const store = backend ? await openSharedStore({ backend, ...deps }) : await openStore(config, deps)
  // Whoever listens has what is written wait for its echo.
  const stop = store.watch(() => {})
  try {
    await store.ping()
    await compareStoreKey(store, deps.keyRings)
    const key = randomId()
    await store.put(probeTable, key, key, { expiresAt: later(deps.clock.now(), PROBE_TTL) })
    const kept = await store.take(probeTable, key)
    if (kept !== key) throw new AppError('ERR_STORE_UNAVAILABLE', 'it does not give back what was written to it')
    for await (const _ of store.list(probeTable)) break
    const lease = await store.lease(key, PROBE_TTL)
    await lease?.release()
    await store.owe?.([{ key, more: 1, most: 1 }])
    await backend?.sweep()
    const trouble = store.trouble()
    if (trouble) throw new AppError('ERR_STORE_UNAVAILABLE', `it does not tell of changes: ${trouble.reason}`)
    return await backend?.facts()
  } finally {
    stop()
    await store.close()
  }
}

/** Other machines may use it, too. */
export function isShared({ kind }: StorageConfig): boolean {
  return kind === 'redis' || kind === 'postgres'
}
