/** The sign-in service in one process and the routes in another, which has no secret but the shared one. */
import { expect, onTestFinished, test } from 'vitest'
import { type Browser, createBrowser } from '../support/browser.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { whileTimePasses } from '../support/passing-time.ts'
import { createTestWorld, type World } from '../support/world.ts'

const ENGINEERING = 'http://engineering.localhost/'
const AUTH = 'http://authenticate.localhost'
const AS_JSON = { headers: { accept: 'application/json' } }

async function split(clock?: ManualClock): Promise<{
  world: World
  proxy: Awaited<ReturnType<World['another']>>
  readonly browser: () => Browser
}> {
  const world = await createTestWorld({
    config: { services: 'authenticate', directory: { okta: { log_interval: '1s' } } },
    okta: { rateLimits: 'off' },
    ...(clock && { clock }),
  })
  onTestFinished(() => world.close())
  const proxy = await world.another({
    services: 'proxy',
    idp_client_secret: undefined,
    idp_service_account: undefined,
    directory: { sources: ['okta'] },
  })
  return {
    world,
    proxy,
    browser: () =>
      createBrowser((host) => (host === new URL(AUTH).hostname ? world.port : proxy.app.listener.address.port)),
  }
}

test('people sign in at the one, use the other, and lose what they lose in Okta', async () => {
  const { world, browser } = await split()
  const alice = browser()
  expect((await world.signIn(alice, ENGINEERING, 'alice@example.com')).status).toBe(200)
  expect((await world.signIn(browser(), ENGINEERING, 'bob@example.com')).status).toBe(403)
  world.okta.removeMember('Engineering', 'alice@example.com')
  await expect.poll(async () => (await alice.ask(ENGINEERING, AS_JSON)).status).toBe(403)
})

test('a sign-out at the proxy ends the session at both, and at the provider', async () => {
  const { world, browser } = await split()
  const alice = browser()
  await world.signIn(alice, ENGINEERING, 'alice@example.com')
  const page = await alice.ask(`${ENGINEERING}.postern/sign_out`)
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
  const out = await alice.ask(`${ENGINEERING}.postern/sign_out`, {
    method: 'POST',
    headers: { origin: ENGINEERING.slice(0, -1), 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ csrf }).toString(),
  })
  expect(out.status).toBe(303)
  const end = new URL(out.headers.location ?? '')
  expect(end.origin).toBe(world.okta.url)
  expect(end.searchParams.get('id_token_hint')).toMatch(/^ey/)
  expect((await alice.ask(`${AUTH}/.postern/user`, AS_JSON)).status).toBe(401)
})

test('each serves its own alone', async () => {
  const { world, proxy } = await split()
  const atSignIn = world.browser()
  const atProxy = proxy.browser()
  for (const path of ['/', '/.postern/sign_in', '/.postern/user', '/oauth2/callback?code=x&state=y', '/robots.txt'])
    expect((await atProxy.ask(AUTH + path)).status).toBe(404)
  for (const path of ['', '.postern/callback?code=x', '.postern/sign_in', 'x'])
    expect((await atSignIn.ask(ENGINEERING + path)).status).toBe(404)
  // A load balancer asks for either with its own address as Host.
  expect((await atSignIn.ask('http://10.0.0.1/ping')).status).toBe(200)
  expect((await atProxy.ask('http://10.0.0.1/ping')).status).toBe(200)
  expect((await atProxy.ask(ENGINEERING)).headers.location).toContain(`${AUTH}/.postern/sign_in?`)
  expect((await atSignIn.ask(`${AUTH}/.postern/sign_in`)).status).toBe(302)
})

test('a proxy never reads Okta, even when nobody else does', async () => {
  const { world, browser } = await split()
  const alice = browser()
  await world.signIn(alice, ENGINEERING, 'alice@example.com')
  await world.app.close()
  world.okta.clearCalls()
  expect((await alice.ask(ENGINEERING)).status).toBe(200)
  // A lease is asked for each second by whoever may lead.
  await new Promise((resolve) => setTimeout(resolve, 5000))
  expect((await alice.ask(ENGINEERING)).status).toBe(200)
  expect(world.okta.calls()).toEqual([])
  expect(world.log().filter(({ msg }) => msg === 'this process reads the directory now')).toHaveLength(1)
})

test('tokens of the provider are refreshed and revoked by the sign-in service, whoever needs it', async () => {
  const clock = manualClock()
  const { world, browser } = await split(clock)
  const alice = browser()
  const callsTo = (path: string) => world.okta.calls().filter((call) => call.path === path)
  expect((await whileTimePasses(clock, world.signIn(alice, ENGINEERING, 'alice@example.com'))).status).toBe(200)
  world.okta.clearCalls()
  // No request reaches the sign-in service meanwhile.
  clock.advance(61 * 60_000)
  expect((await whileTimePasses(clock, alice.ask(ENGINEERING, AS_JSON))).status).toBe(200)
  expect(callsTo('/oauth2/v1/token').map(({ status }) => status)).toEqual([200])

  const page = await alice.ask(`${ENGINEERING}.postern/sign_out`)
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
  const out = await alice.ask(`${ENGINEERING}.postern/sign_out`, {
    method: 'POST',
    headers: { origin: ENGINEERING.slice(0, -1), 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ csrf }).toString(),
  })
  expect(out.status).toBe(303)
  const seen = async (): Promise<readonly number[]> => {
    await clock.advanceAsync(200)
    return callsTo('/oauth2/v1/revoke').map(({ status }) => status)
  }
  await expect.poll(seen).toEqual([200])
})
