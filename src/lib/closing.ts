import type { Clock, Span } from '../types.ts'
import { systemClock } from './clock.ts'

/** After a start that failed: what takes longer to close is left to the end of the process. */
const PATIENCE: Span = 3000

/** What was opened, to be closed in reverse order, also when something after it cannot be opened. */
export interface Closing {
  add(close: () => unknown): void
  /** Closes each, whatever happens to the others, and rejects with the first error. */
  close(): Promise<void>
}

function createClosing(): Closing {
  const closes: (() => unknown)[] = []
  return {
    add: (close) => void closes.push(close),
    async close() {
      const errors: unknown[] = []
      for (const close of closes.splice(0).toReversed()) {
        try {
          await close()
        } catch (error) {
          errors.push(error)
        }
      }
      if (errors.length > 0) throw errors[0]
    },
  }
}

/** `open` adds what it opens; all of it is closed again when it fails, as far as it lets itself be. */
export async function openAll<T>(open: (closing: Closing) => Promise<T>, clock: Clock = systemClock): Promise<T> {
  const closing = createClosing()
  try {
    return await open(closing)
  } catch (error) {
    // Why the start failed matters; a failure to close after it does not.
    const closed = closing.close().catch(() => undefined)
    await Promise.race([closed, new Promise((resolve) => clock.after(PATIENCE, () => resolve(undefined)))])
    throw error
  }
}
