/** Okta pushes people and groups to the running program; no API token is involved. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { createTestWorld, type World } from '../support/world.ts'

const TOKEN = 'scim-token-of-this-test-0123456789abcdef'
const BASE = 'http://authenticate.localhost/.postern/scim/v2'
const ENGINEERING = 'http://engineering.localhost/'

let world: World
beforeEach(async () => {
  world = await createTestWorld({ config: { idp_service_account: undefined, directory: { scim_token: TOKEN } } })
})
afterEach(() => world.close())

async function scim(method: string, path: string, body?: object, authorization = `Bearer ${TOKEN}`) {
  const answer = await world.browser().ask(BASE + path, {
    method,
    headers: { authorization, 'content-type': 'application/scim+json', accept: 'application/scim+json' },
    ...(body && { body: JSON.stringify(body) }),
  })
  return {
    status: answer.status,
    body: answer.body === '' ? undefined : (JSON.parse(answer.body) as Record<string, unknown>),
  }
}

async function pushAlice(): Promise<string> {
  const created = await scim('POST', '/Users', {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
    userName: 'alice@example.com',
    externalId: DEMO.people.alice,
    emails: [{ primary: true, value: 'alice@example.com', type: 'work' }],
    active: true,
  })
  expect(created.status).toBe(201)
  return String(created.body?.['id'])
}

test('what Okta pushes decides: in, out of the group, and deactivated', async () => {
  const alice = await pushAlice()
  const group = await scim('POST', '/Groups', {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
    displayName: 'Engineering',
    members: [{ value: alice }],
  })
  const groupId = String(group.body?.['id'])
  const browser = world.browser()
  expect((await world.signIn(browser, ENGINEERING, 'alice@example.com')).status).toBe(200)

  const removed = await scim('PATCH', `/Groups/${groupId}`, {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
    Operations: [{ op: 'remove', path: `members[value eq "${alice}"]` }],
  })
  expect([200, 204]).toContain(removed.status)
  await expect.poll(async () => (await browser.ask(ENGINEERING)).status).toBe(403)

  await scim('PATCH', `/Users/${alice}`, {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
    Operations: [{ op: 'replace', value: { active: false } }],
  })
  // The session has ended: what is asked next is a sign-in.
  await expect.poll(async () => (await browser.ask('http://everyone.localhost/')).status).toBe(302)
  // The provider, which knows nothing of it, lets them in; we do not.
  const again = await world.signIn(browser, ENGINEERING, 'alice@example.com')
  expect([again.status, again.body]).toEqual([403, expect.stringContaining('Your account is not active')])
  const asJson = { headers: { accept: 'application/json' } }
  expect((await browser.ask('http://authenticate.localhost/.postern/user', asJson)).status).toBe(401)
  expect(world.okta.calls().filter(({ path }) => path.startsWith('/api/v1'))).toEqual([])
})

test('without the token there is no answer but 401, with a SCIM body, and no body is read', async () => {
  for (const authorization of ['', 'Bearer wrong', `Basic ${TOKEN}`]) {
    const answer = await scim('POST', '/Users', { userName: 'eve' }, authorization)
    expect(answer.status).toBe(401)
    expect(answer.body).toMatchObject({ schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'] })
  }
  expect((await scim('GET', '/Users')).body).toMatchObject({ totalResults: 0 })
})

test('the SCIM server is on the host of the sign-in service only', async () => {
  const answer = await world
    .browser()
    .ask('http://engineering.localhost/.postern/scim/v2/Users', { headers: { authorization: `Bearer ${TOKEN}` } })
  expect(answer.status).toBe(404)
})
