import { type Call, empty, json, type Reply } from '../http/call.ts'
import { notFound, OktaError } from '../http/okta-error.ts'
import type { Endpoint } from '../http/router.ts'
import type { OrgGroup } from '../model/types.ts'
import { api, indexOf, jsonBody, type Management } from './context.ts'
import { compileFilter, type FilterGrammar } from './filter.ts'
import { pageReply, pageRequest } from './paging.ts'
import { renderApp, renderGroup, renderPerson } from './render.ts'

const ONE = '/api/v1/groups/{id}'
const MANY = '/api/v1/groups'

const FILTER: FilterGrammar<OrgGroup> = {
  attributes: {
    id: (group) => group.id,
    type: (group) => group.type,
  },
  instants: {
    lastUpdated: (group) => group.lastUpdated,
    lastMembershipUpdated: (group) => group.lastMembershipUpdated,
  },
  operators: ['eq', 'gt', 'ge', 'lt', 'le'],
  error: 'E0000031',
}
const SEARCH: FilterGrammar<OrgGroup> = {
  ...FILTER,
  attributes: {
    ...FILTER.attributes,
    'profile.name': (group) => group.name,
    'profile.description': (group) => group.description,
  },
  instants: { ...FILTER.instants, created: (group) => group.created },
  operators: ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'sw', 'co', 'pr'],
  ignoreCase: true,
}

/** `/api/v1/groups…` (okta-api.md#groups). */
export function groupEndpoints(management: Management): readonly Endpoint[] {
  const { org, paging, url } = management
  /** A group admin's token does not see `Everyone` (okta-api.md#api-tokens-and-errors). */
  const visible = (call: Call, group: OrgGroup): boolean =>
    group.type !== 'BUILT_IN' || management.callerOf(call).role !== 'GROUP_MEMBERSHIP_ADMIN'
  const find = (call: Call): OrgGroup => {
    const id = call.params['group'] ?? ''
    const group = org.groups.get(id)
    if (!group || !visible(call, group)) throw notFound(id, 'UserGroup')
    return group
  }
  const editable = (call: Call): OrgGroup => {
    const group = find(call)
    if (group.type !== 'OKTA_GROUP') throw new OktaError('E0000060')
    return group
  }
  const member = (call: Call): string => {
    const name = call.params['user'] ?? ''
    const person = org.findPerson(name)
    if (!person) throw notFound(name, 'User')
    return person.id
  }
  const withStats = (call: Call, group: OrgGroup): object =>
    renderGroup(
      group,
      url,
      call.query.get('expand')?.split(',').includes('stats') ? { usersCount: org.memberCount(group.id) } : undefined,
    )

  function list(call: Call): Reply {
    // `q` cannot be paged; `after` is then ignored.
    const request = pageRequest(call, paging, { standard: 200, most: 200 })
    const test = selector(call.query)
    const wanted: OrgGroup[] = []
    const index = indexOf(call.query)
    for (const current of org.groups.from(request.after)) {
      if (wanted.length > request.limit) break
      const group = index ? org.groupInIndex(current, index) : current
      if (group && visible(call, group) && test(group)) wanted.push(group)
    }
    const found = call.query.has('q') ? wanted.slice(0, request.limit) : wanted
    return pageReply(call, paging, request, found, (group) => withStats(call, group))
  }

  return [
    api('GET', '/api/v1/groups', MANY, list),
    api('POST', '/api/v1/groups', MANY, async (call) => {
      const { name, description } = profileOf(await jsonBody(call))
      if (!name) throw new OktaError('E0000001', 'name', ['name: The field cannot be left blank'])
      if (org.findGroup(name)?.type === 'OKTA_GROUP') {
        throw new OktaError('E0000001', 'name', ['name: An object with this field already exists'])
      }
      return json(200, renderGroup(org.addGroup({ name, description }), url))
    }),
    api('GET', '/api/v1/groups/:group', ONE, (call) => json(200, withStats(call, find(call)))),
    api('PUT', '/api/v1/groups/:group', ONE, async (call) => {
      const { name, description } = profileOf(await jsonBody(call))
      if (!name) throw new OktaError('E0000001', 'name', ['name: The field cannot be left blank'])
      return json(200, renderGroup(org.updateGroup(editable(call).id, { name, description }), url))
    }),
    api('DELETE', '/api/v1/groups/:group', ONE, (call) => {
      org.deleteGroup(editable(call).id)
      return empty(204)
    }),
    api('GET', '/api/v1/groups/:group/users', MANY, (call) => {
      const group = find(call)
      const request = pageRequest(call, paging, { standard: 1000, most: 1000 })
      const page = org.membersOf(group.id, request.after, request.limit + 1)
      return pageReply(call, paging, request, page, (person) => renderPerson(person, url))
    }),
    api('PUT', '/api/v1/groups/:group/users/:user', MANY, (call) => {
      org.addMember(editable(call).id, member(call))
      return empty(204)
    }),
    api('DELETE', '/api/v1/groups/:group/users/:user', MANY, (call) => {
      org.removeMember(editable(call).id, member(call))
      return empty(204)
    }),
    api('GET', '/api/v1/groups/:group/apps', MANY, (call) => {
      const group = find(call)
      const request = pageRequest(call, paging, { standard: 20, most: 200 })
      const apps = org.apps
        .slice(request.after, Number.POSITIVE_INFINITY)
        .filter((app) => org.assignments(app.id).some((assignment) => assignment.id === group.id))
      return pageReply(call, paging, request, apps, (app) => renderApp(app, url))
    }),
  ]
}

function selector(query: URLSearchParams): (group: OrgGroup) => boolean {
  const filter = query.get('filter')
  if (filter !== null) return compileFilter(filter, FILTER)
  const search = query.get('search')
  if (search !== null) return compileFilter(search, SEARCH)
  const prefix = query.get('q')?.toLowerCase() ?? ''
  return (group) => group.name.toLowerCase().startsWith(prefix)
}

function profileOf(body: Readonly<Record<string, unknown>>): { readonly name: string; readonly description: string } {
  const profile = body['profile']
  if (typeof profile !== 'object' || profile === null) throw new OktaError('E0000003')
  const { name, description } = profile as Record<string, unknown>
  return {
    name: typeof name === 'string' ? name : '',
    description: typeof description === 'string' ? description : '',
  }
}
