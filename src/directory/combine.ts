import type { DirectorySource, Entry } from './model.ts'
import { earliest, latest } from '../lib/time.ts'

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
  return {
    name: sources.map(({ name }) => name).join('+'),
    async lookup(user, signal, priority) {
      const readings = sources.map(async (source): Promise<Entry | undefined> => {
        const entry = await source.lookup(user, signal, priority)
        return entry && { source: source.name, ...entry }
      })
      const known = (await Promise.all(readings)).filter((entry) => entry !== undefined)
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
