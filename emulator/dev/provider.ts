import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { DevPerson, StartDevProvider } from '../../cmd/postern/dev/provider.ts'
import { createOktaEmulator } from '../okta/emulator.ts'
import type { Seed } from '../okta/seed.ts'
import { choose } from './identity.ts'
import { createPeople } from './people.ts'

const CLIENT_ID = '0oadev00000000client'
const SERVICE = 'service@postern.invalid'

/** The emulator with one application and a few people, who sign in without being asked. Names and secrets last as long as it. */
export const startDevProvider: StartDevProvider = async ({ origins, as }) => {
  const clientSecret = randomBytes(24).toString('base64url')
  const apiToken = `00dev${randomBytes(24).toString('base64url')}`
  const people = createPeople({ origins, as: as.login, clientId: CLIENT_ID, service: SERVICE })
  const okta = await createOktaEmulator({
    publicUrl: origins.people,
    apiAtAddress: true,
    rateLimits: 'off',
    seed: seedOf(as, {
      apps: [
        {
          id: CLIENT_ID,
          label: 'your application',
          secret: clientSecret,
          redirectUris: [`${origins.authenticate}/oauth2/callback`],
          postLogoutRedirectUris: [`${origins.authenticate}/.postern/signed_out`],
          assignedTo: ['Everyone'],
        },
      ],
      tokens: [{ value: apiToken, owner: SERVICE, role: 'READ_ONLY_ADMIN' }],
    }),
    identities: people.identities,
    ownEndpoints: people.endpoints,
    guard,
  })
  const origin = `http://127.0.0.1:${okta.address.port}`
  const { port } = new URL(origins.authenticate)
  okta.routeOutbound(origins.authenticate, { host: '127.0.0.1', port: Number(port) })
  // By either name: the one that Postern passes on, and its own address.
  const hosts = new Set([new URL(origins.people).host, new URL(origin).host])

  function guard(req: IncomingMessage, res: ServerResponse): boolean {
    if (!hosts.has(req.headers.host ?? '')) {
      // The name of another site that resolves to this machine: DNS rebinding.
      res.writeHead(421, { 'content-type': 'text/plain' }).end('This is not that host.\n')
      return true
    }
    // Whoever signs out wants to be asked.
    if (req.url?.startsWith('/oauth2/v1/logout')) res.appendHeader('set-cookie', choose(''))
    return false
  }

  return { origin, clientId: CLIENT_ID, clientSecret, apiToken, close: () => okta.close() }
}

/** The person who was named, and some others of the same domain. */
function seedOf(as: DevPerson, more: Pick<Seed, 'apps' | 'tokens'>): Seed {
  const domain = as.login.split('@')[1] ?? 'example.com'
  const others = [
    { login: `bob@${domain}`, lastName: 'Baker', groups: ['Sales'] },
    { login: `dave@${domain}`, lastName: 'Dyer', groups: [] },
    { login: `erin@${domain}`, lastName: 'Evans', groups: ['Engineering', 'Sales'] },
  ].filter(({ login }) => login !== as.login)
  const people = [as, ...others]
  return {
    groups: [...new Set(people.flatMap(({ groups }) => groups))].map((name) => ({ name })),
    people: [...people, { login: SERVICE, firstName: 'Postern', lastName: 'Service' }],
    ...more,
  }
}
