import { deriveKey, mac, open, seal } from '../../lib/crypto.ts'
import type { Secret } from '../../lib/secret.ts'
import { epochMillis } from '../../lib/time.ts'
import type { Change, WallTime } from '../../types.ts'
import { unavailable } from '../record.ts'
import type { StoredRecord } from './backend.ts'

/** Characters of a sealed record. No record of ours comes near it. */
const LONGEST = 4 * 1024 * 1024

export interface Content {
  readonly key: string
  readonly value: unknown
}

/**
 * What the server holds tells whoever reads it nothing, and what others write there is not taken for ours: keys and values are
 * sealed, bound to their place and their expiry. Ids are fingerprints. Older secrets open, the first seals.
 */
export function createRecordSeal(secrets: readonly [Secret, ...Secret[]]) {
  const [first, ...older] = secrets.map((secret) => deriveKey(secret.reveal(), 'shared store'))
  if (!first) throw new TypeError('there is no secret')
  const keys = [first, ...older]
  const naming = deriveKey(first, 'names of debts')
  const placeOf = (table: string, id: string, expiresAt: WallTime | undefined): string =>
    `record ${table} ${id} ${expiresAt === undefined ? 0 : epochMillis(expiresAt)}`
  const changeOf = (table: string, kind: Change['kind']): string => `change ${table} ${kind}`

  return {
    /** Throws ERR_STORE_UNAVAILABLE for what is too large. */
    seal(table: string, id: string, expiresAt: WallTime | undefined, content: Content): string {
      const sealed = seal(first, JSON.stringify(content), placeOf(table, id, expiresAt))
      if (sealed.length > LONGEST) throw unavailable(`a record of ${table} is larger than ${LONGEST} bytes`)
      return sealed
    },
    /** undefined: sealed with another secret, for another place, or not at all. */
    open(
      table: string,
      id: string,
      { sealed, expiresAt }: Pick<StoredRecord, 'sealed' | 'expiresAt'>,
    ): Content | undefined {
      const text = open(keys, sealed, placeOf(table, id, expiresAt))
      // What only our secret can have sealed has our form.
      return text === undefined ? undefined : (JSON.parse(text) as Content)
    },
    /** For what can be guessed, such as an address: without the secret nobody can tell whose name it is. */
    nameOf: (key: string): string => mac(naming, key),
    sealKey: (table: string, kind: Change['kind'], key: string): string =>
      seal(first, JSON.stringify(key), changeOf(table, kind)),
    openKey(table: string, kind: Change['kind'], sealed: string): string | undefined {
      const text = open(keys, sealed, changeOf(table, kind))
      return text === undefined ? undefined : (JSON.parse(text) as string)
    },
  }
}

export type RecordSeal = ReturnType<typeof createRecordSeal>
