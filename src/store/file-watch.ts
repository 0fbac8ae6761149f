import { type FSWatcher, watch } from 'node:fs'
import { every } from '../lib/clock.ts'
import type { Clock, Span, Unsubscribe } from '../types.ts'

/** Where the system tells of no writes. */
const OFTEN: Span = 100
/** Some file systems take a watch and tell nothing. */
const SELDOM: Span = 1000

/**
 * Runs `look` when anybody, in whichever process, has written to `file`, and once a second: an idle process sleeps. The
 * system may tell a moment before the writer shows what it wrote; then the next look sees it.
 */
export function watchWrites(deps: {
  readonly file: string
  readonly clock: Clock
  readonly look: () => void
}): Unsubscribe {
  const { file, clock, look } = deps
  const watcher = open()
  let stopLooking = every(clock, watcher ? SELDOM : OFTEN, look)
  watcher?.on('error', () => {
    watcher.close()
    stopLooking()
    stopLooking = every(clock, OFTEN, look)
  })

  function open(): FSWatcher | undefined {
    try {
      return watch(file, { persistent: false }, look)
    } catch {
      // No inotify left, or none at all.
      return undefined
    }
  }

  return () => {
    watcher?.close()
    stopLooking()
  }
}
