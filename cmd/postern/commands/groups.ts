import { AppError, ERRORS } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { readLive } from '../../../src/okta-account.ts'
import type { FeedView, PersonRecord, PersonView } from '../../../src/operator.ts'
import { groupKey } from '../../../src/policy/membership.ts'
import type { Config } from '../../../src/config/model.ts'
import { issuerOf } from '../../../src/lib/person.ts'
import type { PersonKey, Span, WallTime } from '../../../src/types.ts'
import { readConfiguration } from '../configuration.ts'
import { OKTA_TIMEOUT_MS, withDeadline } from '../deadline.ts'
import type { Io } from '../io.ts'
import { providerNamed } from '../judge.ts'
import { withOperator } from '../operator.ts'
import { askRunning } from '../running.ts'
import { ago, count, instant, printable, table } from '../text.ts'
import { asWallTime, elapsed, isoTime } from '../../../src/lib/time.ts'

export interface GroupsShowOptions {
  readonly config: string | undefined
  /** Subject or e-mail address; with `live` an Okta user id or login. */
  readonly user: string | undefined
  /** Name or id, as in a rule. */
  readonly group: string | undefined
  readonly live: boolean
  /** Name of the identity provider whose people are meant by `live`; the default one without. */
  readonly provider: string | undefined
  readonly json: boolean
}

/** What keeps everybody fresh, and what is left to do so. */
interface Upkeep {
  /** undefined: there is no feed, or nobody looked (`--live`). */
  readonly feed: FeedView | undefined
  readonly running: Awaited<ReturnType<typeof askRunning>>
}

/** Shows one person's groups, or one group's people. Exit code 0, 1 (nobody), 2 (a store that cannot be shared), 3 (not valid) or 4 (store or Okta). */
export async function groupsShowCommand(options: GroupsShowOptions, io: Io): Promise<number> {
  const { user, group, live, provider, json } = options
  if ((user === undefined) === (group === undefined)) {
    throw new AppError('ERR_USAGE', 'expected a user, or --group with the name or id of a group')
  }
  if (provider !== undefined && !live) throw new AppError('ERR_USAGE', '--provider says whom --live asks: give both')
  if (group !== undefined && live) throw new AppError('ERR_USAGE', '--live reads one person: expected a user')
  const loaded = await readConfiguration(options.config, io)
  if (!loaded) return ERRORS.ERR_CONFIG_INVALID.exit
  const { config } = loaded
  const now = (io.clock ?? systemClock).now()
  const readUpkeep = async (person?: PersonKey): Promise<Upkeep> => ({
    feed: live ? undefined : await withOperator(config, io, (operator) => operator.feed(person)),
    running: await askRunning(config.fixed.metricsAddress),
  })
  if (user !== undefined) {
    const person = await findPerson(user, live, provider, config, io)
    if ('problem' in person) {
      io.err(printable(person.problem))
      return 1
    }
    const upkeep = await readUpkeep(person.person)
    if (json) io.out(JSON.stringify({ ...personToJson(person, now), ...upkeepToJson(upkeep, now) }, undefined, 2))
    else for (const line of describePerson(person, config, upkeep, now)) io.out(line)
    return 0
  }
  const people = await peopleOf(group ?? '', config, io)
  if (json) {
    const upkeep = upkeepToJson(await readUpkeep(), now)
    io.out(JSON.stringify({ group, people: people.map((one) => personToJson(one, now)), ...upkeep }, undefined, 2))
  } else if (people.length > 0) {
    for (const line of [...describePeople(people, now), '', ...describeUpkeep(await readUpkeep(), now)]) io.out(line)
  }
  if (people.length === 0) io.err(`nobody whose groups are known is in ${JSON.stringify(group)}`)
  return people.length === 0 ? 1 : 0
}

/** One person from the store, or from Okta; why not, when nobody or more than one person is meant. */
export async function findPerson(
  user: string,
  live: boolean,
  provider: string | undefined,
  config: Config,
  io: Io,
): Promise<PersonView | { readonly problem: string }> {
  if (live) {
    const clock = io.clock ?? systemClock
    const person = await withDeadline(OKTA_TIMEOUT_MS, (signal) =>
      readLive(providerNamed(config, provider), user, { clock, logger: silentLogger }, signal),
    )
    return person ?? { problem: `Okta has no user ${JSON.stringify(user)}; give a user id (00u…) or a login` }
  }
  const [person, another, ...more] = await withOperator(config, io, (operator) => operator.people(user))
  if (person && another) {
    const people = [person, another, ...more]
    const ids = new Set(people.map(({ subject }) => subject))
    // Two issuers may have given the same id; issuer and id together are one person.
    const choice = ids.size === people.length ? [...ids] : people.map((one) => JSON.stringify(one.person))
    return { problem: `several people have the address or id ${user}; give one of their ids: ${choice.join(', ')}` }
  }
  return (
    person ?? {
      problem: `nothing is known of ${JSON.stringify(user)}: nobody of this id or address has signed in lately; --live asks Okta`,
    }
  )
}

