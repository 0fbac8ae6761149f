/**
 * Work that Okta may let wait, but no longer than `timeout` milliseconds. The timers inside of it keep no process alive;
 * this one does.
 */
export async function withDeadline<T>(timeout: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const ending = new AbortController()
  const timer = setTimeout(() => ending.abort(new Error('it took too long')), timeout)
  try {
    return await work(ending.signal)
  } finally {
    clearTimeout(timer)
  }
}

/** Rate limits can make Okta's answers wait. */
export const OKTA_TIMEOUT_MS = 30_000
