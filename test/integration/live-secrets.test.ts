/** Secrets that are replaced while people work: nobody signs in anew, and nothing is restarted. */
import { afterEach, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { manualClock } from '../support/clock.ts'
import { whileTimePasses } from '../support/passing-time.ts'
import { createTestWorld, type World } from '../support/world.ts'

const ENGINEERING = 'http://engineering.localhost/'
const ALICE = 'alice@example.com'
const MINUTE = 60_000
const JSON_ASK = { headers: { accept: 'application/json' } }
const NEW_SECRET = 'the-second-secret-of-this-client'
const HOOK = 'http://authenticate.localhost/.postern/hooks/okta'

let world: World
afterEach(() => world.close())

test('a client secret that is revoked after a reload: people stay signed in, are refreshed, and sign in', async () => {
  const clock = manualClock()
  world = await createTestWorld({ clock, config: { idp_service_account: undefined } })
  const alice = world.browser()
  expect((await whileTimePasses(clock, world.signIn(alice, ENGINEERING, ALICE))).status).toBe(200)
  world.okta.updateApp(DEMO.clientId, { secret: NEW_SECRET })
  expect((await whileTimePasses(clock, world.signIn(world.browser(), ENGINEERING, ALICE))).status).toBe(500)
  world.reload({ idp_client_secret: NEW_SECRET })
  expect((await whileTimePasses(clock, world.signIn(world.browser(), ENGINEERING, ALICE))).status).toBe(200)
  clock.advance(61 * MINUTE)
  world.okta.clearCalls()
  expect((await whileTimePasses(clock, alice.ask(ENGINEERING, JSON_ASK))).status).toBe(200)
  expect(world.okta.calls().flatMap(({ path, status }) => (path === '/oauth2/v1/token' ? [status] : []))).toEqual([200])
  expect(world.log().flatMap(({ event }) => (event === 'session-end' ? [event] : []))).toEqual([])
  const reloaded = world.log().filter(({ msg }) => msg === 'configuration reloaded')
  expect(reloaded).toEqual([expect.objectContaining({ changed: ['idp_client_secret'] })])
  expect(reloaded[0]).not.toHaveProperty('needs_restart')
  expect(world.logText()).not.toContain(NEW_SECRET)
})

test.each(['reload', 'restart'] as const)(
  'a session whose refresh failed for a wrong secret does not wait out its pause with the right one: %s',
  async (how) => {
    const clock = manualClock()
    world = await createTestWorld({ clock, config: { idp_service_account: undefined } })
    const alice = world.browser()
    const answers = () =>
      world.okta.calls().flatMap(({ path, status }) => (path === '/oauth2/v1/token' ? [status] : []))
    expect((await whileTimePasses(clock, world.signIn(alice, ENGINEERING, ALICE))).status).toBe(200)
    world.okta.updateApp(DEMO.clientId, { secret: NEW_SECRET })
    clock.advance(61 * MINUTE)
    world.okta.clearCalls()
    const at = clock.now()
    for (let i = 0; i < 3; i++) await alice.ask(ENGINEERING, JSON_ASK)
    expect(answers()).toEqual([401])
    if (how === 'reload') world.reload({ idp_client_secret: NEW_SECRET })
    else await world.restart({ idp_client_secret: NEW_SECRET })
    expect((await alice.ask(ENGINEERING, JSON_ASK)).status).toBe(200)
    expect(answers()).toEqual([401, 200])
    expect(clock.now()).toBe(at)
  },
)

test('an API token that Okta refuses is named, and the right one counts at once', async () => {
  const clock = manualClock()
  world = await createTestWorld({ clock, config: { idp_service_account: 'this-is-not-the-token' } })
  const alice = world.browser()
  const refused = await whileTimePasses(clock, world.signIn(alice, ENGINEERING, ALICE))
  expect([refused.status, /<code>(ERR_\w+)<\/code>/.exec(refused.body)?.[1]]).toEqual([
    503,
    'ERR_DIRECTORY_UNAUTHORIZED',
  ])
  world.reload({ idp_service_account: DEMO.apiToken })
  const at = clock.now()
  const bob = await world.signIn(world.browser(), ENGINEERING, ALICE)
  expect(bob.status).toBe(200)
  expect(clock.now()).toBe(at)
  expect((await alice.ask(ENGINEERING, JSON_ASK)).status).toBe(200)
})

test('the secret of an event hook that was replaced opens nothing any more; one that is taken out stays until the restart', async () => {
  world = await createTestWorld({ config: { directory: { okta: { event_hook_secret: 'the-first-secret-of-hooks' } } } })
  const shown = async (authorization: string): Promise<number> => {
    const headers = { authorization, 'content-type': 'application/json' }
    const body = JSON.stringify({ data: { events: [] } })
    return (await world.browser().ask(HOOK, { method: 'POST', headers, body })).status
  }
  const both = async () => [await shown('the-first-secret-of-hooks'), await shown('the-second-secret-of-hooks')]
  const [accepted, refused] = await both()
  expect(refused).toBe(401)
  world.reload({ directory: { okta: { event_hook_secret: 'the-second-secret-of-hooks' } } })
  expect(await both()).toEqual([401, accepted])
  world.reload({ directory: {} })
  expect(await both()).toEqual([401, accepted])
  expect(world.log().findLast(({ msg }) => msg === 'configuration reloaded')).toMatchObject({
    needs_restart: ['directory.okta.event_hook_secret'],
  })
})

test('a secret for the provider of the next start is not shown to the one in force', async () => {
  world = await createTestWorld({ config: { idp_service_account: undefined } })
  world.reload({ idp_provider_url: `${world.okta.url}/oauth2/default`, idp_client_secret: NEW_SECRET })
  expect(world.log().findLast(({ msg }) => msg === 'configuration reloaded')).toMatchObject({
    needs_restart: ['idp_provider_url'],
  })
  expect((await world.signIn(world.browser(), ENGINEERING, ALICE)).status).toBe(200)
})
