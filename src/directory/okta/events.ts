import { validator } from '../../lib/json-schema.ts'
import type { SourceTime, Span, WallTime } from '../../types.ts'
import type { Request, Signal } from '../signals.ts'
import { asSourceTime, asWallTime, earlier, earliest, later, sourceTime } from '../../lib/time.ts'
import { isOktaId } from './shapes.ts'

/** The parts of a log event that are read (okta-api.md#event-hooks); hooks and the System Log share the shape. */
export interface LogEvent {
  readonly uuid: string
  readonly eventType: string
  /** ISO 8601 with milliseconds. */
  readonly published: string
  readonly legacyEventType?: string | null
  readonly outcome?: { readonly result: string } | null
  readonly target?: readonly { readonly id: string; readonly type: string }[] | null
}

const WORD = { type: 'string', minLength: 1, maxLength: 200 } as const
const EVENT = {
  type: 'object',
  required: ['uuid', 'eventType', 'published'],
  properties: {
    uuid: WORD,
    eventType: WORD,
    published: { type: 'string', pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,9})?Z$' },
    legacyEventType: { type: ['string', 'null'], maxLength: 200 },
    outcome: { type: ['object', 'null'], required: ['result'], properties: { result: WORD } },
    target: {
      type: ['array', 'null'],
      maxItems: 1000,
      items: { type: 'object', required: ['id', 'type'], properties: { id: { type: 'string' }, type: WORD } },
    },
  },
} as const

const hasForm = validator<LogEvent>(EVENT)

export function isLogEvent(value: unknown): value is LogEvent {
  return hasForm(value) && !Number.isNaN(Date.parse(value.published))
}

export function publishedAt({ published }: LogEvent): SourceTime {
  return sourceTime(Date.parse(published))
}

const MOST_PAIRS = 100

/** When something happened: on Okta's clock, and on ours. */
interface Moment {
  readonly at: SourceTime
  readonly before: WallTime
}

type Reading = (event: LogEvent, moment: Moment, apps: readonly string[]) => readonly (Signal | Request)[]

/** `group.user_membership.*`, and what imports write instead (okta-api.md#which-event-tells-what). */
const membership =
  (member: boolean): Reading =>
  (event, { at }) => {
    const groups = idsOf(event, 'UserGroup')
    const users = idsOf(event, 'User')
    // Okta writes one event for one person and one group. All pairs of two long lists would be a million.
    if (users.length * groups.length > MOST_PAIRS) return [{ kind: 'reconcile' }]
    return users.flatMap((user) =>
      groups.map((group) => ({ kind: 'member', user, group, member, at }) satisfies Signal),
    )
  }
const inactive =
  (statusText: string): Reading =>
  (event, { at }) =>
    idsOf(event, 'User').map((user) => ({ kind: 'inactive', user, statusText, at }))
const reread: Reading = (event, { at }) => idsOf(event, 'User').map((user) => ({ kind: 'reread', user, at }))
const sessionsEnded: Reading = (event, { before }) =>
  idsOf(event, 'User').map((user) => ({ kind: 'sessions-ended', user, before }))
const groupDeleted: Reading = (event, { at }) =>
  idsOf(event, 'UserGroup').map((group) => ({ kind: 'group-deleted', group, at }))
const groupChanged: Reading = (event) => idsOf(event, 'UserGroup').map((group) => ({ kind: 'read-group', group }))
const reconcile: Reading = () => [{ kind: 'reconcile' }]
/** Only of an application that people sign in to Postern with. */
const appTaken: Reading = (event, moment, apps) => (isAbout(event, apps) ? sessionsEnded(event, moment, apps) : [])
const appTakenFromGroup: Reading = (event, { before }, apps) =>
  isAbout(event, apps)
    ? idsOf(event, 'UserGroup').map((group) => ({ kind: 'group-sessions-ended', group, before }))
    : []

