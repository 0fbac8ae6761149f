import { type Call, empty, json, type Reply } from '../http/call.ts'
import { notFound, OktaError } from '../http/okta-error.ts'
import type { Endpoint } from '../http/router.ts'
import type { Person } from '../model/types.ts'
import type { Json } from '../../../src/types.ts'
import { api, indexOf, jsonBody, type Management } from './context.ts'
import { compileFilter, type FilterGrammar } from './filter.ts'
import { lifecycle } from './lifecycle.ts'
import { pageReply, pageRequest } from './paging.ts'
import { renderGroup, renderPerson } from './render.ts'

const ONE = '/api/v1/users/{id:.+}'
const MANY = '/api/v1/users'
/** `/users/{id}/groups` answers 200 a page although its documentation names no limit (okta-api.md#lists-and-filters). */
const GROUPS_CAP = 200

const FILTER: FilterGrammar<Person> = {
  attributes: {
    id: (person) => person.id,
    status: (person) => person.status,
    'profile.login': (person) => person.login,
    'profile.email': (person) => person.email,
    'profile.firstName': (person) => person.firstName,
    'profile.lastName': (person) => person.lastName,
  },
  instants: { lastUpdated: (person) => person.lastUpdated },
  operators: ['eq', 'gt', 'ge', 'lt', 'le'],
  error: 'E0000031',
}
const SEARCH: FilterGrammar<Person> = {
  ...FILTER,
  instants: { ...FILTER.instants, created: (person) => person.created },
  operators: ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'sw', 'co', 'pr'],
  otherAttribute: (name) => (person) => {
    const value = name.startsWith('profile.') ? person.attributes[name.slice('profile.'.length)] : undefined
    return value === undefined || value === null || typeof value === 'object' ? undefined : String(value)
  },
  ignoreCase: true,
}

/** `/api/v1/users…` (okta-api.md#users). */
export function userEndpoints(management: Management): readonly Endpoint[] {
  const { org, paging, url } = management
  const find = (call: Call): Person => {
    const name = call.params['user'] ?? ''
    const person = org.findPerson(name)
    if (!person) throw notFound(name, 'User')
    return person
  }
  const one = (person: Person): Reply =>
    json(200, renderPerson(person, url), { etag: `W/"${person.lastUpdated.toString(16)}"` })

  function list(call: Call): Reply {
    const query = call.query
    const request = pageRequest(call, paging, { standard: query.has('q') ? 10 : 200, most: 200 })
    const test = selector(query)
    const wanted: Person[] = []
    const index = indexOf(query)
    for (const current of org.people.from(request.after)) {
      if (wanted.length > request.limit) break
      const person = index ? org.personInIndex(current, index) : current
      if (person && test(person)) wanted.push(person)
    }
    return pageReply(call, paging, request, wanted, (person) => renderPerson(person, url))
  }

  async function create(call: Call): Promise<Reply> {
    const body = await jsonBody(call)
    const { login, email, firstName, lastName, ...attributes } = profileOf(body)
    if (!isText(login) || !isText(email)) {
      throw new OktaError('E0000001', 'login', ['login: The field cannot be left blank'])
    }
    if (org.findPerson(login)?.login.toLowerCase() === login.toLowerCase()) {
      throw new OktaError('E0000001', 'login', [
        'login: An object with this field already exists in the current organization',
      ])
    }
    const person = org.addPerson({
      login,
      email,
      ...(isText(firstName) && { firstName }),
      ...(isText(lastName) && { lastName }),
      attributes,
      status: call.query.get('activate') === 'false' ? 'STAGED' : 'ACTIVE',
    })
    return one(person)
  }

  async function update(call: Call): Promise<Reply> {
    const person = find(call)
    const { login, email, firstName, lastName, ...attributes } = profileOf(await jsonBody(call))
    const change = {
      ...(isText(login) && { login }),
      ...(isText(email) && { email }),
      ...(isText(firstName) && { firstName }),
      ...(isText(lastName) && { lastName }),
      attributes: { ...person.attributes, ...attributes },
    }
    return one(org.updatePerson(person.id, change, 'user.account.update_profile'))
  }

  function groups(call: Call): Reply {
    const person = find(call)
    const request = pageRequest(call, paging, { standard: GROUPS_CAP, most: GROUPS_CAP })
    const page = org.groupsOf(person.id, request.after, request.limit + 1)
    return pageReply(call, paging, request, page, (group) => renderGroup(group, url))
  }

  return [
    api('GET', '/api/v1/users', MANY, list),
    api('POST', '/api/v1/users', MANY, create),
    api('GET', '/api/v1/users/me', '/api/v1/users/me', (call) => {
      const owner = org.people.get(management.callerOf(call).ownerId ?? '')
      // A service app is nobody.
      if (!owner) throw notFound('me', 'User')
      return one(owner)
    }),
    api('GET', '/api/v1/users/:user', ONE, (call) => one(find(call))),
    api('POST', '/api/v1/users/:user', ONE, update),
    api('GET', '/api/v1/users/:user/groups', MANY, groups),
    api('DELETE', '/api/v1/users/:user', ONE, (call) => {
      const person = find(call)
      // The first call deactivates, the second deletes.
      if (person.status !== 'DEPROVISIONED') org.setStatus(person.id, 'DEPROVISIONED', 'user.lifecycle.deactivate')
      else org.deletePerson(person.id)
      return empty(204)
    }),
    api('DELETE', '/api/v1/users/:user/sessions', MANY, (call) => {
      const person = find(call)
      management.endSessions(person.id, call.query.get('oauthTokens') === 'true')
      org.note('user.session.clear', person.id)
      return empty(204)
    }),
    api('POST', '/api/v1/users/:user/lifecycle/:action', MANY, (call) =>
      lifecycle(org, find(call), call.params['action'] ?? ''),
    ),
  ]
}

/** Without `filter` or `search` the list leaves DEPROVISIONED people out (okta-api.md#lists-and-filters). */
function selector(query: URLSearchParams): (person: Person) => boolean {
  const filter = query.get('filter')
  if (filter !== null) return compileFilter(filter, FILTER)
  const search = query.get('search')
  if (search !== null) return compileFilter(search, SEARCH)
  const prefix = query.get('q')?.toLowerCase() ?? ''
  return (person) =>
    person.status !== 'DEPROVISIONED' &&
    [person.firstName, person.lastName, person.email].some((text) => text.toLowerCase().startsWith(prefix))
}

function profileOf(body: Readonly<Record<string, unknown>>): Readonly<Record<string, Json>> {
  const profile = body['profile']
  if (typeof profile !== 'object' || profile === null) throw new OktaError('E0000003')
  return profile as Record<string, Json>
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
