import type { Exchange } from '../../src/http/exchange.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { listen, type ListenDeps } from '../../src/server/listen.ts'

export interface Listening {
  readonly port: number
  /** Ends every connection. */
  close(): Promise<void>
}

/** A listener and its codecs, with nothing behind them but `handle`. No client is too slow for it within a test. */
export async function listening(
  handle: (exchange: Exchange) => Promise<void>,
  options: Pick<ListenDeps, 'codecType' | 'tls'> = {},
): Promise<Listening> {
  const listener = await listen({
    listen: { host: '127.0.0.1', port: 0 },
    timeouts: {
      timeoutRead: 60_000,
      timeoutIdle: 60_000,
      clientBodyTimeout: 60_000,
      clientBodyMinRate: 0,
      clientWriteTimeout: 60_000,
      tunnelIdleTimeout: 60_000,
    },
    clock: systemClock,
    logger: silentLogger,
    refused() {},
    handle,
    ...options,
  })
  return {
    port: listener.address.port,
    async close() {
      const stopped = listener.stop()
      listener.destroy()
      await stopped
    },
  }
}