/** What imports say is told by the old event type alone; a pair that cannot be made out needs the reconcile. */
const imported: Reading = (event, moment, apps) => {
  const old = event.legacyEventType ?? ''
  if (old.endsWith('_failure')) return []
  const read = IMPORTED[old]
  const signals = read?.(event, moment, apps) ?? []
  return signals.length > 0 ? signals : [...reread(event, moment, apps), { kind: 'reconcile' }]
}

const IMPORTED: Readonly<Record<string, Reading>> = {
  'app.user_management.app_group_member_import.insert_success': membership(true),
  'app.user_management.app_group_member_import.delete_success': membership(false),
  'app.user_management.user_group_import.delete_success': groupDeleted,
  'app.user_management.user_group_import.upsert_success': groupChanged,
}

/** Every event type that is acted upon (okta-api.md#which-event-tells-what). */
const READINGS: Readonly<Record<string, Reading>> = {
  'group.user_membership.add': membership(true),
  'group.user_membership.remove': membership(false),
  'app.user_management': imported,
  'app.user_management.user_group_import.delete_success': groupDeleted,
  'app.user_management.user_group_import.upsert_success': groupChanged,
  'group.lifecycle.delete': groupDeleted,
  'system.import.group.delete': groupDeleted,
  'group.profile.update': groupChanged,
  'group.application_assignment.remove': appTakenFromGroup,
  'application.user_membership.remove': appTaken,
  'user.lifecycle.deactivate': inactive('DEPROVISIONED'),
  'user.lifecycle.suspend': inactive('SUSPENDED'),
  'user.lifecycle.delete.initiated': inactive('DELETED'),
  'user.lifecycle.delete.completed': inactive('DELETED'),
  'user.account.lock': inactive('LOCKED_OUT'),
  'user.lifecycle.activate': reread,
  'user.lifecycle.reactivate': reread,
  'user.lifecycle.unsuspend': reread,
  'user.account.unlock': reread,
  'user.account.unlock_by_admin': reread,
  'user.session.clear': sessionsEnded,
  'user.authentication.universal_logout': sessionsEnded,
  'system.import.group_membership.complete': reconcile,
  'system.import.membership_processing.complete': reconcile,
}

/** Not eligible for hooks: only the log has them (okta-api.md#event-hooks). */
const LOG_ONLY: ReadonlySet<string> = new Set([
  'app.user_management.user_group_import.delete_success',
  'app.user_management.user_group_import.upsert_success',
  'user.lifecycle.delete.completed',
  'system.import.group_membership.complete',
  'system.import.membership_processing.complete',
])

/** What to subscribe a hook to. */
export const HOOK_EVENT_TYPES: readonly string[] = Object.keys(READINGS).filter((type) => !LOG_ONLY.has(type))

/** The `filter` of a System Log query that asks for all of these and nothing else (okta-api.md#system-log). */
export const LOG_FILTER: string = Object.keys(READINGS)
  .map((type) => `eventType eq "${type}"`)
  .join(' or ')

/**
 * What an event means; empty: nothing to us. Only what succeeded counts. `apps`: client ids, which are the ids of the
 * applications too. `lead`: see `OktaClient`. An event's own time counts, but never one that lies ahead: a wrong date must
 * not outlive the truth.
 */
export function signalsOf(
  event: LogEvent,
  { apps, now, lead }: { readonly apps: readonly string[]; readonly now: WallTime; readonly lead: Span },
): readonly (Signal | Request)[] {
  if (event.outcome && event.outcome.result !== 'SUCCESS') return []
  const read = Object.hasOwn(READINGS, event.eventType) ? READINGS[event.eventType] : undefined
  const at = earliest(publishedAt(event), earlier(asSourceTime(now), lead))
  return read?.(event, { at, before: later(asWallTime(at), Math.max(0, lead)) }, apps) ?? []
}

function isAbout(event: LogEvent, apps: readonly string[]): boolean {
  return idsOf(event, 'AppInstance').some((app) => apps.includes(app))
}

/** Targets come in any order: by type, and only what can be an Okta id. */
function idsOf({ target }: LogEvent, type: string): readonly string[] {
  const ids = (target ?? []).filter((each) => each.type === type && isOktaId(each.id)).map(({ id }) => id)
  return [...new Set(ids)]
}
