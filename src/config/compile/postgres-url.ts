import type { PostgresConfig } from '../storage-model.ts'
import { parseCredentials, parseNode } from './store-url.ts'

export const POSTGRES_FORMS = 'postgres://user:password@host:5432/database?sslmode=verify-full'
const PORT = 5432

/** A certificate that nobody checks protects from nobody: whoever asks for TLS gets all of it. */
const TLS: ReadonlyMap<string, boolean> = new Map([
  ['', false],
  ['disable', false],
  ['require', true],
  ['verify-ca', true],
  ['verify-full', true],
])

interface ParsedUrl extends Pick<PostgresConfig, 'node' | 'credentials' | 'database'> {
  readonly isTls: boolean
  /** Parameters that mean nothing here. */
  readonly unused: readonly string[]
}

/** Gives what is wrong instead (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING). */
export function parsePostgresUrl(url: string): ParsedUrl | string {
  const parts = /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#@]+)(?:\/([^?#/]*))?(?:\?([^#]*))?$/i.exec(url.trim())
  if (!parts) return `expected ${POSTGRES_FORMS}; a password that holds / ? # @ is written with % and two hex digits`
  const [, user, host = '', name = '', query = ''] = parts
  const credentials = parseCredentials(user)
  if (!credentials?.username) return 'expected a user name, and a password, with % before two hex digits only'
  if (host.includes(',')) return 'expected one host: a name or an address that leads to the primary'
  const node = parseNode(host, PORT)
  if (!node) return 'expected a host such as postgres:5432 or [2001:db8::1]:5432'
  const parameters = new URLSearchParams(query)
  const mode = parameters.get('sslmode') ?? ''
  const isTls = TLS.get(mode)
  if (isTls === undefined) return 'expected sslmode=disable, or sslmode=verify-full for TLS'
  const unused = [...new Set(parameters.keys())].filter((parameter) => parameter !== 'sslmode')
  const database = decoded(name)
  if (!database) return 'expected the name of a database after the last /'
  return { node, credentials, database, isTls, unused }
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
