import type { ManualClock } from './clock.ts'

/**
 * Lets time pass, `step` milliseconds a turn, until `done` says so. `done` should ask over a socket (or take a turn of
 * the event loop otherwise): answers that are under way need real turns, not the clock's. Rejects after `turns`.
 */
export async function timePasses(
  clock: ManualClock,
  done: () => Promise<boolean> | boolean,
  step = 2000,
  turns = 300,
): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    if (await done()) return
    await clock.advanceAsync(step)
  }
  throw new Error(`it did not happen within ${turns * step} ms`)
}

/** Awaits `work` while the clock runs about ten times as fast as usual. */
export async function whileTimePasses<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  let settled = false
  const finish = (): void => {
    settled = true
  }
  work.then(finish, finish)
  await timePasses(clock, () => new Promise((resolve) => setTimeout(() => resolve(settled), 1)), 15, 10_000)
  return work
}
