import { AppError } from '../errors.ts'
import { sha256 } from '../lib/crypto.ts'
import type { Table } from '../types.ts'

/**
 * A key as file and log may show it: fixed length for keys of any length and bytes, and no use to whoever reads it,
 * because some keys are single-use codes. JSON first, because UTF-8 alone would make two lone surrogates the same key.
 */
export function fingerprint(key: string): string {
  return sha256(JSON.stringify(key))
}

/** The value as its table knows it. Throws ERR_STORE_CORRUPT: what the table does not recognise is never an answer. */
export function recognise<T>(table: Table<T>, id: string, value: unknown): T {
  const known = table.parse(value)
  if (known === undefined) throw corrupt(table.name, id)
  return known
}

export function corrupt(table: string, id: string, cause?: unknown): AppError {
  return new AppError('ERR_STORE_CORRUPT', `store: ${table}: record ${id} cannot be read`, { cause })
}

export function unavailable(reason: string, cause?: unknown): AppError {
  return new AppError('ERR_STORE_UNAVAILABLE', `store: ${reason}`, { cause })
}