function peopleOf(group: string, config: Config, io: Io): Promise<readonly PersonView[]> {
  const key = groupKey(group)
  return withOperator(config, io, async (operator) => {
    const people: PersonView[] = []
    for await (const person of operator.everybody()) {
      const membership = person.record?.membership
      if (membership !== undefined && membership !== 'unknown' && membership.keys.has(key)) people.push(person)
    }
    return people
  })
}

function describePerson(
  { person: key, subject, email, record }: PersonView,
  config: Config,
  upkeep: Upkeep,
  now: WallTime,
): readonly string[] {
  const person = email === undefined ? subject : `${email} (${subject})`
  if (!record) {
    return [printable(person), 'Groups    unknown: never read; --live asks Okta', ...describeUpkeep(upkeep, now)]
  }
  const { status, statusText, source, asOf, readAt, groups, membership } = record
  const { maxStaleness } = (config.fixed.idps.find(({ issuer }) => issuer === issuerOf(key)) ?? config.fixed.idps[0])
    .directory
  return [
    printable(person),
    printable(`Status    ${status} (${statusText})`),
    printable(`Source    ${source}, read ${ago(readAt, now)}`),
    `Evidence  ${asOf === undefined ? 'the source has no such person' : `${instant(asOf)}, ${ago(asOf, now)}`}`,
    `Fresh     ${describeFreshness(record, now)}`,
    ...(membership === 'unknown'
      ? [
          `Rules     see no groups: what is known is older than directory.max_staleness (${maxStaleness / 1000}s), or of a source that is not configured`,
        ]
      : []),
    ...describeUpkeep(upkeep, now),
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

/** A person is as fresh as the last look of the feed that would have told of a change. */
function describeFreshness({ freshAt, readAt }: PersonRecord, now: WallTime): string {
  return `${ago(freshAt, now)}, ${freshAt > readAt ? 'by the change feed, which covers this reading' : 'by this reading'}`
}

function describeUpkeep({ feed, running }: Upkeep, now: WallTime): readonly string[] {
  const budgets = 'problem' in running ? [] : running.budgets
  const left = budgets.map(({ endpoint, remaining, limit }) => `${endpoint} ${remaining} of ${limit}`).join(', ')
  const mode =
    'problem' in running || !running.mode ? '' : { log: ', by the System Log', delta: ', by lists' }[running.mode]
  return [
    ...(feed ? [`Feed      ${describeFeed(feed, now)}${mode}`] : []),
    printable(`Budget    ${'problem' in running ? `unknown: ${running.problem}` : left || 'nothing used yet'}`),
  ]
}

function describeFeed({ upTo, newestEventAt }: FeedView, now: WallTime): string {
  if (upTo === undefined) return 'not read to its end yet'
  return `read to its end ${ago(upTo, now)}; newest event ${instant(newestEventAt)}`
}

function describePeople(people: readonly PersonView[], now: WallTime): readonly string[] {
  const rows = people.map(({ subject, email, record }) => [
    email ?? '-',
    subject,
    record ? record.statusText : '-',
    record?.source ?? '-',
    record ? ago(record.readAt, now) : '-',
    record ? ago(record.freshAt, now) : '-',
  ])
  return table(['USER', 'ID', 'STATUS', 'SOURCE', 'READ', 'FRESH'], rows)
}

function personToJson({ subject, email, record }: PersonView, now: WallTime): object {
  return {
    user_id: subject,
    email: email ?? null,
    ...(record && {
      status: record.status,
      status_text: record.statusText,
      source: record.source,
      as_of: record.asOf === undefined ? null : isoTime(record.asOf),
      read_at: isoTime(record.readAt),
      fresh_at: isoTime(record.freshAt),
      age_seconds: seconds(elapsed(now, record.asOf === undefined ? record.readAt : asWallTime(record.asOf))),
      known_to_rules: record.membership !== 'unknown',
    }),
    groups: record ? record.groups : null,
  }
}

function upkeepToJson({ feed, running }: Upkeep, now: WallTime): object {
  return {
    feed: feed
      ? {
          mode: 'problem' in running ? null : (running.mode ?? null),
          up_to: feed.upTo === undefined ? null : isoTime(feed.upTo),
          lag_seconds: feed.upTo === undefined ? null : seconds(elapsed(now, feed.upTo)),
          newest_event_at: isoTime(feed.newestEventAt),
        }
      : null,
    budget: 'problem' in running ? null : running.budgets,
  }
}

function seconds(span: Span): number {
  return Math.floor(Math.max(0, span) / 1000)
}
