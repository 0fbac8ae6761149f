/** Two running programs over one store: one of them reads Okta, both decide by it. */
import { expect, onTestFinished, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { createTestWorld } from '../support/world.ts'

const ENGINEERING = 'http://engineering.localhost/'
const HOOK = 'http://authenticate.localhost/.postern/hooks/okta'
const SECRET = 'the-secret-of-the-event-hook'
const AS_JSON = { headers: { accept: 'application/json' } }
const { alice } = DEMO.people

test('one reads for both, a hook at the other counts, and when the leader ends the other leads within seconds', async () => {
  const world = await createTestWorld({
    config: { directory: { okta: { log_interval: '1s', event_hook_secret: SECRET } } },
    okta: { rateLimits: 'off' },
  })
  onTestFinished(() => world.close())
  const other = await world.another()
  const leaders = (): number => world.log().filter(({ msg }) => msg === 'this process reads the directory now').length
  expect(leaders()).toBe(1)

  // A sign-in at the process that does not lead: one reading, by the leader, and no wait for a time-out.
  const browser = other.browser()
  // Once before, so that nothing is asked for the first time below.
  await world.signIn(world.browser(), ENGINEERING, 'bob@example.com')
  world.okta.clearCalls()
  const begin = performance.now()
  expect((await world.signIn(browser, ENGINEERING, 'alice@example.com')).status).toBe(200)
  expect(performance.now() - begin).toBeLessThan(4500)
  const reads = world.okta.calls().filter(({ path }) => path.startsWith(`/api/v1/users/${alice}`))
  expect(reads.map(({ path }) => path)).toEqual([`/api/v1/users/${alice}`, `/api/v1/users/${alice}/groups`])

  // Polls of the log do not multiply.
  world.okta.clearCalls()
  const asked = performance.now()
  await expect
    .poll(() => world.okta.calls().filter(({ path }) => path === '/api/v1/logs').length, { timeout: 10_000 })
    .toBe(3)
  expect(performance.now() - asked).toBeGreaterThan(1500)

  world.okta.removeMember('Engineering', alice)
  await expect.poll(async () => (await browser.ask(ENGINEERING, AS_JSON)).status, { timeout: 5000 }).toBe(403)
  world.okta.addMember('Engineering', alice)
  await expect.poll(async () => (await browser.ask(ENGINEERING, AS_JSON)).status, { timeout: 5000 }).toBe(200)

  const event = {
    uuid: 'one-of-its-own',
    published: new Date().toISOString(),
    eventType: 'user.lifecycle.suspend',
    outcome: { result: 'SUCCESS' },
    target: [{ id: alice, type: 'User' }],
  }
  const delivered = await other.browser().ask(HOOK, {
    method: 'POST',
    headers: { authorization: SECRET, 'content-type': 'application/json' },
    body: JSON.stringify({ data: { events: [event] } }),
  })
  expect(delivered.status).toBe(204)
  await expect.poll(async () => (await browser.ask(ENGINEERING, AS_JSON)).status, { timeout: 3000 }).toBe(401)

  // The hook's word is checked by a reading that is surely later.
  const signedIn = async (): Promise<number> =>
    (await world.signIn(other.browser(), ENGINEERING, 'alice@example.com')).status
  await expect.poll(signedIn, { timeout: 15_000, interval: 500 }).toBe(200)

  await world.app.close()
  await expect.poll(leaders, { timeout: 6000 }).toBe(2)
  const again = other.browser()
  expect((await world.signIn(again, ENGINEERING, 'alice@example.com')).status).toBe(200)
  world.okta.removeMember('Engineering', alice)
  await expect.poll(async () => (await again.ask(ENGINEERING, AS_JSON)).status, { timeout: 5000 }).toBe(403)
}, 60_000)
