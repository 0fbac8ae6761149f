import { AppError } from '../../errors.ts'
import type { Clock, Logger, SourceTime, Subject } from '../../types.ts'
import type { DirectorySource, Entry, Group } from '../model.ts'
import { DATE_PRECISION, EVIDENCE_MARGIN, LIST_PAGE, type OktaAnswer } from './answer.ts'
import type { CallOptions, OktaClient } from './client.ts'
import { isOktaGroup, isOktaId, isOktaUser, statusOf, toGroup } from './shapes.ts'
import { asSourceTime, earlier, later, latest, NEVER } from '../../lib/time.ts'

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
  let skipped = 0

  /** `readUntil`: Okta's time of the last page. */
  async function readGroups(
    user: Subject,
    options: CallOptions,
  ): Promise<{ readonly groups: readonly Group[]; readonly readUntil: SourceTime } | undefined> {
    const path = `/api/v1/users/${user}/groups`
    let list: { readonly groups: readonly Group[]; readonly readUntil: SourceTime } | undefined
    for await (const page of client.pages(path, { limit: LIST_PAGE }, options)) {
      list = {
        groups: [...(list?.groups ?? []), ...groupsOf(page, path)],
        readUntil: latest(list?.readUntil ?? NEVER, page.date ?? asSourceTime(clock.now())),
      }
    }
    return list
  }

  /** A record that cannot be read is left out: one odd group must not cost a person all others. */
  function groupsOf({ body }: OktaAnswer, path: string): readonly Group[] {
    if (!Array.isArray(body)) throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: GET ${path} is not a list`)
    const readable = body.filter(isOktaGroup)
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
      if (!isOktaId(user)) return undefined
      const options: CallOptions = { signal, priority }
      const startedAt = asSourceTime(clock.now())
      const path = `/api/v1/users/${user}`
      const answer = await client.get(path, {}, options)
      if (!answer) return undefined
      if (!isOktaUser(answer.body)) {
        throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: GET ${path} is not a user`)
      }
      // Okta also finds people by login and by short name; only the id is the person who signed in.
      if (answer.body.id !== user) return undefined
      const status = statusOf(answer.body.status)
      const date = answer.date ?? startedAt
      const list = status === 'active' ? await readGroups(user, options) : { groups: [], readUntil: date }
      if (!list) return undefined
      return {
        subject: user,
        status,
        statusText: answer.body.status,
        groups: list.groups,
        asOf: earlier(date, EVIDENCE_MARGIN),
        upTo: later(list.readUntil, DATE_PRECISION),
      } satisfies Entry
    },
  }
}
