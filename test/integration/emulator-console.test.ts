import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator, type OktaEmulator } from '../../emulator/okta/emulator.ts'
import { generatedSeed } from '../../emulator/okta/generate.ts'
import { pageText } from '../support/okta-sign-in.ts'
import { createReceiver } from '../support/receiver.ts'

let okta: OktaEmulator

beforeAll(async () => {
  okta = await createOktaEmulator({ seed: demoSeed() })
})
afterAll(() => okta.close())
beforeEach(() => okta.reset())

async function post(path: string, fields: object, headers: Record<string, string> = {}) {
  const response = await fetch(`${okta.url}/control/${path}`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(fields),
  })
  return { status: response.status, text: await response.text() }
}

const groupsOf = (login: string): readonly string[] =>
  okta.org.groupsOf(okta.org.findPerson(login)?.id ?? '').map((group) => group.name)

describe('the control API', () => {
  test('adds people and groups, changes memberships, status and assignments', async () => {
    await post('groups', { name: 'Legal' })
    await post('people', { login: 'erin@example.com', groups: ['Legal'] })
    expect(groupsOf('erin@example.com')).toEqual(expect.arrayContaining(['Everyone', 'Legal']))
    await post('memberships', { group: 'Engineering', user: 'alice@example.com', member: false })
    expect(groupsOf('alice@example.com')).toEqual(['Everyone'])
    await post('memberships', { group: 'Sales', user: 'alice', member: true })
    expect(groupsOf('alice@example.com')).toContain('Sales')
    await post('status', { user: 'alice', status: 'SUSPENDED' })
    expect(okta.org.findPerson('alice')?.status).toBe('SUSPENDED')
    await post('assignments', { app: DEMO.clientId, to: 'Everyone', assigned: false })
    expect(okta.org.isAssigned(DEMO.clientId, DEMO.people.bob)).toBe(false)
    expect(
      okta.org
        .history()
        .slice(-4)
        .map(({ eventType }) => eventType),
    ).toEqual([
      'group.user_membership.remove',
      'group.user_membership.add',
      'user.lifecycle.suspend',
      'group.application_assignment.remove',
    ])
  })

  test('adds and clears faults, and resets to the seed', async () => {
    await post('faults', { path: '/api/v1', act: { kind: 'status', status: 500 } })
    expect((await fetch(`${okta.url}/api/v1/groups`)).status).toBe(500)
    await post('faults', { clear: true })
    expect((await fetch(`${okta.url}/api/v1/groups`)).status).toBe(401)
    await post('memberships', { group: 'Engineering', user: 'alice', member: false })
    expect((await post('reset', {})).status).toBe(200)
    expect(groupsOf('alice')).toContain('Engineering')
    expect(okta.calls()).toEqual([])
  })

  test('shows the state, the calls received and the budgets', async () => {
    await fetch(`${okta.url}/api/v1/users/me`, { headers: { authorization: `SSWS ${DEMO.apiToken}` } })
    const get = async (name: string): Promise<unknown> => (await fetch(`${okta.url}/control/${name}`)).json()
    expect(await get('calls')).toMatchObject([{ method: 'GET', path: '/api/v1/users/me', status: 200 }])
    expect(await get('buckets')).toMatchObject([{ scope: 'org' }, { remaining: 999 }])
    expect(await get('state')).toMatchObject({
      people: expect.arrayContaining([expect.objectContaining({ login: 'carol@example.com', status: 'SUSPENDED' })]),
      apps: [{ id: DEMO.clientId, assignedTo: [DEMO.groups.everyone] }],
    })
    expect(JSON.stringify(await get('calls'))).not.toContain(DEMO.apiToken)
  })

  test.each([
    ['memberships', { group: 'Nowhere', user: 'alice', member: true }, 'no group "Nowhere" in this org'],
    ['memberships', { group: 'Everyone', user: 'alice', member: true }, 'Everyone cannot be edited'],
    ['memberships', {}, 'group: expected a text'],
    ['status', { user: 'alice', status: 'HAPPY' }, 'status: expected one of STAGED'],
    ['people', { login: 'alice@example.com' }, 'login alice@example.com exists'],
    ['faults', { path: '/' }, 'fault: expected path and act'],
    ['imports', { group: 'Sales', add: ['alice'] }, 'group "Sales" is not imported'],
    ['event-delays', { by: 'soon' }, 'by: expected a number that is not negative'],
    ['scim', { dialect: 'post' }, 'dialect: expected patch or put'],
    ['run', {}, 'steps: expected a list'],
  ])('%s %j is 400 and says why', async (path, fields, message) => {
    const { status, text } = await post(path, fields)
    expect(status).toBe(400)
    expect(JSON.parse(text).error).toContain(message)
  })

  test('runs many steps in one call, and says which one failed', async () => {
    const steps = [
      { do: 'groups', name: 'From AD', type: 'APP_GROUP' },
      { do: 'imports', group: 'From AD', add: ['alice', 'bob'] },
      { do: 'imports', group: 'From AD', remove: ['bob'] },
      { do: 'index-lag', filter: 1000, search: 5000 },
    ]
    expect(await post('run', { steps })).toEqual({ status: 200, text: '{"ok":true,"done":4}' })
    expect(groupsOf('alice')).toContain('From AD')
    expect(groupsOf('bob')).not.toContain('From AD')
    const wrong = [{ do: 'memberships', group: 'Sales', user: 'alice', member: true }, { do: 'nothing' }]
    const { status, text } = await post('run', { steps: wrong })
    expect(status).toBe(400)
    expect(JSON.parse(text).error).toMatch(/^step 1: no action "nothing"; there are people, groups, /)
    expect(groupsOf('alice')).toContain('Sales')
  })

  test('sets delays and failures of log, hooks, outbound calls and SCIM', async () => {
    const receiver = await createReceiver()
    try {
      const origin = 'http://authenticate.localhost'
      await post('outbound', { origin, host: '127.0.0.1', port: receiver.port })
      receiver.answer((_request, res) => res.end('{}'))
      const connection = { appId: DEMO.clientId, baseUrl: `${origin}/scim`, token: 'x', dialect: 'patch' }
      expect(JSON.parse((await post('scim', connection)).text)).toEqual({ ok: true, connected: true })
      expect(receiver.received[0]).toMatchObject({ url: '/scim/Users?startIndex=1&count=100' })
      await post('event-delays', { by: 3_600_000, eventType: 'user.' })
      await post('status', { user: 'bob', status: 'SUSPENDED' })
      await post('memberships', { group: 'Sales', user: 'bob', member: false })
      const events = (await (await fetch(`${okta.url}/control/events`)).json()) as readonly { eventType: string }[]
      expect(events.map(({ eventType }) => eventType)).toEqual(['group.user_membership.remove'])
      expect((await post('hook-behaviour', { duplicates: '0.5', reorder: 'true' })).status).toBe(200)
      expect((await post('hook-flush', {})).status).toBe(200)
      expect(await (await fetch(`${okta.url}/control/hooks`)).json()).toEqual({ hooks: [], deliveries: [] })
    } finally {
      await okta.settleScim()
      await receiver.close()
    }
  })

  test('refuses a page of another origin', async () => {
    const { status } = await post('reset', {}, { origin: 'https://evil.example' })
    expect(status).toBe(403)
  })
})

