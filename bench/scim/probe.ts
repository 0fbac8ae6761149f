/**
 * Loaded before the program (`--import`): measures how long the main thread computes from one turn of the event loop to the
 * next. CPU time by the kernel, so that a busy machine does not show. Takes the rest of its core.
 */
import { openSync, readSync } from 'node:fs'
import { createServer } from 'node:http'

const port = Number(process.env['BENCH_PROBE'])
// The first figure is the nanoseconds on a core (Documentation/scheduler/sched-stats.rst of Linux).
const file = openSync(`/proc/${process.pid}/task/${process.pid}/schedstat`, 'r')
const figures = Buffer.alloc(64)
let before = onCore()
let longest = 0

function onCore(): number {
  readSync(file, figures, 0, figures.length, 0)
  return Number(figures.toString('latin1', 0, figures.indexOf(' '))) / 1e6
}

function turn(): void {
  const now = onCore()
  longest = Math.max(longest, now - before)
  before = now
  setImmediate(turn).unref()
}

turn()

/** The longest turn since somebody asked, in milliseconds. */
createServer((_, res) => {
  res.end(String(longest))
  longest = 0
})
  .listen(port, '127.0.0.1')
  .unref()
