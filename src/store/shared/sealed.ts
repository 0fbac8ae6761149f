import type { KeyRings } from '../../lib/key-ring.ts'
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
export function createRecordSeal(keyRings: KeyRings) {
  const ring = keyRings('shared store')
  const names = keyRings('names of debts')
  const placeOf = (table: string, id: string, expiresAt: WallTime | undefined): string =>
    `record ${table} ${id} ${expiresAt === undefined ? 0 : epochMillis(expiresAt)}`
  const changeOf = (table: string, kind: Change['kind']): string => `change ${table} ${kind}`

  /** undefined: sealed with another secret, for another place, or not at all. */
  function openRecord(
    table: string,
    id: string,
    { sealed, expiresAt }: Pick<StoredRecord, 'sealed' | 'expiresAt'>,
  ): Content | undefined {
    const text = ring.open(sealed, placeOf(table, id, expiresAt))
    // What only our secret can have sealed has our form.
    return text === undefined ? undefined : (JSON.parse(text) as Content)
  }

  return {
    /** Throws ERR_STORE_UNAVAILABLE for what is too large. */
    seal(table: string, id: string, expiresAt: WallTime | undefined, content: Content): string {
      const sealed = ring.seal(JSON.stringify(content), placeOf(table, id, expiresAt))
      if (sealed.length > LONGEST) throw unavailable(`a record of ${table} is larger than ${LONGEST} bytes`)
      return sealed
    },
    open: openRecord,
    /** For what can be guessed, such as an address: without the secret nobody can tell whose name it is. */
    nameOf: (key: string): string => names.mac(key),
    /** A record as the first secret seals it; undefined: it does already, or this is none of ours. */
    sealAnew(table: string, id: string, record: Pick<StoredRecord, 'sealed' | 'expiresAt'>) {
      const sealed = ring.sealAnew(record.sealed, placeOf(table, id, record.expiresAt))
      const content = sealed === undefined ? undefined : openRecord(table, id, record)
      return sealed !== undefined && content ? { key: content.key, sealed } : undefined
    },
    sealKey: (table: string, kind: Change['kind'], key: string): string =>
      ring.seal(JSON.stringify(key), changeOf(table, kind)),
    openKey(table: string, kind: Change['kind'], sealed: string): string | undefined {
      const text = ring.open(sealed, changeOf(table, kind))
      return text === undefined ? undefined : (JSON.parse(text) as string)
    },
  }
}

export type RecordSeal = ReturnType<typeof createRecordSeal>
