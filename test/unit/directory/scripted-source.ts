import type { Clock, Subject } from '../../../src/types.ts'
import type { DirectorySource, Entry, Group, ReadPriority } from '../../../src/directory/model.ts'

export interface Lookup {
  readonly user: Subject
  readonly priority: ReadPriority
  readonly signal: AbortSignal
  answer(entry: Entry | undefined): void
  fail(error: Error): void
}

/** A source whose answers a test gives by hand, at once (`answers`) or when it wants to (`hold`). */
export interface ScriptedSource extends DirectorySource {
  readonly lookups: Lookup[]
  /** What lookups are answered with while they are not held; an Error rejects. */
  answers: (user: Subject) => Entry | undefined | Error
  hold: boolean
}

export function scriptedSource(): ScriptedSource {
  const source: ScriptedSource = {
    name: 'okta',
    lookups: [],
    answers: () => undefined,
    hold: false,
    lookup(user, signal, priority = 'sign-in') {
      return new Promise((answer, fail) => {
        source.lookups.push({ user, priority, signal, answer, fail })
        signal.addEventListener('abort', () => fail(new Error('aborted')))
        if (source.hold) return
        const said = source.answers(user)
        if (said instanceof Error) fail(said)
        else answer(said)
      })
    },
  }
  return source
}

export const group = (n: number, name = `Group ${n}`): Group => ({
  id: `00g${String(n).padStart(17, 'g')}`,
  name,
  type: 'OKTA_GROUP',
})

/** Somebody active, as seen now. */
export function entry(clock: Clock, user: Subject, groups: readonly Group[], more: Partial<Entry> = {}): Entry {
  return { subject: user, status: 'active', statusText: 'ACTIVE', groups, asOf: Number(clock.now()) - 2000, ...more }
}
