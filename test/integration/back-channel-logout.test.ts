/** Back-channel logout of a certified provider (oidc-provider), which makes the logout tokens and sends them itself. */
import { request } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser } from '../support/browser.ts'
import { createTestWorld, type World } from '../support/world.ts'
import { SECRET, startStrictIdp, type StrictIdp } from './identity/strict-idp.ts'

const APP = 'http://app.localhost'
const AUTH = 'http://authenticate.localhost'
const CLIENT = 'postern-client'

let idp: StrictIdp
let world: World
/** Statuses that the provider was answered. */
const answers: number[] = []

beforeAll(async () => {
  idp = await startStrictIdp(
    '',
    [
      {
        client_id: CLIENT,
        client_secret: SECRET,
        redirect_uris: [`${AUTH}/oauth2/callback`],
        post_logout_redirect_uris: [`${AUTH}/.postern/signed_out`],
        backchannel_logout_uri: `${AUTH}/.postern/backchannel_logout`,
        backchannel_logout_session_required: true,
        grant_types: ['authorization_code', 'refresh_token'],
      },
    ],
    { fetch: deliver },
  )
  world = await createTestWorld({
    config: {
      idp_provider: 'oidc',
      idp_provider_url: idp.issuer,
      idp_client_id: CLIENT,
      idp_client_secret: SECRET,
      idp_service_account: undefined,
    },
    routes: [{ from: APP, allow_any_authenticated_user: true }],
  })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

/** Names below `localhost` have no port here. */
async function deliver(url: Parameters<typeof fetch>[0], init?: RequestInit): Promise<Response> {
  const { pathname, host } = new URL(url instanceof Request ? url.url : url)
  const body = Buffer.from(await new Response(init?.body ?? '').arrayBuffer())
  return new Promise((resolve, reject) => {
    const headers = { ...Object.fromEntries(new Headers(init?.headers)), host, 'content-length': body.length }
    const asked = request(
      { host: '127.0.0.1', port: world.port, method: 'POST', path: pathname, headers },
      (answer) => {
        answers.push(answer.statusCode ?? 0)
        answer.resume().on('end', () => resolve(new Response('', { status: answer.statusCode ?? 0 })))
      },
    )
    asked.on('error', reject).end(body)
  })
}

async function status(browser: Browser): Promise<number> {
  return (await browser.ask(APP, { headers: { accept: 'application/json' } })).status
}

/** Out at the provider, by its own page. */
async function signOutThere(browser: Browser): Promise<void> {
  const page = await browser.go(`${idp.issuer}/session/end?client_id=${CLIENT}`)
  const [, action = ''] = /action="([^"]+)"/.exec(page.body) ?? []
  const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(page.body) ?? []
  await browser.ask(new URL(action, page.url), {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ xsrf, logout: 'yes' }).toString(),
  })
}

test('signing out at the provider ends the sessions that came of it, and no others', async () => {
  const [here, there] = [world.browser(), world.browser()]
  expect((await here.go(APP)).status).toBe(200)
  expect((await there.go(APP)).status).toBe(200)
  await signOutThere(here)
  await expect.poll(() => answers, { timeout: 30_000 }).toEqual([200])
  expect(await status(here)).toBe(401)
  // The same person, from another session at the provider (`sid`).
  expect(await status(there)).toBe(200)
  expect(world.log().filter(({ event }) => event === 'session-end')).toMatchObject([{ reason: 'back-channel-logout' }])
})
