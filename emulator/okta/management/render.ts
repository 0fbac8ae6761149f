import type { Span } from '../../../src/types.ts'
import type { AppAssignment, OrgApp, OrgGroup, Person } from '../model/types.ts'

/** `YYYY-MM-DDTHH:mm:ss.SSSZ`, the only date form of the API. */
export function iso(at: Span): string
export function iso(at: Span | undefined): string | null
export function iso(at: Span | undefined): string | null {
  return at === undefined ? null : new Date(at).toISOString()
}

/** A User object (okta-api.md#users). Lists carry `_links.self` only, and so do we everywhere. */
export function renderPerson(person: Person, url: string): object {
  return {
    id: person.id,
    status: person.status,
    created: iso(person.created),
    activated: iso(person.activated),
    statusChanged: iso(person.statusChanged),
    lastLogin: iso(person.lastLogin),
    lastUpdated: iso(person.lastUpdated),
    passwordChanged: iso(person.passwordChanged),
    type: { id: 'otydefault0000000000' },
    profile: {
      firstName: person.firstName,
      lastName: person.lastName,
      mobilePhone: null,
      secondEmail: null,
      login: person.login,
      email: person.email,
      ...person.attributes,
    },
    credentials: { password: {}, provider: { type: 'OKTA', name: 'OKTA' } },
    _links: { self: { href: `${url}/api/v1/users/${person.id}` } },
  }
}

/** A Group object (okta-api.md#groups). */
export function renderGroup(group: OrgGroup, url: string, stats?: { readonly usersCount: number }): object {
  return {
    id: group.id,
    created: iso(group.created),
    lastUpdated: iso(group.lastUpdated),
    lastMembershipUpdated: iso(group.lastMembershipUpdated),
    objectClass: [group.type === 'APP_GROUP' ? 'okta:windows_security_principal' : 'okta:user_group'],
    type: group.type,
    profile: { name: group.name, description: group.description },
    // `hasAdminPrivlege` is Okta's spelling.
    ...(stats && {
      _embedded: { stats: { ...stats, appsCount: 0, groupPushMappingsCount: 0, hasAdminPrivlege: false } },
    }),
    _links: {
      ...(group.sourceAppId !== undefined && { source: { href: `${url}/api/v1/apps/${group.sourceAppId}` } }),
      users: { href: `${url}/api/v1/groups/${group.id}/users` },
      apps: { href: `${url}/api/v1/groups/${group.id}/apps` },
    },
  }
}

export function renderApp(app: OrgApp, url: string): object {
  return {
    id: app.id,
    name: 'oidc_client',
    label: app.label,
    status: 'ACTIVE',
    created: iso(app.created),
    lastUpdated: iso(app.lastUpdated),
    signOnMode: 'OPENID_CONNECT',
    settings: {
      oauthClient: {
        redirect_uris: app.redirectUris,
        post_logout_redirect_uris: app.postLogoutRedirectUris,
        response_types: ['code'],
        grant_types: app.grantTypes,
        application_type: app.kind,
      },
    },
    _links: { self: { href: `${url}/api/v1/apps/${app.id}` } },
  }
}

export function renderGroupAssignment(assignment: AppAssignment, appId: string, url: string): object {
  return {
    id: assignment.id,
    priority: 0,
    lastUpdated: iso(assignment.lastUpdated),
    profile: {},
    _links: {
      app: { href: `${url}/api/v1/apps/${appId}` },
      self: { href: `${url}/api/v1/apps/${appId}/groups/${assignment.id}` },
      group: { href: `${url}/api/v1/groups/${assignment.id}` },
    },
  }
}

export function renderAppUser(person: Person, scope: 'USER' | 'GROUP', url: string): object {
  return {
    id: person.id,
    externalId: null,
    created: iso(person.created),
    lastUpdated: iso(person.lastUpdated),
    scope,
    status: 'ACTIVE',
    syncState: 'DISABLED',
    credentials: { userName: person.login },
    profile: {},
    _links: { user: { href: `${url}/api/v1/users/${person.id}` } },
  }
}
