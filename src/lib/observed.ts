/** Calls by HTTP, and operations of the store, as spans of whoever waits for them. Not in the way of anybody where nobody traces. */
import type { StorageConfig } from '../config/storage-model.ts'
import type { Store, WaitingFor } from '../types.ts'
import type { Send } from './outbound.ts'

type Values = Readonly<Record<string, string | number>>

/**
 * A call by HTTP (https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client). Never a query, which may hold a
 * code. `template`: the path with ids left out.
 */
export function observedCall<R extends { readonly status: number }>(
  waitingFor: WaitingFor,
  {
    method,
    url,
    template,
    attributes,
  }: { readonly method: string; readonly url: URL; readonly template: string; readonly attributes?: Values },
  work: () => Promise<R>,
): Promise<R> {
  const { origin, hostname, port, protocol } = url
  return waitingFor(
    {
      name: `${method} ${template}`,
      kind: 'client',
      attributes: {
        'http.request.method': method,
        'server.address': hostname,
        'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
        'url.full': origin + template,
        'url.template': template,
        ...attributes,
      },
      said: ({ status }) => ({
        'http.response.status_code': status,
        ...(status >= 400 && { 'error.type': String(status) }),
      }),
    },
    work,
  )
}

/** Paths of a provider are few: they are in its metadata. */
export function observedSend(send: Send, waitingFor: WaitingFor | undefined, provider: string): Send {
  if (!waitingFor) return send
  return (address, init) => {
    const url = new URL(address)
    const grant = GRANT.exec(typeof init.body === 'string' ? init.body : '')?.[1]
    const attributes = { 'postern.provider': provider, ...(grant !== undefined && { 'postern.grant': grant }) }
    return observedCall(waitingFor, { method: init.method, url, template: url.pathname, attributes }, () =>
      send(address, init),
    )
  }
}

/** Of a token request; nothing else of its body. */
const GRANT = /(?:^|&)grant_type=(authorization_code|refresh_token|client_credentials)(?:&|$)/

/** What is in this machine's memory or file is no call to anybody. */
const SYSTEMS = {
  memory: ['memory', 'internal'],
  embedded: ['lmdb', 'internal'],
  redis: ['redis', 'client'],
  postgres: ['postgresql', 'client'],
} as const

/** https://opentelemetry.io/docs/specs/semconv/database/database-spans/. Never a key: some let somebody in. */
export function observedStore(store: Store, waitingFor: WaitingFor | undefined, where: StorageConfig['kind']): Store {
  if (!waitingFor) return store
  const [system, kind] = SYSTEMS[where]
  const around = <R>(operation: string, table: string, work: () => Promise<R>): Promise<R> => {
    const attributes = { 'db.system.name': system, 'db.operation.name': operation, 'db.collection.name': table }
    return waitingFor({ name: `${operation} ${table}`, kind, attributes }, work)
  }
  return {
    ...store,
    get: (table, key) => around('get', table.name, () => store.get(table, key)),
    put: (table, key, value, when) => around('put', table.name, () => store.put(table, key, value, when)),
    write: (table, values, unless) => around('write', table.name, () => store.write(table, values, unless)),
    take: (table, key) => around('take', table.name, () => store.take(table, key)),
    delete: (table, key) => around('delete', table.name, () => store.delete(table, key)),
    async *list(table, index) {
      let resolve = (): void => {}
      void around('list', table.name, () => new Promise<void>((ended) => (resolve = ended)))
      try {
        yield* store.list(table, index)
      } finally {
        resolve()
      }
    },
  }
}
