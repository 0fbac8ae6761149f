import type { Fixed, StorageConfig } from '../config/model.ts'
import { assertNever } from '../errors.ts'
import type { Clock, Logger, Store } from '../types.ts'
import { compareStoreKey } from './key-check.ts'
import { openLmdbStore } from './lmdb.ts'
import { createMemoryStore } from './memory.ts'
import { openPostgresStore } from './postgres.ts'
import { openRedisStore } from './redis.ts'

/** The store that the configuration names. Throws ERR_STORE_UNAVAILABLE when it cannot be had. */
export async function openStore(
  { storage, sharedSecrets }: Pick<Fixed, 'storage' | 'sharedSecrets'>,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<Store> {
  switch (storage.kind) {
    case 'memory':
      return createMemoryStore({ clock })
    case 'embedded':
      return openLmdbStore({ path: storage.path, clock, logger })
    case 'redis':
      return openRedisStore({ config: storage, sharedSecrets, clock, logger })
    case 'postgres':
      return openPostgresStore({ config: storage, sharedSecrets, clock, logger })
    default:
      return assertNever(storage)
  }
}

/** Does it answer, and is it ours? Throws ERR_STORE_UNAVAILABLE or ERR_CONFIG_INVALID; writes nothing. */
export async function inspectStore(
  config: Pick<Fixed, 'storage' | 'sharedSecrets'>,
  deps: { readonly clock: Clock; readonly logger: Logger },
): Promise<void> {
  const store = await openStore(config, deps)
  try {
    await store.ping()
    await compareStoreKey(store, config.sharedSecrets)
  } finally {
    await store.close()
  }
}

/** Other machines may use it, too. */
export function isShared({ kind }: StorageConfig): boolean {
  return kind === 'redis' || kind === 'postgres'
}
