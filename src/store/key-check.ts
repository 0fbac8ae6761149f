import { AppError, toAppError } from '../errors.ts'
import { deriveKey, mac } from '../lib/crypto.ts'
import type { Secret } from '../lib/secret.ts'
import type { Store, Table } from '../types.ts'

const keyCheckTable: Table<string> = {
  name: 'key-check',
  parse: (value) => (typeof value === 'string' ? value : undefined),
}

const keyOf = (secret: Secret): string => mac(deriveKey(secret.reveal(), 'store key check'), 'postern')

/**
 * Throws ERR_CONFIG_INVALID when none of the shared secrets is the one this store was last used with: every cookie and token
 * in it would be unreadable, and the only symptom would be people signed out. After a rotation remembers the new first secret.
 */
export async function checkStoreKey(store: Store, secrets: readonly [Secret, ...Secret[]]): Promise<void> {
  const current = keyOf(secrets[0])
  if (await store.put(keyCheckTable, 'key', current, { ifVersion: 0 })) return
  await compareStoreKey(store, secrets)
  if ((await store.get(keyCheckTable, 'key'))?.value !== current) await store.put(keyCheckTable, 'key', current)
}

/** The same, without writing anything; a store that nobody has used is fine. */
export async function compareStoreKey(store: Store, secrets: readonly [Secret, ...Secret[]]): Promise<void> {
  const isOurs = await store.get(keyCheckTable, 'key').then(
    (known) => known === undefined || secrets.map(keyOf).includes(known.value),
    (error: unknown) => {
      // A store that seals its records: none of our secrets opens this one.
      if (toAppError(error).code === 'ERR_STORE_CORRUPT') return false
      throw error
    },
  )
  if (isOurs) return
  throw new AppError(
    'ERR_CONFIG_INVALID',
    'shared_secret differs from the one that wrote this store: restore it, add the old one after the new one, or take another store (`storage.path`, `storage.prefix`; everybody signs in again)',
  )
}
