import type { Clock, Millis } from '../types.ts'

/** Resolves after `delay`, or at once when the signal aborts. */
export function pause(clock: Clock, delay: Millis, signal: AbortSignal): Promise<void> {
  return settledWithin(new Promise(() => {}), { clock, timeout: delay, signal })
}

/** Whichever comes first: the end of `work`, the timeout, the signal. */
export function settledWithin(
  work: Promise<void>,
  { clock, timeout, signal }: { readonly clock: Clock; readonly timeout: Millis; readonly signal: AbortSignal },
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
