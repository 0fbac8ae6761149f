/** What a change in Okta does to people who are signed in, on the running program and over its own HTTP side. */
import { expect, onTestFinished, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { createTestWorld, type World } from '../support/world.ts'

const ENGINEERING = 'http://engineering.localhost/'
const HOOK = 'http://authenticate.localhost/.postern/hooks/okta'
const SECRET = 'the-secret-of-the-event-hook'
const AS_JSON = { headers: { accept: 'application/json' } }
const { alice } = DEMO.people

async function world(okta: Readonly<Record<string, unknown>> = {}): Promise<World> {
  const made = await createTestWorld({
    config: { directory: { okta: { log_interval: '100ms', event_hook_secret: SECRET, ...okta } } },
    okta: { rateLimits: 'off' },
  })
  onTestFinished(() => made.close())
  return made
}

function deliver(of: World, eventType: string, secret = SECRET, ...groups: readonly string[]) {
  const event = {
    uuid: `${eventType}-${Math.random()}`,
    published: new Date(Date.now()).toISOString(),
    eventType,
    outcome: { result: 'SUCCESS' },
    target: [{ id: alice, type: 'User' }, ...groups.map((id) => ({ id, type: 'UserGroup' }))],
  }
  return of.browser().ask(HOOK, {
    method: 'POST',
    headers: { authorization: secret, 'content-type': 'application/json' },
    body: JSON.stringify({ data: { events: [event] } }),
  })
}

test('somebody removed from a group is denied, by the System Log alone', async () => {
  const of = await world()
  const browser = of.browser()
  expect((await of.signIn(browser, ENGINEERING, 'alice@example.com')).status).toBe(200)
  of.okta.removeMember('Engineering', alice)
  await expect.poll(async () => (await browser.ask(ENGINEERING, AS_JSON)).status).toBe(403)
})

test('somebody removed from a group is denied, by the event hook alone', async () => {
  const of = await world({ log_interval: '1h' })
  const browser = of.browser()
  await of.signIn(browser, ENGINEERING, 'alice@example.com')
  of.okta.removeMember('Engineering', alice)
  expect((await deliver(of, 'group.user_membership.remove', SECRET, DEMO.groups.engineering)).status).toBe(204)
  await expect.poll(async () => (await browser.ask(ENGINEERING, AS_JSON)).status).toBe(403)
})

test('a rule about the claim with groups asks the directory, where it lets in and where it keeps out', async () => {
  const allowed = 'http://allowed.localhost/'
  const denied = 'http://denied.localhost/'
  const of = await createTestWorld({
    config: {
      idp_scopes: ['openid', 'email', 'groups'],
      directory: { okta: { log_interval: '100ms' } },
    },
    okta: { rateLimits: 'off' },
    routes: [
      { from: allowed.slice(0, -1), policy: { allow: { or: [{ 'claim/groups': 'Engineering' }] } } },
      {
        from: denied.slice(0, -1),
        allow_any_authenticated_user: true,
        policy: { deny: { or: [{ 'claim/groups': 'Sales' }] } },
      },
    ],
  })
  onTestFinished(() => of.close())
  const browser = of.browser()
  expect((await of.signIn(browser, allowed, 'alice@example.com')).status).toBe(200)
  expect((await browser.go(denied)).status).toBe(200)
  of.okta.removeMember('Engineering', alice)
  of.okta.addMember('Sales', alice)
  await expect.poll(async () => (await browser.ask(allowed, AS_JSON)).status).toBe(403)
  await expect.poll(async () => (await browser.ask(denied, AS_JSON)).status).toBe(403)
})

test.each(['deactivated', 'cleared'])('somebody whose account or sessions are %s loses the session', async (what) => {
  const of = await world()
  const browser = of.browser()
  await of.signIn(browser, ENGINEERING, 'alice@example.com')
  if (what === 'cleared') of.okta.endSessions(alice)
  else of.okta.setStatus(alice, 'DEPROVISIONED')
  await expect.poll(async () => (await browser.ask(ENGINEERING, AS_JSON)).status).toBe(401)
})

test('an event hook with a wrong secret is refused and changes nothing', async () => {
  const of = await world({ log_interval: '1h' })
  const browser = of.browser()
  await of.signIn(browser, ENGINEERING, 'alice@example.com')
  const refused = await deliver(of, 'user.lifecycle.deactivate', 'wrong')
  expect([refused.status, refused.body]).toEqual([401, 'the Authorization header is not the one that was configured\n'])
  expect((await browser.ask(ENGINEERING, AS_JSON)).status).toBe(200)
  expect(of.logText()).not.toContain(SECRET)
})

test('the hook path answers Okta’s verification and nothing else', async () => {
  const of = await world()
  const challenge = { 'x-okta-verification-challenge': 'a-Challenge_1' }
  const verified = await of.browser().ask(HOOK, { headers: challenge })
  expect([verified.status, JSON.parse(verified.body)]).toEqual([200, { verification: 'a-Challenge_1' }])
  expect((await of.browser().ask(HOOK)).status).toBe(400)
  expect((await of.browser().ask(HOOK, { method: 'PUT' })).status).toBe(405)
  expect(
    (await of.browser().ask('http://engineering.localhost/.postern/hooks/okta', { headers: challenge })).status,
  ).toBe(404)
})

test('SCIM pushes decide without an API token, and a removal counts at once', async () => {
  const token = 'the-token-of-the-scim-client'
  const of = await createTestWorld({ config: { idp_service_account: undefined, directory: { scim_token: token } } })
  onTestFinished(() => of.close())
  const scim = async (method: string, path: string, body?: object) =>
    of.browser().ask(`http://authenticate.localhost/.postern/scim/v2${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/scim+json' },
      ...(body && { body: JSON.stringify(body) }),
    })
  const user = await scim('POST', '/Users', {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
    userName: 'alice@example.com',
    externalId: alice,
    active: true,
  })
  expect(user.status).toBe(201)
  const { id } = JSON.parse(user.body) as { id: string }
  const group = await scim('POST', '/Groups', {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
    displayName: 'Engineering',
    members: [{ value: id }],
  })
  expect(group.status).toBe(201)
  const browser = of.browser()
  expect((await of.signIn(browser, ENGINEERING, 'alice@example.com')).status).toBe(200)
  const groupPath = `/Groups/${(JSON.parse(group.body) as { id: string }).id}`
  const removal = {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
    Operations: [{ op: 'remove', path: `members[value eq "${id}"]` }],
  }
  expect((await scim('PATCH', groupPath, removal)).status).toBeLessThan(300)
  await expect.poll(async () => (await browser.ask(ENGINEERING, AS_JSON)).status).toBe(403)
  expect((await of.browser().ask('http://authenticate.localhost/.postern/scim/v2/Users')).status).toBe(401)
})
