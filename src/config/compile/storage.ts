import { assertNever } from '../../errors.ts'
import type { Span } from '../../types.ts'
import type { Path, Report } from '../issues.ts'
import type { StorageConfig, StoreTls } from '../storage-model.ts'
import type { GlobalInput } from '../schema.ts'
import type { StorageInput } from '../schema/storage.ts'
import { parsePostgresUrl, POSTGRES_FORMS } from './postgres-url.ts'
import { parseRedisUrl, REDIS_FORMS } from './redis-url.ts'
import { compileAuthorities, compileCertificate } from './secrets.ts'

const LONGEST_GRACE: Span = 3_600_000

export function compileStorage(globals: GlobalInput, report: Report): StorageConfig {
  const { databroker_storage_type: type, databroker_storage_connection_string: place, storage } = globals
  if (type === undefined || report.isWritten(['storage'])) {
    if (type !== undefined)
      report.error(
        ['databroker_storage_type'],
        `storage is written too (${report.where(['storage'])}); set one of them`,
      )
    if (storage.type === 'redis' || storage.type === 'postgres') {
      return compileShared(storage.type, globals, storage.url, ['storage', 'url'], report)
    }
    if (storage.url !== undefined)
      report.error(['storage', 'url'], 'not used: write `type: redis` or `type: postgres` beside it')
    return storage.type === 'memory' ? { kind: 'memory' } : { kind: 'embedded', path: storage.path }
  }
  switch (type) {
    case 'memory':
      return { kind: 'memory' }
    case 'file':
      return { kind: 'embedded', path: place?.replace(/^file:\/\//, '') ?? storage.path }
    case 'redis':
    case 'postgres':
      return compileShared(type, globals, place, ['databroker_storage_connection_string'], report)
    default:
      return assertNever(type)
  }
}

/** Who is put out while the store is away would be in for so long. */
export function compileStoreGrace({ store_grace: grace }: GlobalInput, report: Report): Span {
  if (grace > LONGEST_GRACE) report.error(['store_grace'], 'expected at most 1h')
  return grace
}

function compileShared(
  type: 'redis' | 'postgres',
  { storage }: GlobalInput,
  url: string | undefined,
  path: Path,
  report: Report,
): StorageConfig {
  const broken: StorageConfig = { kind: 'memory' }
  if (url === undefined) {
    report.error(path, `missing; expected ${type === 'redis' ? REDIS_FORMS : POSTGRES_FORMS}`)
    return broken
  }
  const parsed = type === 'redis' ? parseRedisUrl(url) : parsePostgresUrl(url)
  if (typeof parsed === 'string') {
    // The URL holds a password: it is not shown.
    report.error(path, parsed)
    return broken
  }
  const { unused, isTls, ...config } = parsed
  for (const name of unused) report.warning(path, `its parameter ${name} is not used`)
  const common = { ...(isTls && { tls: compileTls(storage, report) }), prefix: storage.prefix }
  if (!isTls) {
    const how = type === 'redis' ? 'rediss://' : 'sslmode=verify-full'
    for (const key of ['ca', 'client_cert', 'client_key'] as const)
      if (storage[key] !== undefined) report.error(['storage', key], `not used: write ${how} for TLS`)
  }
  return 'place' in config ? { kind: 'redis', ...config, ...common } : { kind: 'postgres', ...config, ...common }
}

function compileTls({ ca, client_cert: cert, client_key: key }: StorageInput, report: Report): StoreTls {
  const authorities = ca === undefined ? undefined : compileAuthorities(ca, ['storage', 'ca'], report)
  if ((cert === undefined) !== (key === undefined))
    report.error(
      ['storage', cert === undefined ? 'client_key' : 'client_cert'],
      'expected client_cert and client_key together',
    )
  const certificate =
    cert === undefined || key === undefined
      ? undefined
      : compileCertificate(
          { text: cert, path: ['storage', 'client_cert'] },
          { text: key, path: ['storage', 'client_key'] },
          report,
        )
  return { ...(authorities !== undefined && { ca: authorities }), ...(certificate && { certificate }) }
}
