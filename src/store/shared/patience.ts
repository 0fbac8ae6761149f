import type { Clock, Span } from '../../types.ts'

/** Rejects what takes longer than `patience`. */
export type Within = <T>(patience: Span, work: Promise<T>) => Promise<T>

/**
 * For work on one connection. What takes too long ends the connection: nobody knows what of it was done, and what else
 * waits behind it.
 */
export function createPatience(clock: Clock, close: (reason: string) => void): Within {
  return async (patience, work) => {
    const late = `no answer in ${patience} ms`
    let isLate = false
    const stop = clock.after(patience, () => {
      isLate = true
      close(late)
    })
    try {
      return await work
    } catch (error) {
      throw isLate ? new Error(late) : error
    } finally {
      stop()
    }
  }
}
