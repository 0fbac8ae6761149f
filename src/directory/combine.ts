import type { Subject } from '../types.ts'
import type { DirectorySource, Entry } from './model.ts'
import { earliest, latest } from '../lib/time.ts'

/** People whose parts are kept; somebody else is read from all sources. */
const MOST_KEPT = 20_000

/**
 * Several sources as one, asked at the same time, with this precedence for each person:
 *
 * 1. A source that fails makes the reading fail: what it would have said is unknown, so the rest is half a set.
 * 2. `inactive` wins, from whichever source knows the person, and the first of them gives the status in its words.
 * 3. Otherwise the first source that knows the person gives status and groups; groups of several sources are not mixed.
 * 4. Whom no source knows, nobody knows.
 *
 * The entry names its `source`. It is as old as the oldest part of the evidence, since each part could have changed it,
 * and may know what happened up to the newest.
 */
export function combineSources(sources: readonly [DirectorySource, ...DirectorySource[]]): DirectorySource {
  /** What each source said last, so that news of one costs no call to another. */
  const last = new Map<Subject, readonly (Entry | undefined)[]>()
  return {
    name: sources.map(({ name }) => name).join('+'),
    async lookup(user, signal, priority, changed) {
      const before = last.get(user)
      const readings = sources.map(async (source, i): Promise<Entry | undefined> => {
        if (changed !== undefined && before && source.name !== changed) return before[i]
        const entry = await source.lookup(user, signal, priority)
        return entry && { source: source.name, ...entry }
      })
      const said = await Promise.all(readings)
      last.delete(user)
      last.set(user, said)
      for (const oldest of last.keys()) {
        if (last.size <= MOST_KEPT) break
        last.delete(oldest)
      }
      const known = said.filter((entry) => entry !== undefined)
      const first = known.find(({ status }) => status === 'inactive') ?? known[0]
      return (
        first && {
          ...first,
          asOf: known.map(({ asOf }) => asOf).reduce(earliest),
          upTo: known.map(({ asOf, upTo }) => upTo ?? asOf).reduce(latest),
        }
      )
    },
  }
}
