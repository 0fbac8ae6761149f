import type { Clock, Span } from '../types.ts'

/** Lets everything else that waits have its turn: between the pieces of work that would block the event loop as a whole. */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** A piece at a time, with a turn for everybody else between two. */
export async function* inPieces<T>(items: Iterable<T>, size: number): AsyncGenerator<readonly T[]> {
  let piece: T[] = []
  for (const item of items) {
    if (piece.length === size) {
      yield piece
      piece = []
      await yieldToEventLoop()
    }
    piece.push(item)
  }
  if (piece.length > 0) yield piece
}

/** Resolves after `delay`, or at once when the signal aborts. */
export function pause(clock: Clock, delay: Span, signal: AbortSignal): Promise<void> {
  return settledWithin(new Promise(() => {}), { clock, timeout: delay, signal })
}

/** Whichever comes first: the end of `work`, the timeout, the signal. */
export function settledWithin(
  work: Promise<void>,
  { clock, timeout, signal }: { readonly clock: Clock; readonly timeout: Span; readonly signal: AbortSignal },
): Promise<void> {
  return new Promise((resolve) => {
    const stop = clock.after(timeout, finish)
    signal.addEventListener('abort', finish, { once: true })
    void work.then(finish)
    function finish(): void {
      stop()
      signal.removeEventListener('abort', finish)
      resolve()
    }
  })
}

/** At most `most` pieces of work at a time; others wait for their turn, in the order in which they came. */
export function createTurns(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (work) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
