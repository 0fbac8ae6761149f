import type { Control } from './control.ts'
import { ACTION_NAMES, type Fields, runAction } from './control-actions.ts'
import { type Call, type Handler, html, json, redirect, type Reply } from './http/call.ts'
import type { Endpoint } from './http/router.ts'
import { consolePage } from './pages/console-page.tsx'

/** Most people that `/control/state` lists. */
const PEOPLE_TOLD = 1000
const EVENTS_TOLD = 200

/**
 * The emulator's own surface, never part of Okta: a page at `/`, and `/control/…`, which takes JSON and answers JSON.
 * POST `/control/{name}`: one action of control-actions.ts. POST `/control/run` `{"steps": [{"do": name, …fields}]}`:
 * many, in order, until one fails. GET: `state`, `calls`, `buckets`, `events`, `hooks`, `scim`.
 */
export function consoleEndpoints(deps: { readonly url: string; readonly control: () => Control }): readonly Endpoint[] {
  const { control } = deps
  const own = (method: string, path: string, handle: Handler): Endpoint => ({ method, path, kind: 'own', handle })
  const get = (name: string, read: () => unknown): Endpoint => own('GET', `/control/${name}`, () => json(200, read()))
  const post = (name: string, run: (fields: Fields) => Promise<object>): Endpoint =>
    own('POST', `/control/${name}`, (call) => act(call, deps.url, run))

  return [
    own('GET', '/', () => html(200, consolePage(control(), deps.url))),
    get('state', () => state(control())),
    get('calls', () => control().calls()),
    get('buckets', () => control().buckets()),
    get('events', () => control().logEvents(EVENTS_TOLD)),
    get('hooks', () => ({ hooks: control().hooks(), deliveries: control().hookDeliveries() })),
    get('scim', () => ({ calls: control().scimCalls(), failures: control().scimFailures() })),
    ...ACTION_NAMES.map((name) => post(name, (fields) => runAction(control(), name, fields))),
    post('run', (fields) => runAll(control(), fields)),
  ]
}

async function runAll(control: Control, fields: Fields): Promise<object> {
  const steps: unknown = fields['steps']
  if (!Array.isArray(steps)) throw new TypeError('steps: expected a list')
  for (const [index, step] of steps.entries()) {
    const of: Fields = typeof step === 'object' && step !== null ? (step as Fields) : {}
    try {
      await runAction(control, String(of['do']), of)
    } catch (error) {
      throw error instanceof TypeError ? new TypeError(`step ${index}: ${error.message}`, { cause: error }) : error
    }
  }
  return { done: steps.length }
}

async function act(call: Call, url: string, run: (fields: Fields) => Promise<object>): Promise<Reply> {
  // A page of another site must not be able to change the org of a developer's machine.
  const origin = call.req.headers.origin
  if (origin !== undefined && origin !== url) return json(403, { error: 'this origin may not use the control API' })
  const fields = await read(call)
  try {
    const done = await run(fields)
    return fields['back'] === 'page' ? redirect('/', 303) : json(200, { ok: true, ...done })
  } catch (error) {
    if (error instanceof TypeError) return json(400, { error: error.message })
    throw error
  }
}

async function read(call: Call): Promise<Fields> {
  const body = (await call.body()).toString('utf8')
  if ((call.req.headers['content-type'] ?? '').startsWith('application/json')) {
    try {
      const value: unknown = JSON.parse(body)
      if (typeof value === 'object' && value !== null) return value as Fields
    } catch {
      // Not JSON: no fields, and the action names the one that is missing.
    }
    return {}
  }
  return Object.fromEntries(new URLSearchParams(body))
}

function state(control: Control): object {
  const { org } = control
  return {
    people: org.people.slice(undefined, PEOPLE_TOLD).map(({ id, login, status }) => ({
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
