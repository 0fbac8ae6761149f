import { type Call, empty, json } from '../http/call.ts'
import { notFound, OktaError } from '../http/okta-error.ts'
import type { Endpoint } from '../http/router.ts'
import type { OrgApp, Person } from '../model/types.ts'
import { api, type Management } from './context.ts'
import { pageReply, pageRequest } from './paging.ts'
import { renderApp, renderAppUser, renderGroupAssignment } from './render.ts'

const BUCKET = '/api/v1/apps'

/** `/api/v1/apps…`: apps and who is assigned to them (okta-api.md#groups). */
export function appEndpoints(management: Management): readonly Endpoint[] {
  const { org, paging, url } = management
  const find = (call: Call): OrgApp => {
    const id = call.params['app'] ?? ''
    const app = org.apps.get(id)
    if (!app) throw notFound(id, 'AppInstance')
    return app
  }
  const group = (call: Call): string => {
    const id = call.params['group'] ?? ''
    if (!org.groups.get(id)) throw notFound(id, 'UserGroup')
    return id
  }
  return [
    api('GET', '/api/v1/apps', BUCKET, (call) => {
      const request = pageRequest(call, paging, { standard: 20, most: 200 })
      const apps = org.apps.slice(request.after, request.limit + 1)
      return pageReply(call, paging, request, apps, (app) => renderApp(app, url))
    }),
    api('GET', '/api/v1/apps/:app', BUCKET, (call) => json(200, renderApp(find(call), url))),
    api('GET', '/api/v1/apps/:app/groups', BUCKET, (call) => {
      const app = find(call)
      const request = pageRequest(call, paging, { standard: 20, most: 200 })
      if (request.limit < 20) throw new OktaError('E0000001', 'limit', ['limit: must be between 20 and 200'])
      const groups = org
        .assignments(app.id)
        .filter(({ id, to }) => to === 'group' && (request.after === undefined || id > request.after))
        .sort((left, right) => (left.id < right.id ? -1 : 1))
      return pageReply(call, paging, request, groups, (item) => renderGroupAssignment(item, app.id, url))
    }),
    api('PUT', '/api/v1/apps/:app/groups/:group', BUCKET, (call) => {
      const app = find(call)
      const id = group(call)
      org.assign(app.id, id)
      return json(200, renderGroupAssignment({ id, to: 'group', lastUpdated: paging.clock.now() }, app.id, url))
    }),
    api('DELETE', '/api/v1/apps/:app/groups/:group', BUCKET, (call) => {
      org.unassign(find(call).id, group(call))
      return empty(204)
    }),
    api('GET', '/api/v1/apps/:app/users', BUCKET, (call) => {
      const app = find(call)
      const request = pageRequest(call, paging, { standard: 50, most: 500 })
      const direct = new Set(org.assignments(app.id).map(({ id }) => id))
      const people: Person[] = []
      for (const person of org.people.from(request.after)) {
        if (people.length > request.limit) break
        if (org.isAssigned(app.id, person.id)) people.push(person)
      }
      return pageReply(call, paging, request, people, (person) =>
        renderAppUser(person, direct.has(person.id) ? 'USER' : 'GROUP', url),
      )
    }),
  ]
}
