import type { Store } from '../../types.ts'
import { wallTime } from '../../lib/time.ts'
import type { LiveDirectory } from '../directory.ts'
import { createFeedTable } from './position.ts'

/** The feed has not been at its end yet; a number, because the store keeps no negative infinity. */
export const NOT_YET = wallTime(0)

/**
 * Tells the directory how far the feed has come: at the start, and for as long as another process is the one that polls.
 * `org`: its origin. What cannot be read now is read with the next poll.
 */
export function createFeedFollower(deps: {
  readonly directory: Pick<LiveDirectory, 'cover'>
  readonly store: Store
  readonly org: string
  readonly leads: () => boolean
}): { /** Never rejects. */ start(): Promise<void>; close(): void } {
  const { directory, store, org, leads } = deps
  const table = createFeedTable()
  let unwatch = (): void => {}

  async function follow(): Promise<void> {
    const stored = await store.get(table, org).catch(() => undefined)
    if (stored && stored.value.upTo > NOT_YET) directory.cover(stored.value)
  }
  const followOther = (): void => void (leads() || follow())

  return {
    async start() {
      unwatch = store.watch(({ table: name, key, kind }) => {
        if (name === table.name && key === org && kind === 'put') followOther()
      }, followOther)
      await follow()
    },
    close: () => unwatch(),
  }
}
