import { AppError, toAppError } from '../errors.ts'
import { mac } from '../lib/crypto.ts'
import type { KeyRings } from '../lib/key-ring.ts'
import type { Store, Table } from '../types.ts'

const keyCheckTable: Table<string> = {
  name: 'key-check',
  parse: (value) => (typeof value === 'string' ? value : undefined),
}

const macsOf = (keyRings: KeyRings): readonly string[] =>
  keyRings('store key check')
    .keys()
    .map((key) => mac(key, 'postern'))

/** Nothing that lasts is sealed with an older secret than the first. */
export async function rememberStoreKey(store: Store, keyRings: KeyRings): Promise<void> {
  const [current = ''] = macsOf(keyRings)
  await store.put(keyCheckTable, 'key', current)
}

/** As `compareStoreKey`; a store that nobody has used is of the first secret from then on. */
export async function checkStoreKey(store: Store, keyRings: KeyRings): Promise<number> {
  const [current = ''] = macsOf(keyRings)
  if (await store.put(keyCheckTable, 'key', current, { ifVersion: 0 })) return 0
  return compareStoreKey(store, keyRings)
}

/**
 * Which of the shared secrets the store was last used with, by its index; 0 for a store that nobody has used. Throws
 * ERR_CONFIG_INVALID when it is none of them: every cookie and token in it would be unreadable, and the only symptom would
 * be people signed out.
 */
export async function compareStoreKey(store: Store, keyRings: KeyRings): Promise<number> {
  const macs = macsOf(keyRings)
  const index = await store.get(keyCheckTable, 'key').then(
    (known) => (known ? macs.indexOf(known.value) : 0),
    (error: unknown) => {
      // A store that seals its records: none of our secrets opens this one.
      if (toAppError(error).code === 'ERR_STORE_CORRUPT') return -1
      throw error
    },
  )
  if (index >= 0) return index
  throw new AppError(
    'ERR_CONFIG_INVALID',
    'shared_secret differs from the one that wrote this store: write the old one below the new one (docs/secrets.md), or take another store (`storage.path`, `storage.prefix`; everybody signs in again)',
  )
}
