import type { Control } from './control.ts'
import type { Fault } from './http/faults.ts'
import { STATUSES } from './model/types.ts'

/** The fields of a control request: JSON, or a form of the page (which adds `back`). */
export type Fields = Readonly<Record<string, unknown>>

/** Throws a TypeError that says what is wrong with the fields. What it returns is added to the answer. */
export type Action = (control: Control, fields: Fields) => Promise<object> | object | void

/**
 * What `/control/{name}` does. Names of people, groups and apps as in `Control`.
 * | name | fields |
 * |---|---|
 * | people | `login`, `firstName?`, `lastName?`, `groups?` |
 * | groups | `name`, `description?`, `type?` |
 * | memberships | `group`, `user`, `member`: true or false |
 * | imports | `group`, `add?`, `remove?`: lists of people, as an import of an APP_GROUP |
 * | status | `user`, `status` |
 * | assignments | `app`, `to`, `assigned`: true or false |
 * | sessions | `user`, `tokens?`: ends them |
 * | faults | a `Fault`; `{"clear": true}` ends them all |
 * | event-delays | a `LogDelay`; `{"clear": true}` ends them all |
 * | log-cursors | drops them |
 * | index-lag | `filter`, `search`: milliseconds |
 * | clock-skew | `by`: milliseconds ahead |
 * | hook-behaviour | any of `HookBehaviour` |
 * | hook-flush | |
 * | outbound | `origin`, `host`, `port`: where calls of that origin go |
 * | scim | a `ScimConnection`; answers `connected` |
 * | scim-groups | `app`, `group`, `pushed`: true or false, `remove?` |
 * | scim-retry | |
 * | keys | `server?`, `emergency?`: rotates |
 * | reset | |
 */
const ACTIONS: Readonly<Record<string, Action>> = {
  people(control, fields) {
    const [firstName, lastName] = [optional(fields, 'firstName'), optional(fields, 'lastName')]
    control.addUser(
      { login: text(fields, 'login'), ...(firstName && { firstName }), ...(lastName && { lastName }) },
      texts(fields, 'groups'),
    )
  },
  groups(control, fields) {
    const type = fields['type'] === 'APP_GROUP' ? 'APP_GROUP' : 'OKTA_GROUP'
    control.addGroup({ name: text(fields, 'name'), description: optional(fields, 'description') ?? '', type })
  },
  memberships(control, fields) {
    const [group, user] = [text(fields, 'group'), text(fields, 'user')]
    if (flag(fields, 'member')) control.addMember(group, user)
    else control.removeMember(group, user)
  },
  imports(control, fields) {
    control.importMemberships(text(fields, 'group'), { add: texts(fields, 'add'), remove: texts(fields, 'remove') })
  },
  status(control, fields) {
    const status = STATUSES.find((known) => known === fields['status'])
    if (!status) throw new TypeError(`status: expected one of ${STATUSES.join(', ')}`)
    control.setStatus(text(fields, 'user'), status)
  },
  assignments(control, fields) {
    const [app, to] = [text(fields, 'app'), text(fields, 'to')]
    if (flag(fields, 'assigned')) control.assignApp(app, to)
    else control.unassignApp(app, to)
  },
  sessions: (control, fields) => control.endSessions(text(fields, 'user'), flag(fields, 'tokens')),
  faults(control, fields) {
    if (flag(fields, 'clear')) control.clearFaults()
    else if (typeof fields['path'] === 'string' && fields['act']) control.fault(fields as unknown as Fault)
    else throw new TypeError('fault: expected path and act')
  },
  'event-delays'(control, fields) {
    if (flag(fields, 'clear')) {
      control.clearEventDelays()
      return
    }
    const [eventType, times] = [optional(fields, 'eventType'), fields['times']]
    control.delayEvents({
      by: number(fields, 'by'),
      ...(eventType && { eventType }),
      ...(times !== undefined && { times: number(fields, 'times') }),
    })
  },
  'log-cursors': (control) => control.dropLogCursors(),
  'index-lag': (control, fields) =>
    control.indexLag({ filter: number(fields, 'filter'), search: number(fields, 'search') }),
  'clock-skew': (control, fields) => control.clockSkew(number(fields, 'by')),
  'hook-behaviour'(control, fields) {
    const given = (name: string): boolean => fields[name] !== undefined && fields[name] !== ''
    const names = ['window', 'size', 'delay', 'duplicates', 'losses', 'dailyLimit'] as const
    control.hookBehaviour({
      ...Object.fromEntries(names.filter(given).map((name) => [name, number(fields, name)])),
      ...(given('reorder') && { reorder: flag(fields, 'reorder') }),
    })
  },
  async 'hook-flush'(control) {
    await control.flushHooks()
    return {}
  },
  outbound: (control, fields) =>
    control.routeOutbound(text(fields, 'origin'), { host: text(fields, 'host'), port: number(fields, 'port') }),
  async scim(control, fields) {
    const dialect = fields['dialect']
    if (dialect !== 'patch' && dialect !== 'put') throw new TypeError('dialect: expected patch or put')
    const [appId, baseUrl, token] = [text(fields, 'appId'), text(fields, 'baseUrl'), text(fields, 'token')]
    return { connected: await control.connectScim({ appId, baseUrl, token, dialect }) }
  },
  'scim-groups'(control, fields) {
    const [app, group] = [text(fields, 'app'), text(fields, 'group')]
    if (flag(fields, 'pushed')) control.pushGroup(app, group)
    else control.unpushGroup(app, group, flag(fields, 'remove'))
  },
  'scim-retry': (control) => control.retryScim(),
  keys(control, fields) {
    const server = optional(fields, 'server')
    control.rotateKeys({ emergency: flag(fields, 'emergency'), ...(server && { server }) })
  },
  reset: (control) => control.reset(),
}

/** Every name that `runAction` knows. */
export const ACTION_NAMES = Object.keys(ACTIONS)

/** @throws TypeError for an unknown name and for fields that do not fit */
export async function runAction(control: Control, name: string, fields: Fields): Promise<object> {
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
  if (!action) throw new TypeError(`no action "${name}"; there are ${ACTION_NAMES.join(', ')}`)
  return (await action(control, fields)) ?? {}
}

function text(fields: Fields, name: string): string {
  const value = fields[name]
  if (typeof value !== 'string' || value === '') throw new TypeError(`${name}: expected a text`)
  return value
}

function optional(fields: Fields, name: string): string | undefined {
  const value = fields[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

function texts(fields: Fields, name: string): readonly string[] {
  const value = fields[name]
  return Array.isArray(value) ? value.map(String) : []
}

/** A form has only text. */
function number(fields: Fields, name: string): number {
  const value = typeof fields[name] === 'string' && fields[name] !== '' ? Number(fields[name]) : fields[name]
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw new TypeError(`${name}: expected a number that is not negative`)
  }
  return value
}

function flag(fields: Fields, name: string): boolean {
  return fields[name] === true || fields[name] === 'true'
}
