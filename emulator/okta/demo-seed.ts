import type { Seed } from './seed.ts'

/** Fixed ids and secrets of the demo org, so that documents can quote them. None of them opens anything real. */
export const DEMO = {
  orgId: '00odemo00000000org01',
  clientId: '0oademo0000000client',
  clientSecret: 'demo-client-secret-that-opens-nothing-real',
  apiToken: '00demo-api-token-that-opens-nothing',
  redirectUri: 'http://authenticate.localhost:8080/oauth2/callback',
  postLogoutRedirectUri: 'http://authenticate.localhost:8080/.postern/signed_out',
  groups: { everyone: '00gdemo000000everyon', engineering: '00gdemo0engineering1', sales: '00gdemo0000000sales1' },
  people: {
    alice: '00udemo000000000alic',
    bob: '00udemo0000000000bob',
    carol: '00udemo000000000caro',
    dave: '00udemo000000000dave',
    service: '00udemo000000service',
  },
} as const

/** Alice (Engineering), Bob (Sales), Carol (Engineering, suspended), Dave (no group); one web app for Everyone; one API token. */
export function demoSeed(
  options: { readonly redirectUris?: readonly string[]; readonly postLogoutRedirectUris?: readonly string[] } = {},
): Seed {
  return {
    orgId: DEMO.orgId,
    everyoneId: DEMO.groups.everyone,
    groups: [
      { id: DEMO.groups.engineering, name: 'Engineering', description: 'Builds things' },
      { id: DEMO.groups.sales, name: 'Sales', description: 'Sells things' },
    ],
    people: [
      { id: DEMO.people.alice, login: 'alice@example.com', lastName: 'Archer', groups: ['Engineering'] },
      { id: DEMO.people.bob, login: 'bob@example.com', lastName: 'Baker', groups: ['Sales'] },
      {
        id: DEMO.people.carol,
        login: 'carol@example.com',
        lastName: 'Cook',
        status: 'SUSPENDED',
        groups: ['Engineering'],
      },
      { id: DEMO.people.dave, login: 'dave@example.com', lastName: 'Dyer' },
      { id: DEMO.people.service, login: 'service@example.com', firstName: 'Postern', lastName: 'Service' },
    ],
    apps: [
      {
        id: DEMO.clientId,
        label: 'Postern',
        secret: DEMO.clientSecret,
        redirectUris: options.redirectUris ?? [DEMO.redirectUri],
        postLogoutRedirectUris: options.postLogoutRedirectUris ?? [DEMO.postLogoutRedirectUri],
        groupsClaim: { name: 'groups', match: 'REGEX', value: '.*' },
        assignedTo: ['Everyone'],
      },
    ],
    tokens: [{ value: DEMO.apiToken, owner: 'service@example.com', role: 'READ_ONLY_ADMIN' }],
    authorizationServers: [
      {
        id: 'default',
        audience: 'api://default',
        scopes: ['groups'],
        groupsClaim: { name: 'groups', match: 'REGEX', value: '.*' },
      },
    ],
  }
}
