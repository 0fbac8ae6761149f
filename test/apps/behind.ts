/** An application behind Postern: a route of nothing but `from`, `to` and a rule. Tests only. */
import type { Page } from 'playwright-core'
import { freePort } from '../../e2e/browser/demo.ts'
import { demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createBrowser } from '../support/browser.ts'
import { startTokenMaker, type TokenMaker } from '../support/service-tokens.ts'
import { createTestWorld, type World } from '../support/world.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'

export interface Behind {
  readonly world: World
  /** For people: who is signed in may. */
  readonly url: string
  /** For clients that cannot sign in: everybody may. */
  readonly publicUrl: string
  /** For programs: whoever has a service token may, and people of a group. */
  readonly programsUrl: string
  /** Header of a client that is given the cookie of alice's browser. */
  cookie(): Promise<string>
  /** A service token, made by the command line. */
  token(): Promise<string>
  close(): Promise<void>
}

export const ALICE = 'alice@example.com'

/**
 * Addresses have Postern's real port: WebSockets and programs that are no browser ask for it. `to`: the application, one
 * that echoes as JSON unless given; `more`: further keys of the
 * routes; `https`: with a certificate for other names.
 */
export async function startBehind(
  to?: string,
  more: Readonly<Record<string, unknown>> = {},
  scheme: 'http' | 'https' = 'http',
): Promise<Behind> {
  const port = await freePort()
  const authenticate = `${scheme}://authenticate.localhost:${port}`
  const url = `${scheme}://app.localhost:${port}`
  const publicUrl = `${scheme}://localhost:${port}`
  const programsUrl = `${scheme}://127.0.0.1:${port}`
  const rest = { ...(to !== undefined && { to }), ...more }
  const world = await createTestWorld({
    config: {
      authenticate_service_url: authenticate,
      address: `127.0.0.1:${port}`,
      ...(scheme === 'https' && { certificate: CERTIFICATE, certificate_key: KEY }),
    },
    routes: [
      { from: url, ...rest, allowed_groups: ['Engineering'] },
      { from: publicUrl, ...rest, allow_public_unauthenticated_access: true },
      { from: programsUrl, ...rest, allowed_groups: ['Engineering'], service_tokens: true },
    ],
    okta: {
      seed: demoSeed({
        redirectUris: [`${authenticate}/oauth2/callback`],
        postLogoutRedirectUris: [`${authenticate}/.postern/signed_out`],
      }),
    },
  })
  let maker: TokenMaker | undefined
  return {
    world,
    url,
    publicUrl,
    programsUrl,
    async token() {
      maker ??= await startTokenMaker(world)
      return maker.create('--name', 'ci', '--group', 'Engineering')
    },
    async cookie() {
      const browser = createBrowser()
      await world.signIn(browser, `${url}/.postern/`, ALICE)
      const cookies = browser.cookies.get('app.localhost') ?? new Map<string, string>()
      return [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    },
    async close() {
      await maker?.close()
      await world.close()
    },
  }
}

/** Opens an address in the real browser, signed in as alice. */
export async function openAsAlice(page: Page, url: string): Promise<void> {
  await page.goto(url)
  await page.getByRole('button', { name: 'Alice' }).first().click()
  await page.waitForURL(({ origin, pathname }) => origin === new URL(url).origin && !pathname.startsWith('/.'))
}
