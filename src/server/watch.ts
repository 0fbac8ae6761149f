/**
 * Notices that files are no longer what was read. Kubernetes swaps a symlink in the mounted directory, editors replace
 * the file, some file systems report nothing: so the *directories* are watched, contents are compared by hash, and a
 * slow poll catches the rest.
 */
import { type FSWatcher, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ReadFiles } from '../config/load.ts'
import { every } from '../lib/clock.ts'
import { sha256 } from '../lib/crypto.ts'
import type { Clock, Span, Unsubscribe } from '../types.ts'

export interface WatchDeps {
  readonly clock: Clock
  readonly debounce?: Span
  readonly poll?: Span
}

export interface FileWatch {
  /**
   * Replaces what is watched by what a configuration was made of. The hashes are of the bytes that were read, so a change
   * before this call is noticed as well: after the debounce, because the writer may not be done.
   */
  follow(files: ReadFiles): Promise<void>
  /** Compares now; `onChange` runs once for each content that differs from what was read and from what was last seen. */
  check(): Promise<void>
  close(): void
}

export function watchFiles(onChange: () => void, { clock, debounce = 250, poll = 30_000 }: WatchDeps): FileWatch {
  let known: ReadFiles = new Map()
  let watchers: readonly FSWatcher[] = []
  let pending: Unsubscribe | undefined
  const stopPolling = every(clock, poll, () => void check())

  /** What is there now, when it is something else; undefined when it is the same. */
  async function difference(): Promise<ReadFiles | undefined> {
    const compared = known
    const current = await hashesOf([...compared.keys()])
    // Another configuration was read meanwhile: its own comparison follows.
    if (compared !== known) return undefined
    return [...current].some(([file, hash]) => hash !== compared.get(file)) ? current : undefined
  }

  async function check(): Promise<void> {
    const current = await difference()
    if (!current) return
    known = current
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
    async follow(files) {
      known = files
      for (const watcher of watchers) watcher.close()
      watchers = [...new Set([...files.keys()].map((file) => dirname(file)))].flatMap(watchDirectory)
      if (await difference()) soon()
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

async function hashesOf(files: readonly string[]): Promise<ReadFiles> {
  const read = async (file: string) => [file, await readFile(file).then(sha256, () => undefined)] as const
  return new Map(await Promise.all(files.map(read)))
}
