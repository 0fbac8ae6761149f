import type { RedisConfig, RedisPlace } from '../storage-model.ts'
import { credentialsOf, parseCredentials, parseNode } from './store-url.ts'

export const REDIS_FORMS =
  'redis://user:password@host:6379/0, rediss://…, redis+sentinel://host:26379/master or redis+cluster://host:6379'
const PORT = 6379
const SENTINEL_PORT = 26_379

interface ParsedUrl extends Pick<RedisConfig, 'place' | 'credentials' | 'database'> {
  readonly isTls: boolean
  /** Parameters that mean nothing here. */
  readonly unused: readonly string[]
}

/** Pomerium's forms: with `+sentinel`, `+cluster`. Gives what is wrong instead. */
export function parseRedisUrl(url: string): ParsedUrl | string {
  const parts = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^/?#]*)@)?([^/?#@]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(
    url.trim(),
  )
  if (!parts) return `expected ${REDIS_FORMS}; a password that holds / ? # @ is written with % and two hex digits`
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
