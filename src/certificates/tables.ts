import type { Table } from '../types.ts'

/** Of one host. The key is sealed for that host. */
export interface StoredCertificate {
  /** PEM. */
  readonly chain: string
  readonly sealedKey: string
}

/** Orders that failed, one after the other: no process asks again before `retryAt`. */
export interface StoredFailure {
  readonly count: number
  /** Milliseconds since the Unix epoch. */
  readonly retryAt: number
  readonly reason: string
}

/** By host. */
export const certificatesTable: Table<StoredCertificate> = {
  name: 'acme-certificates',
  parse: (value) => (hasTexts(value, 'chain', 'sealedKey') ? (value as StoredCertificate) : undefined),
}

/** By directory URL. */
export const accountsTable: Table<{ readonly sealedKey: string }> = {
  name: 'acme-accounts',
  parse: (value) => (hasTexts(value, 'sealedKey') ? (value as { readonly sealedKey: string }) : undefined),
}

/** By token: whichever process the authority reaches can answer. */
export const challengesTable: Table<{ readonly keyAuthorization: string }> = {
  name: 'acme-challenges',
  parse: (value) =>
    hasTexts(value, 'keyAuthorization') ? (value as { readonly keyAuthorization: string }) : undefined,
}

/** By host, or by directory URL when nothing can be ordered there. */
export const failuresTable: Table<StoredFailure> = {
  name: 'acme-failures',
  parse(value) {
    const { count, retryAt } = (value ?? {}) as Partial<StoredFailure>
    return hasTexts(value, 'reason') && Number.isSafeInteger(count) && Number.isSafeInteger(retryAt)
      ? (value as StoredFailure)
      : undefined
  },
}

function hasTexts(value: unknown, ...names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  const record = value as Readonly<Record<string, unknown>>
  return names.every((name) => typeof record[name] === 'string' && record[name] !== '')
}
