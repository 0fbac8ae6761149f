import { createStaticSource, type StaticPerson } from '../../src/directory/static.ts'
import type { DirectorySource } from '../../src/directory/model.ts'
import type { Subject } from '../../src/types.ts'
import { manualClock } from '../support/clock.ts'
import { directorySourceContract, type SourceWorld } from './directory-source.ts'

/** A file that is written again, and so a new source, for each change. */
async function staticWorld(): Promise<SourceWorld> {
  const clock = manualClock()
  const people = new Map<Subject, StaticPerson>()
  const source: DirectorySource = {
    name: 'static',
    lookup: (...asked) => createStaticSource({ people: [...people.values()], clock }).lookup(...asked),
  }
  return {
    source,
    clock,
    person: (n) => `person-${n}`,
    group: (n) => ({ id: `Group ${n}`, name: `Group ${n}` }),
    async setActive(user, groups) {
      people.set(user, { id: user, groups: groups.map(({ name }) => name) })
    },
    async suspend(user) {
      people.set(user, { id: user, status: 'inactive', groups: people.get(user)?.groups ?? [] })
      return 'INACTIVE'
    },
    async remove(user) {
      people.delete(user)
    },
    async close() {},
  }
}

directorySourceContract('static', staticWorld)
