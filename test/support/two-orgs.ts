/** Postern between two Okta orgs that have given the same ids to different people. */
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { DEVICE_GRANT } from '../../emulator/okta/oidc/device.ts'
import { createOktaEmulator, type OktaEmulator } from '../../emulator/okta/emulator.ts'
import type { Answer, Browser } from './browser.ts'
import { createTestWorld, signIn, type World, type WorldOptions } from './world.ts'

export const AUTH = 'http://authenticate.localhost'

export interface TwoOrgs extends World {
  /** The second one, `partners`; the first is the default provider. */
  readonly partners: OktaEmulator
  /** From the sign-in form of the second org on. */
  signInAtPartners(browser: Browser, url: string, login: string): Promise<Answer>
  /** What the page of choice leads to, by the label of the button. */
  choices(page: Answer): ReadonlyMap<string, string>
}

export const STAFF_ONLY = 'http://staff.localhost/'
export const PARTNERS_ONLY = 'http://partners.localhost/'
export const ANYBODY = 'http://anybody.localhost/'
export const ENGINEERING = 'http://engineering.localhost/'

const ROUTES = [
  { from: 'http://staff.localhost', identity_provider: 'default', allow_any_authenticated_user: true },
  { from: 'http://partners.localhost', identity_provider: 'partners', allow_any_authenticated_user: true },
  { from: 'http://anybody.localhost', allow_any_authenticated_user: true },
  { from: 'http://engineering.localhost', allowed_groups: ['Engineering'] },
  // One host, and a provider for each part of it.
  {
    from: 'http://shared.localhost',
    prefix: '/staff',
    identity_provider: 'default',
    allow_any_authenticated_user: true,
  },
  {
    from: 'http://shared.localhost',
    prefix: '/partners',
    identity_provider: ['partners'],
    allow_any_authenticated_user: true,
  },
]

export async function createTwoOrgs(options: WorldOptions = {}): Promise<TwoOrgs> {
  const seed = demoSeed({
    redirectUris: [`${AUTH}/oauth2/callback/partners`],
    postLogoutRedirectUris: [`${AUTH}/.postern/signed_out`],
  })
  const partners = await createOktaEmulator({
    // The same ids as in the first one, and nobody in any group.
    seed: {
      ...seed,
      people: [...(seed.people ?? [])].map((person) => ({ ...person, groups: [] })),
      // It has device codes, and the first has none.
      apps: (seed.apps ?? []).map((app) => ({
        ...app,
        grantTypes: ['authorization_code', 'refresh_token', DEVICE_GRANT],
      })),
    },
    ...(options.clock && { clock: options.clock }),
  })
  const world = await createTestWorld({
    ...options,
    routes: options.routes ?? ROUTES,
    config: {
      idp_label: 'Staff',
      // The redirect URI is looked at.
      idp_pushed_requests: false,
      identity_providers: {
        partners: {
          provider: 'okta',
          label: 'Partners',
          url: partners.url,
          client_id: DEMO.clientId,
          client_secret: DEMO.clientSecret,
          pushed_requests: false,
          directory: { okta: { api_token: DEMO.apiToken, log_interval: '1s' } },
        },
      },
      ...options.config,
    },
  })
  // Its own members are getters, which a copy would read once.
  return Object.assign(Object.create(world) as World, {
    partners,
    signInAtPartners: (browser: Browser, url: string, login: string) => signIn(browser, partners.url, url, login),
    choices: ({ body, url }: Answer) =>
      new Map(
        [...body.matchAll(/<a class="button[^"]*" href="([^"]+)"[^>]*>Sign in with ([^<]+)<\/a>/g)].map(
          ([, href = '', label = '']) => [label, new URL(href.replaceAll('&amp;', '&'), url).href],
        ),
      ),
    async close() {
      await world.close()
      await partners.close()
    },
  })
}
