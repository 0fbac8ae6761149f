import { type Call, type Handler, html, json, redirect, type Reply } from './http/call.ts'
import type { Fault } from './http/faults.ts'
import type { Endpoint } from './http/router.ts'
import type { Control } from './control.ts'
import { STATUSES } from './model/types.ts'
import { consolePage } from './pages/console-page.tsx'

/** The fields of a control request: JSON, or a form of the page (which adds `back`). */
type Fields = Readonly<Record<string, unknown>>

/**
 * The emulator's own surface, never part of Okta: a page at `/`, and `/control/…`, which takes JSON and answers JSON.
 * | POST | fields |
 * |---|---|
 * | people | `login`, `firstName?`, `lastName?`, `groups?` |
 * | groups | `name`, `description?` |
 * | memberships | `group`, `user`, `member`: true or false |
 * | status | `user`, `status` |
 * | assignments | `app`, `to`, `assigned`: true or false |
 * | sessions | `user`, `tokens?`: ends them |
 * | faults | a `Fault`; `{"clear": true}` ends them all |
 * | keys | `server?`, `emergency?`: rotates |
 * | reset | |
 * GET: `state`, `calls`, `buckets`.
 */
export function consoleEndpoints(deps: { readonly url: string; readonly control: () => Control }): readonly Endpoint[] {
  const { control } = deps
  const own = (method: string, path: string, handle: Handler): Endpoint => ({ method, path, kind: 'own', handle })
  const post = (name: string, run: (fields: Fields) => void): Endpoint =>
    own('POST', `/control/${name}`, (call) => act(call, deps.url, run))

  return [
    own('GET', '/', () => html(200, consolePage(control(), deps.url))),
    own('GET', '/control/state', () => json(200, state(control()))),
    own('GET', '/control/calls', () => json(200, control().calls())),
    own('GET', '/control/buckets', () => json(200, control().buckets())),
    post('people', (fields) => {
      const [firstName, lastName] = [optional(fields, 'firstName'), optional(fields, 'lastName')]
      const groups = Array.isArray(fields['groups']) ? fields['groups'].map(String) : []
      control().addUser(
        { login: text(fields, 'login'), ...(firstName && { firstName }), ...(lastName && { lastName }) },
        groups,
      )
    }),
    post('groups', (fields) => {
      control().addGroup({ name: text(fields, 'name'), description: optional(fields, 'description') ?? '' })
    }),
    post('memberships', (fields) => {
      const [group, user] = [text(fields, 'group'), text(fields, 'user')]
      if (flag(fields, 'member')) control().addMember(group, user)
      else control().removeMember(group, user)
    }),
    post('status', (fields) => {
      const status = STATUSES.find((known) => known === fields['status'])
      if (!status) throw new TypeError(`status: expected one of ${STATUSES.join(', ')}`)
      control().setStatus(text(fields, 'user'), status)
    }),
    post('assignments', (fields) => {
      const [app, to] = [text(fields, 'app'), text(fields, 'to')]
      if (flag(fields, 'assigned')) control().assignApp(app, to)
      else control().unassignApp(app, to)
    }),
    post('sessions', (fields) => control().endSessions(text(fields, 'user'), flag(fields, 'tokens'))),
    post('faults', (fields) => {
      if (fields['clear'] === true) control().clearFaults()
      else if (typeof fields['path'] === 'string' && fields['act']) control().fault(fields as unknown as Fault)
      else throw new TypeError('fault: expected path and act')
    }),
    post('keys', (fields) => {
      const server = optional(fields, 'server')
      control().rotateKeys({ emergency: flag(fields, 'emergency'), ...(server && { server }) })
    }),
    post('reset', () => control().reset()),
  ]
}

async function act(call: Call, url: string, run: (fields: Fields) => void): Promise<Reply> {
  // A page of another site must not be able to change the org of a developer's machine.
  const origin = call.req.headers.origin
  if (origin !== undefined && origin !== url) return json(403, { error: 'this origin may not use the control API' })
  const fields = await read(call)
  try {
    run(fields)
  } catch (error) {
    if (error instanceof TypeError) return json(400, { error: error.message })
    throw error
  }
  return fields['back'] === 'page' ? redirect('/', 303) : json(200, { ok: true })
}

async function read(call: Call): Promise<Fields> {
  const body = (await call.body()).toString('utf8')
  if ((call.req.headers['content-type'] ?? '').startsWith('application/json')) {
    try {
      const value: unknown = JSON.parse(body)
      if (typeof value === 'object' && value !== null) return value as Fields
    } catch {
      // No JSON: no fields, and the endpoint says which one it misses.
    }
    return {}
  }
  return Object.fromEntries(new URLSearchParams(body))
}

function state(control: Control): object {
  const { org } = control
  return {
    people: org.people.ordered().map(({ id, login, status }) => ({
      id,
      login,
      status,
      groups: org.groupsOf(id).map((group) => group.name),
    })),
    groups: org.groups.ordered().map(({ id, name, type }) => ({ id, name, type, members: org.memberCount(id) })),
    apps: org.apps
      .ordered()
      .map(({ id, label }) => ({ id, label, assignedTo: org.assignments(id).map((to) => to.id) })),
  }
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

function flag(fields: Fields, name: string): boolean {
  return fields[name] === true || fields[name] === 'true'
}
