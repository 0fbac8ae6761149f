/**
 * Ends a test file that hangs, and says where. A time limit of the test runner is a timer in the same thread: it never
 * comes due in an endless loop or in a synchronous call that waits.
 */
import { Worker } from 'node:worker_threads'
import { expect } from 'vitest'

const beats = new Int32Array(new SharedArrayBuffer(4))
setInterval(() => Atomics.add(beats, 0, 1), 1_000).unref()

new Worker(new URL('watchdog-thread.mjs', import.meta.url), {
  workerData: { beats, file: expect.getState().testPath },
  execArgv: [],
}).unref()