describe('the page', () => {
  const page = async (): Promise<string> => (await fetch(okta.url)).text()

  test('lists people with status and groups, apps, budgets and calls', async () => {
    okta.addUser({ login: 'mallory@example.com', firstName: '<script>alert(1)</script>' })
    await fetch(`${okta.url}/api/v1/groups`, { headers: { authorization: `SSWS ${DEMO.apiToken}` } })
    const html = await page()
    expect(html).not.toContain('<script')
    const text = pageText(html)
    expect(text).toContain('Carol Cook carol@example.com')
    expect(text).toContain('SUSPENDED Unsuspend')
    expect(text).toContain('Remove from Engineering')
    expect(text).toContain('GET /api/v1/groups 200 /api/v1/groups')
    expect(text).toContain('249 of 250')
    expect(html).not.toContain(DEMO.apiToken)
  })

  test('shows the System Log and hooks, without the secret', async () => {
    okta.removeMember('Engineering', 'alice')
    okta.org.addToken({ value: '00admin', ownerId: DEMO.people.service })
    const config = {
      uri: 'https://hooks.example/',
      authScheme: { type: 'HEADER', key: 'Authorization', value: 'hush' },
    }
    const hook = {
      name: 'Postern hook',
      events: { type: 'EVENT_TYPE', items: ['user.session.clear'] },
      channel: { type: 'HTTP', version: '1.0.0', config },
    }
    const headers = { authorization: 'SSWS 00admin', 'content-type': 'application/json' }
    await fetch(`${okta.url}/api/v1/eventHooks`, { method: 'POST', headers, body: JSON.stringify(hook) })
    const html = await page()
    const text = pageText(html)
    expect(text).toMatch(
      /group\.user_membership\.remove (User Alice Archer, UserGroup Engineering|UserGroup Engineering, User Alice Archer)/,
    )
    expect(text).toContain('Postern hook https://hooks.example/ ACTIVE, UNVERIFIED')
    expect(html + JSON.stringify(await (await fetch(`${okta.url}/control/hooks`)).json())).not.toContain('hush')
  })

  test('stays readable in a big org: no button for every group', async () => {
    const big = await createOktaEmulator({ seed: generatedSeed('1k') })
    try {
      const html = await (await fetch(big.url)).text()
      expect(pageText(html)).toContain('100 of 1005')
      expect(html).not.toContain('Add to Group 99')
    } finally {
      await big.close()
    }
  })

  test('its forms post and return to the page', async () => {
    const fields = { back: 'page', group: DEMO.groups.engineering, user: DEMO.people.alice, member: 'false' }
    const response = await fetch(`${okta.url}/control/memberships`, {
      method: 'POST',
      redirect: 'manual',
      headers: { origin: okta.url },
      body: new URLSearchParams(fields),
    })
    expect([response.status, response.headers.get('location')]).toEqual([303, '/'])
    expect(groupsOf('alice')).toEqual(['Everyone'])
  })
})

describe('the listener', () => {
  test('publicUrl is the issuer and the origin of every link', async () => {
    const behind = await createOktaEmulator({ seed: demoSeed(), publicUrl: 'https://okta.example' })
    try {
      const direct = behind.url
      expect(direct).toBe('https://okta.example')
      const { port } = behind.address
      const metadata = await (await fetch(`http://127.0.0.1:${port}/.well-known/openid-configuration`)).json()
      expect(metadata).toMatchObject({ issuer: direct, token_endpoint: `${direct}/oauth2/v1/token` })
    } finally {
      await behind.close()
    }
  })

  test('a port that is taken rejects', async () => {
    const port = Number(new URL(okta.url).port)
    await expect(createOktaEmulator({ port })).rejects.toThrow('EADDRINUSE')
  })
})
