import type { Clock, Store } from '../types.ts'
import type { Metrics } from './metrics.ts'

/** A store whose operations are counted, timed and, when they fail, counted by name. Streams (`list`) count as one operation. */
export function meteredStore(store: Store, metrics: Metrics, clock: Clock): Store {
  const durations = metrics.histogram('session_store_op_duration_seconds', 'Time of one store operation.', ['op'])
  const errors = metrics.counter('session_store_errors_total', 'Store operations that failed.', ['op'])

  function metered<A extends readonly unknown[], R>(
    op: string,
    run: (...args: A) => Promise<R>,
  ): (...args: A) => Promise<R> {
    const duration = durations.series(op)
    const failed = errors([op])
    return async (...args) => {
      const started = clock.now()
      try {
        return await run(...args)
      } catch (error) {
        failed()
        throw error
      } finally {
        duration.observe((clock.now() - started) / 1000)
      }
    }
  }

  return {
    get: metered('get', store.get) as Store['get'],
    put: metered('put', store.put) as Store['put'],
    take: metered('take', store.take) as Store['take'],
    delete: metered('delete', store.delete),
    lease: metered('lease', store.lease),
    list: (table, index) => store.list(table, index),
    watch: (listener) => store.watch(listener),
    close: () => store.close(),
  }
}
