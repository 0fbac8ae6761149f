import { lost, type Missing, unneeded } from './draft.ts'

interface Source {
  readonly text: (name: string) => string | undefined
  readonly list: (name: string) => readonly string[]
  readonly set: (key: string, value: unknown, comment?: string) => void
  readonly missing: Missing[]
}

/** Sessions that oauth2-proxy keeps in Redis: one server, Sentinels or a cluster become one URL. */
export function writeStorage({ text, list, set, missing }: Source): void {
  const type = text('session_store_type')
  const username = text('redis_username')
  const password = text('redis_password')
  const single = text('redis_connection_url')
  const sentinels = list('redis_sentinel_connection_urls')
  const nodes = list('redis_cluster_connection_urls')
  const isSentinel = text('redis_use_sentinel') === 'true'
  const isCluster = text('redis_use_cluster') === 'true'
  const master = text('redis_sentinel_master_name')
  const sentinelPassword = text('redis_sentinel_password')
  const authority = text('redis_ca_path')
  if (text('redis_insecure_skip_tls_verify') === 'true') {
    missing.push(
      lost('redis_insecure_skip_tls_verify', 'the certificate is checked; `storage.ca_file` names its authority'),
    )
  }
  if (type !== 'redis') {
    if (type !== undefined) missing.push(unneeded('session_store_type', 'sessions are kept in the embedded store'))
    return
  }
  const urls = (isSentinel ? sentinels : isCluster ? nodes : [single ?? '']).map(parse)
  const [first] = urls
  if (!first || urls.includes(undefined)) {
    missing.push(lost('session_store_type', 'write the address of Redis into `storage.url`'))
    return
  }
  const user = username === undefined ? first.username : encodeURIComponent(username)
  const secret = password === undefined ? first.password : encodeURIComponent(password)
  const credentials = user || secret ? `${user}${secret && `:${secret}`}@` : ''
  const hosts = urls.map((url) => url?.host).join(',')
  const form = isSentinel ? '+sentinel' : isCluster ? '+cluster' : ''
  const path = isSentinel ? `/${master ?? ''}` : isCluster ? '' : first.pathname
  const query = isSentinel && sentinelPassword ? `?sentinel_password=${encodeURIComponent(sentinelPassword)}` : ''
  set('storage', {
    type: 'redis',
    url: `${first.protocol.replace(/:$/, form)}://${credentials}${hosts}${path}${query}`,
    ...(authority !== undefined && { ca_file: authority }),
  })
}

function parse(url: string): URL | undefined {
  return /^rediss?:\/\//.test(url) && URL.canParse(url) ? new URL(url) : undefined
}
