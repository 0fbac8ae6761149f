import { AppError } from '../../errors.ts'
import type { Clock, DirectorySource, Entry, Group, Logger, Millis, Subject, UserStatus } from '../../types.ts'
import type { OktaAnswer } from './answer.ts'
import type { CallOptions, OktaClient } from './client.ts'
import { compileShapes, type OktaGroup } from './shapes.ts'

/** Okta's evidence may be this much older than its `Date` (okta.md §3.5, rule 1). */
const EVIDENCE_MARGIN: Millis = 2000
/** What Okta serves at once whatever is asked for (okta.md §2.2). */
const PAGE = '200'
/**
 * Whose session lives on (okta.md §2.3): an expired password or a recovery stops the next sign-in, not this person.
 * Any other word, a new one too, is inactive.
 */
const ACTIVE: ReadonlySet<string> = new Set(['ACTIVE', 'PASSWORD_EXPIRED', 'RECOVERY'])
/** Okta ids. Anything else would address another resource, `me` and logins included; see also the check of `id`. */
const ID = /^[A-Za-z0-9_-]{1,100}$/

export interface OktaSource extends DirectorySource {
  /** Group records that could not be read and were left out, since the start. */
  skipped(): number
}

/** Reads one person from Okta: their status and, while active, all their groups. */
export function createOktaSource({
  client,
  clock,
  logger,
}: {
  readonly client: OktaClient
  readonly clock: Clock
  readonly logger: Logger
}): OktaSource {
  const { isUser, isGroup } = compileShapes()
  let skipped = 0

  async function readGroups(user: Subject, options: CallOptions): Promise<readonly Group[] | undefined> {
    const path = `/api/v1/users/${user}/groups`
    let groups: Group[] | undefined
    for await (const page of client.pages(path, { limit: PAGE }, options)) {
      groups = (groups ?? []).concat(groupsOf(page, path))
    }
    return groups
  }

  /** A record that cannot be read is left out: one odd group must not cost a person all others. */
  function groupsOf({ body }: OktaAnswer, path: string): readonly Group[] {
    if (!Array.isArray(body)) throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: GET ${path} is not a list`)
    const readable = body.filter(isGroup)
    const unreadable = body.length - readable.length
    if (unreadable > 0 && readable.length === 0) {
      throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: GET ${path} holds no group that can be read`)
    }
    if (unreadable > 0) {
      skipped += unreadable
      logger.warn({ path, unreadable }, 'okta: group records that cannot be read were left out')
    }
    return readable.map(toGroup)
  }

  return {
    name: 'okta',
    skipped: () => skipped,

    async lookup(user, signal, priority = 'sign-in') {
      if (!ID.test(user)) return undefined
      const options: CallOptions = { signal, priority }
      const startedAt = clock.now()
      const path = `/api/v1/users/${user}`
      const answer = await client.get(path, {}, options)
      if (!answer) return undefined
      if (!isUser(answer.body)) {
        throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: GET ${path} is not a user`)
      }
      // Okta also finds people by login and by short name; only the id is the person who signed in.
      if (answer.body.id !== user) return undefined
      const status: UserStatus = ACTIVE.has(answer.body.status) ? 'active' : 'inactive'
      const groups = status === 'active' ? await readGroups(user, options) : []
      if (!groups) return undefined
      return {
        subject: user,
        status,
        statusText: answer.body.status,
        groups,
        asOf: (answer.date ?? startedAt) - EVIDENCE_MARGIN,
      } satisfies Entry
    },
  }
}

/** A type that we do not know may carry any name, like an imported group: rules match it by id only. */
function toGroup({ id, type, profile }: OktaGroup): Group {
  return { id, name: profile.name, type: type === 'OKTA_GROUP' || type === 'BUILT_IN' ? type : 'APP_GROUP' }
}
