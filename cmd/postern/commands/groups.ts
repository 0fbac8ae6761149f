import { AppError, ERRORS } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { openOperator, type PersonView, readLive } from '../../../src/operator.ts'
import { groupKey } from '../../../src/policy/membership.ts'
import type { Config, Millis } from '../../../src/types.ts'
import { readConfiguration } from '../configuration.ts'
import type { Io } from '../io.ts'
import { messagesTo } from '../messages.ts'
import { ago, count, instant, printable, table } from '../text.ts'

export interface GroupsShowOptions {
  readonly config: string | undefined
  /** Subject or e-mail address; with `live` an Okta user id or login. */
  readonly user: string | undefined
  /** Name or id, as in a rule. */
  readonly group: string | undefined
  readonly live: boolean
  readonly json: boolean
}

/** Rate limits can make Okta's answer wait. */
const LIVE_TIMEOUT_MS = 30_000

/** Shows one person's groups, or one group's people. Exit code 0, 1 (nobody), 3 (not valid) or 4 (store or Okta). */
export async function groupsShowCommand(options: GroupsShowOptions, io: Io): Promise<number> {
  const { user, group, live, json } = options
  if ((user === undefined) === (group === undefined)) {
    throw new AppError('ERR_USAGE', 'expected a user, or --group with the name or id of a group')
  }
  if (group !== undefined && live) throw new AppError('ERR_USAGE', '--live reads one person: expected a user')
  const loaded = await readConfiguration(options.config, io)
  if (!loaded) return ERRORS.ERR_CONFIG_INVALID.exit
  const now = (io.clock ?? systemClock).now()
  if (user !== undefined) {
    const person = await findPerson(user, live, loaded.config, io)
    if ('problem' in person) {
      io.err(printable(person.problem))
      return 1
    }
    if (json) io.out(JSON.stringify(personToJson(person, now), undefined, 2))
    else for (const line of describePerson(person, loaded.config, now)) io.out(line)
    return 0
  }
  const people = await peopleOf(group ?? '', loaded.config, io)
  if (json) io.out(JSON.stringify({ group, people: people.map((one) => personToJson(one, now)) }, undefined, 2))
  else if (people.length > 0) for (const line of describePeople(people, now)) io.out(line)
  if (people.length === 0) io.err(`nobody whose groups are known is in ${JSON.stringify(group)}`)
  return people.length === 0 ? 1 : 0
}

/** One person from the store, or from Okta; why not, when nobody or more than one person is meant. */
export async function findPerson(
  user: string,
  live: boolean,
  config: Config,
  io: Io,
): Promise<PersonView | { readonly problem: string }> {
  const clock = io.clock ?? systemClock
  if (live) {
    const signal = AbortSignal.timeout(LIVE_TIMEOUT_MS)
    const person = await readLive(config, user, { clock, logger: silentLogger }, signal)
    return person ?? { problem: `Okta has no user ${JSON.stringify(user)}; give a user id (00u…) or a login` }
  }
  const operator = openOperator(config, { clock, logger: messagesTo(io) })
  try {
    const people = await operator.people(user)
    const [person, another] = people
    if (another) {
      return {
        problem: `several people have the address ${user}; give one of their ids: ${people.map(({ subject }) => subject).join(', ')}`,
      }
    }
    return (
      person ?? {
        problem: `nothing is known of ${JSON.stringify(user)}: nobody of this id or address has signed in lately; --live asks Okta`,
      }
    )
  } finally {
    await operator.close()
  }
}

async function peopleOf(group: string, config: Config, io: Io): Promise<readonly PersonView[]> {
  const operator = openOperator(config, { clock: io.clock ?? systemClock, logger: messagesTo(io) })
  const key = groupKey(group)
  const people: PersonView[] = []
  try {
    for await (const person of operator.everybody()) {
      const membership = person.record?.membership
      if (membership !== undefined && membership !== 'unknown' && membership.keys.has(key)) people.push(person)
    }
  } finally {
    await operator.close()
  }
  return people
}

function describePerson({ subject, email, record }: PersonView, config: Config, now: Millis): readonly string[] {
  const person = email === undefined ? subject : `${email} (${subject})`
  if (!record) return [printable(person), 'Groups    unknown: never read; --live asks Okta']
  const { status, statusText, source, asOf, readAt, groups, membership } = record
  const { maxStaleness } = config.directory
  return [
    printable(person),
    printable(`Status    ${status} (${statusText})`),
    printable(`Source    ${source}, read ${ago(readAt, now)}`),
    `Evidence  ${asOf === undefined ? 'the source has no such person' : `${instant(asOf)}, ${ago(asOf, now)}`}`,
    ...(membership === 'unknown'
      ? [
          `Rules     see no groups: the reading is older than directory.max_staleness (${maxStaleness / 1000}s), or of a source that is not configured`,
        ]
      : []),
    `Groups    ${count(groups.length, 'group')}`,
    ...(groups.length > 0
      ? [
          '',
          ...table(
            ['GROUP', 'ID', 'TYPE'],
            groups.map(({ name, id, type }) => [name, id, type]),
          ),
        ]
      : []),
  ]
}

function describePeople(people: readonly PersonView[], now: Millis): readonly string[] {
  const rows = people.map(({ subject, email, record }) => [
    email ?? '-',
    subject,
    record ? record.statusText : '-',
    record?.source ?? '-',
    record ? ago(record.readAt, now) : '-',
  ])
  return table(['USER', 'ID', 'STATUS', 'SOURCE', 'READ'], rows)
}

function personToJson({ subject, email, record }: PersonView, now: Millis): object {
  return {
    user_id: subject,
    email: email ?? null,
    ...(record && {
      status: record.status,
      status_text: record.statusText,
      source: record.source,
      as_of: record.asOf === undefined ? null : new Date(record.asOf).toISOString(),
      read_at: new Date(record.readAt).toISOString(),
      age_seconds: Math.floor(Math.max(0, now - (record.asOf ?? record.readAt)) / 1000),
      known_to_rules: record.membership !== 'unknown',
    }),
    groups: record ? record.groups : null,
  }
}
