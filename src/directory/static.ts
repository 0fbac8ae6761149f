import { AppError } from '../errors.ts'
import type { Clock, Subject } from '../types.ts'
import type { DirectorySource, Group, UserStatus } from './model.ts'
import { asSourceTime } from '../lib/time.ts'

/** One person of the static file. Login and e-mail are for those who read the file: people are matched by subject alone. */
export interface StaticPerson {
  readonly id: Subject
  /** `active` unless said. */
  readonly status?: UserStatus
  /** Names or Okta ids, as rules write them. */
  readonly groups: readonly string[]
}

/**
 * People and groups that somebody wrote down. Always at hand, hence always fresh; a change of the file is a new source.
 * Throws ERR_CONFIG_INVALID when a person is listed twice: nobody could say which groups were meant.
 */
export function createStaticSource(deps: {
  readonly people: readonly StaticPerson[]
  readonly clock: Clock
}): DirectorySource {
  const { people, clock } = deps
  const byId = new Map<Subject, StaticPerson>()
  for (const person of people) {
    if (byId.has(person.id)) {
      throw new AppError('ERR_CONFIG_INVALID', `static directory: ${JSON.stringify(person.id)} is listed twice`)
    }
    byId.set(person.id, person)
  }

  return {
    name: 'static',
    async lookup(user, signal) {
      if (signal.aborted) throw new AppError('ERR_DIRECTORY_UNREACHABLE', 'static: the reading was given up')
      const person = byId.get(user)
      if (!person) return undefined
      const status = person.status ?? 'active'
      const groups = status === 'active' ? [...new Set(person.groups)].map(toGroup) : []
      return { subject: user, status, statusText: status.toUpperCase(), groups, asOf: asSourceTime(clock.now()) }
    },
  }
}

/** The one value is what rules match, be it a name or an id. */
function toGroup(value: string): Group {
  return { id: value, name: value, type: 'CLAIM' }
}
