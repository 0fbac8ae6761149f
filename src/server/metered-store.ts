import type { Clock, Store } from '../types.ts'
import type { Registry } from './registry.ts'
import { elapsed } from '../lib/time.ts'

/** A store whose operations are counted, timed and, when they fail, counted by name. Streams (`list`) count as one operation. */
export function meteredStore(store: Store, metrics: Registry, clock: Clock): Store {
  const durations = metrics.histogram('session_store_op_duration_seconds', 'Time of one store operation.', ['op'])
  const errors = metrics.counter('session_store_errors_total', 'Store operations that failed.', ['op'])

  function metered(op: string): <R>(run: () => Promise<R>) => Promise<R> {
    const duration = durations.series(op)
    const failed = errors([op])
    return async (run) => {
      const started = clock.monotonic()
      try {
        return await run()
      } catch (error) {
        failed()
        throw error
      } finally {
        duration.observe(elapsed(clock.monotonic(), started) / 1000)
      }
    }
  }
  const [get, put, write, take, remove, lease, owing, ping] = [
    metered('get'),
    metered('put'),
    metered('write'),
    metered('take'),
    metered('delete'),
    metered('lease'),
    metered('owe'),
    metered('ping'),
  ]

  const { owe, sealAnew } = store

  return {
    get: (table, key) => get(() => store.get(table, key)),
    put: (table, key, value, when) => put(() => store.put(table, key, value, when)),
    write: (table, values, unless) => write(() => store.write(table, values, unless)),
    take: (table, key) => take(() => store.take(table, key)),
    delete: (table, key) => remove(() => store.delete(table, key)),
    lease: (name, ttl) => lease(() => store.lease(name, ttl)),
    list: (table, index) => store.list(table, index),
    count: (table) => store.count(table),
    watch: (listener, onGap) => store.watch(listener, onGap),
    heardAt: () => store.heardAt(),
    ...(sealAnew && { sealAnew }),
    ...(owe && { owe: (debts) => owing(() => owe(debts)) }),
    ping: () => ping(() => store.ping()),
    trouble: () => store.trouble(),
    close: () => store.close(),
  }
}
