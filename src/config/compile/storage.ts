import { isIP } from 'node:net'
import { assertNever } from '../../errors.ts'
import { Secret } from '../../lib/secret.ts'
import type { Path, Report } from '../issues.ts'
import type { Address, RedisConfig, RedisCredentials, RedisPlace, StorageConfig } from '../model.ts'
import type { GlobalInput } from '../schema.ts'
import { compileAuthorities } from './secrets.ts'

const FORMS =
  'redis://user:password@host:6379/0, rediss://…, redis+sentinel://host:26379/master or redis+cluster://host:6379'
const PORT = 6379
const SENTINEL_PORT = 26_379

export function compileStorage(globals: GlobalInput, report: Report): StorageConfig {
  const { databroker_storage_type: type, databroker_storage_connection_string: place, storage } = globals
  if (type === undefined || report.isWritten(['storage'])) {
    if (type !== undefined)
      report.error(
        ['databroker_storage_type'],
        `storage is written too (${report.where(['storage'])}); set one of them`,
      )
    if (storage.type === 'redis') return compileRedis(globals, storage.url, ['storage', 'url'], report)
    if (storage.url !== undefined) report.error(['storage', 'url'], 'not used: write `type: redis` beside it')
    return storage.type === 'memory' ? { kind: 'memory' } : { kind: 'embedded', path: storage.path }
  }
  switch (type) {
    case 'memory':
      return { kind: 'memory' }
    case 'file':
      return { kind: 'embedded', path: place?.replace(/^file:\/\//, '') ?? storage.path }
    case 'redis':
      return compileRedis(globals, place, ['databroker_storage_connection_string'], report)
    case 'postgres':
      report.warning(
        ['databroker_storage_type'],
        `sessions are kept in the embedded store at ${storage.path}, not in postgres: everybody signs in again, and one process can run; for more, write \`storage: {type: redis, url: …}\``,
      )
      return { kind: 'embedded', path: storage.path }
    default:
      return assertNever(type)
  }
}

function compileRedis({ storage }: GlobalInput, url: string | undefined, path: Path, report: Report): StorageConfig {
  const broken: StorageConfig = { kind: 'memory' }
  if (url === undefined) {
    report.error(path, `missing; expected ${FORMS}`)
    return broken
  }
  const parsed = parseRedisUrl(url)
  if (typeof parsed === 'string') {
    // The URL holds a password: it is not shown.
    report.error(path, parsed)
    return broken
  }
  const { unused, isTls, ...config } = parsed
  for (const name of unused) report.warning(path, `its parameter ${name} is not used`)
  const ca = storage.ca === undefined ? undefined : compileAuthorities(storage.ca, ['storage', 'ca'], report)
  if (ca !== undefined && !isTls) report.error(['storage', 'ca'], 'not used: write rediss:// for TLS')
  return {
    kind: 'redis',
    ...config,
    ...(isTls && { tls: ca === undefined ? {} : { ca } }),
    prefix: storage.prefix,
  }
}

interface ParsedUrl extends Pick<RedisConfig, 'place' | 'credentials' | 'database'> {
  readonly isTls: boolean
  /** Parameters that mean nothing here. */
  readonly unused: readonly string[]
}

/** Not `URL`, which knows one host only. Pomerium's forms: with `+sentinel`, `+cluster`. Gives what is wrong instead. */
export function parseRedisUrl(url: string): ParsedUrl | string {
  const parts = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^/?#]*)@)?([^/?#@]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(
    url.trim(),
  )
  if (!parts) return `expected ${FORMS}; a password that holds / ? # @ is written with % and two hex digits`
  const [, tls, form, user, hosts = '', rest = '', query = ''] = parts
  const credentials = parseCredentials(user)
  if (!credentials) return 'expected a user name and a password, with % before two hex digits only'
  const isSentinel = form?.toLowerCase() === 'sentinel'
  const nodes = hosts.split(',').map((host) => parseNode(host, isSentinel ? SENTINEL_PORT : PORT))
  const known = nodes.filter((node) => node !== undefined)
  const [node] = known
  if (!node || known.length < nodes.length) return 'expected hosts such as redis:6379 or [2001:db8::1]:6379'
  const parameters = new URLSearchParams(query)
  const [master, last = ''] = isSentinel ? rest.split('/', 2) : [undefined, rest]
  const database = /^\d{0,3}$/.test(last) ? Number(last) : undefined
  if (database === undefined) return 'expected the number of a database after the last /'
  const unused = new Set(parameters.keys())
  const common = { credentials, database, isTls: tls !== '' }

  if (isSentinel) {
    if (!master) return 'expected the name of the master: redis+sentinel://host:26379/master'
    const [username, password] = ['sentinel_username', 'sentinel_password'].map((name) => {
      unused.delete(name)
      return parameters.get(name) ?? undefined
    })
    const own = credentialsOf(username, password)
    return { ...common, place: { kind: 'sentinel', sentinels: known, master, credentials: own }, unused: [...unused] }
  }
  if (form !== undefined) {
    if (database !== 0) return 'a cluster has no databases: leave out what follows the last /'
    return { ...common, place: { kind: 'cluster', nodes: known }, unused: [...unused] }
  }
  if (known.length > 1) return 'several hosts are those of redis+sentinel:// or redis+cluster://'
  const place: RedisPlace = { kind: 'single', node }
  return { ...common, place, unused: [...unused] }
}

function parseNode(text: string, standard: number): Address | undefined {
  const parts = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i.exec(text.trim())
  const host = parts?.[1] ?? parts?.[2]
  const port = parts?.[3] === undefined ? standard : Number(parts[3])
  if (host === undefined || port < 1 || port > 65_535 || (parts?.[1] !== undefined && isIP(host) !== 6))
    return undefined
  return { host, port }
}

/** `user:password`, `:password`, `user`, or nothing. undefined: not readable. */
function parseCredentials(text: string | undefined): RedisCredentials | undefined {
  const [username, ...password] = (text ?? '').split(':')
  try {
    return credentialsOf(decodeURIComponent(username ?? ''), decodeURIComponent(password.join(':')))
  } catch {
    return undefined
  }
}

function credentialsOf(username: string | undefined, password: string | undefined): RedisCredentials {
  return { ...(username && { username }), ...(password && { password: new Secret(password) }) }
}
