/**
 * Notices that files changed. Kubernetes swaps a symlink in the mounted directory, editors replace the file, some
 * file systems report nothing: so the *directories* are watched, contents are compared by hash, and a slow poll
 * catches the rest.
 */
import { createHash } from 'node:crypto'
import { type FSWatcher, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { every } from '../lib/clock.ts'
import type { Clock, Millis, Unsubscribe } from '../types.ts'

export interface WatchDeps {
  readonly clock: Clock
  readonly debounce?: Millis
  readonly poll?: Millis
}

export interface FileWatch {
  /** Replaces the list, for instance after a configuration that names other files. Contents as of now count as known. */
  follow(files: readonly string[]): Promise<void>
  /** Compares now; `onChange` runs when any content differs. */
  check(): Promise<void>
  close(): void
}

export function watchFiles(onChange: () => void, { clock, debounce = 250, poll = 30_000 }: WatchDeps): FileWatch {
  let files: readonly string[] = []
  let known = ''
  let watchers: readonly FSWatcher[] = []
  let pending: Unsubscribe | undefined
  const stopPolling = every(clock, poll, () => void check())

  async function check(): Promise<void> {
    const hash = await contentHash(files)
    if (hash === known) return
    known = hash
    onChange()
  }

  function soon(): void {
    pending?.()
    pending = clock.after(debounce, () => void check())
  }

  function watchDirectory(directory: string): FSWatcher[] {
    try {
      const watcher = watch(directory, { persistent: false }, soon)
      // A directory that is removed ends its watcher; the poll goes on.
      watcher.on('error', () => watcher.close())
      return [watcher]
    } catch {
      // Not watchable (no inotify left, not there yet): the poll finds changes.
      return []
    }
  }

  return {
    async follow(next) {
      files = next
      known = await contentHash(files)
      for (const watcher of watchers) watcher.close()
      watchers = [...new Set(files.map((file) => dirname(file)))].flatMap(watchDirectory)
    },
    check,
    close() {
      stopPolling()
      pending?.()
      for (const watcher of watchers) watcher.close()
      watchers = []
    },
  }
}

async function contentHash(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) {
    const content = await readFile(file).catch(() => 'unreadable')
    hash.update(`${file}\n${content.length}\n`).update(content)
  }
  return hash.digest('hex')
}
