import type { HookDeliverer } from '../hooks/delivery.ts'
import type { EventHook, HookDetails, HookRegistry } from '../hooks/registry.ts'
import { type Call, empty, json } from '../http/call.ts'
import { notFound, OktaError } from '../http/okta-error.ts'
import { isLoopback } from '../http/outbound.ts'
import type { Endpoint } from '../http/router.ts'
import { EVENT_TYPES } from '../log/event-types.ts'
import type { Json, JsonObject } from '../../../src/types.ts'
import { api, jsonBody, type Management } from './context.ts'
import { iso } from './render.ts'

const BUCKET = '/api/v1'
/** okta-api.md#event-hooks. */
const MOST_ACTIVE = 25
const MOST_TYPES = 300

/** `/api/v1/eventHooks…` (okta-api.md#event-hooks). */
export function eventHookEndpoints(
  management: Management,
  hooks: HookRegistry,
  deliverer: HookDeliverer,
): readonly Endpoint[] {
  const base = '/api/v1/eventHooks'
  const find = (call: Call): EventHook => {
    const id = call.params['hook'] ?? ''
    const hook = hooks.get(id)
    if (!hook) throw notFound(id, 'EventHook')
    return hook
  }
  const show = (hook: EventHook): object => render(hook, management.url)
  const activate = (hook: EventHook): EventHook => {
    refuseTooMany(hooks)
    return hooks.update(hook.id, { status: 'ACTIVE' })
  }

  return [
    api('GET', base, BUCKET, () => json(200, hooks.list().map(show))),
    api('POST', base, BUCKET, async (call) => {
      const details = read(await jsonBody(call))
      refuseTooMany(hooks)
      return json(200, show(hooks.create(details)))
    }),
    api('GET', `${base}/:hook`, BUCKET, (call) => json(200, show(find(call)))),
    api('PUT', `${base}/:hook`, BUCKET, async (call) => {
      const { id } = find(call)
      return json(200, show(hooks.update(id, read(await jsonBody(call)))))
    }),
    api('DELETE', `${base}/:hook`, BUCKET, (call) => {
      hooks.delete(find(call).id)
      return empty(204)
    }),
    api('POST', `${base}/:hook/lifecycle/activate`, BUCKET, (call) => json(200, show(activate(find(call))))),
    api('POST', `${base}/:hook/lifecycle/deactivate`, BUCKET, (call) =>
      json(200, show(hooks.update(find(call).id, { status: 'INACTIVE' }))),
    ),
    api('POST', `${base}/:hook/lifecycle/verify`, BUCKET, async (call) => {
      const hook = find(call)
      if (!(await deliverer.verify(hook))) {
        throw new OktaError('E0000001', 'eventHook', [
          'The endpoint did not return the verification challenge within 3 seconds.',
        ])
      }
      return json(200, show(hooks.update(hook.id, { verificationStatus: 'VERIFIED' })))
    }),
  ]
}

function refuseTooMany(hooks: HookRegistry): void {
  if (hooks.list().filter((hook) => hook.status === 'ACTIVE').length < MOST_ACTIVE) return
  throw invalid('status', `at most ${MOST_ACTIVE} event hooks may be active`)
}

/** @throws OktaError E0000001 for a body that is no event hook */
function read(body: Readonly<Record<string, unknown>>): HookDetails {
  const [events, channel] = [object(body['events']), object(body['channel'])]
  const config = object(channel['config'])
  const scheme = object(config['authScheme'])
  const name = text(body['name'])
  if (name === '') throw invalid('name', 'The field cannot be left blank')
  if (events['type'] !== 'EVENT_TYPE') throw invalid('events.type', 'must be EVENT_TYPE')
  if (channel['type'] !== 'HTTP' || channel['version'] !== '1.0.0') throw invalid('channel', 'must be HTTP 1.0.0')
  const hasScheme = config['authScheme'] !== undefined && config['authScheme'] !== null
  if (hasScheme && (scheme['type'] !== 'HEADER' || text(scheme['key']) === '')) {
    throw invalid('channel.config.authScheme', 'must be of type HEADER and have a key')
  }
  return {
    name,
    items: readItems(events['items']),
    filter: (events['filter'] ?? null) as Json,
    uri: readUri(text(config['uri'])),
    headers: list(config['headers']).map((header) => ({
      key: text(object(header)['key']),
      value: text(object(header)['value']),
    })),
    ...(hasScheme && { auth: { key: text(scheme['key']), value: text(scheme['value']) } }),
  }
}

function readItems(value: unknown): readonly string[] {
  const items = list(value).map(text)
  if (items.length === 0 || items.length > MOST_TYPES) throw invalid('events.items', `must be 1 to ${MOST_TYPES} types`)
  const unfit = items.find((item) => !Object.hasOwn(EVENT_TYPES, item) || EVENT_TYPES[item]?.hook !== true)
  if (unfit !== undefined) throw invalid('events.items', `${unfit} is not eligible for event hooks`)
  return items
}

/** HTTPS only at Okta; plain HTTP for a receiver on this machine. */
function readUri(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined
  const allowed = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url))
  if (!url || !allowed) throw invalid('channel.config.uri', 'must be an HTTPS URL')
  return url.href
}

function render(hook: EventHook, url: string): JsonObject {
  const self = `${url}/api/v1/eventHooks/${hook.id}`
  return {
    id: hook.id,
    status: hook.status,
    verificationStatus: hook.verificationStatus,
    name: hook.name,
    created: iso(hook.created),
    createdBy: null,
    lastUpdated: iso(hook.lastUpdated),
    events: { type: 'EVENT_TYPE', items: hook.items, filter: hook.filter },
    channel: {
      type: 'HTTP',
      version: '1.0.0',
      config: {
        uri: hook.uri,
        method: 'POST',
        headers: hook.headers,
        // The value is never returned.
        authScheme: hook.auth ? { type: 'HEADER', key: hook.auth.key } : null,
      },
    },
    _links: { self: { href: self }, verify: { href: `${self}/lifecycle/verify`, hints: { allow: ['POST'] } } },
  }
}

function invalid(name: string, cause: string): OktaError {
  return new OktaError('E0000001', name, [`${name}: ${cause}`])
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
