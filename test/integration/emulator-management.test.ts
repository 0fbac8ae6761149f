import okta from '@okta/okta-sdk-nodejs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createOktaEmulator, type OktaEmulator, type OktaEmulatorOptions } from '../../emulator/okta/emulator.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'

const TOKEN = '00test-token'
const ADMIN = 'admin@example.com'

let clock: ManualClock
let emulator: OktaEmulator

async function start(options: OktaEmulatorOptions = {}): Promise<void> {
  emulator = await createOktaEmulator({ clock, seed: { tokens: [{ value: TOKEN, owner: ADMIN }] }, ...options })
}
beforeEach(async () => {
  clock = manualClock()
  await start()
})
afterEach(() => emulator.close())

async function restart(options: OktaEmulatorOptions): Promise<void> {
  await emulator.close()
  await start(options)
}

async function call(path: string, init: RequestInit & { token?: string } = {}) {
  const { token = TOKEN, ...rest } = init
  const headers = { authorization: `SSWS ${token}`, ...(init.headers as Record<string, string>) }
  const response = await fetch(new URL(path, emulator.url), { ...rest, headers })
  const body = await response.text()
  return { status: response.status, headers: response.headers, json: body === '' ? undefined : JSON.parse(body) }
}

function nextOf(headers: Headers): string | undefined {
  return /<([^>]+)>; rel="next"/.exec(headers.get('link') ?? '')?.[1]
}

/** A group `crowd` of so many people, and one person in so many groups. */
function populate(people: number, groups: number): { readonly crowd: string; readonly joiner: string } {
  const joiner = emulator.addUser({ login: 'joiner@example.com' })
  for (let n = 0; n < groups; n++) emulator.addMember(emulator.addGroup(`group-${n}`).id, joiner.id)
  const crowd = emulator.addGroup('crowd')
  for (let n = 0; n < people; n++) {
    emulator.org.addMember(crowd.id, emulator.addUser({ login: `person${n}@example.com` }).id)
  }
  return { crowd: crowd.id, joiner: joiner.id }
}

describe("Okta's Node SDK", () => {
  const client = (): okta.Client => new okta.Client({ orgUrl: emulator.url, token: TOKEN })

  async function ids(collection: AsyncIterable<{ id?: string } | null>): Promise<readonly string[]> {
    const found: string[] = []
    for await (const item of collection) found.push(item?.id ?? '')
    return found
  }

  test('pages all users, 200 at a time', async () => {
    populate(448, 0)
    const users = await ids(await client().userApi.listUsers({ limit: 200 }))
    expect(users).toHaveLength(450)
    expect(new Set(users).size).toBe(450)
    expect(emulator.calls().map(({ path, status }) => `${path} ${status}`)).toEqual(Array(3).fill('/api/v1/users 200'))
  })

  test('pages all groups, Everyone among them', async () => {
    populate(0, 230)
    const groups = await ids(await client().groupApi.listGroups({ limit: 200 }))
    expect(groups).toHaveLength(232)
    expect(groups).toContain(emulator.org.everyone.id)
  })

  test('pages the members of a group and the groups of a user', async () => {
    const { crowd, joiner } = populate(450, 229)
    const members = await ids(await client().groupApi.listGroupUsers({ groupId: crowd, limit: 200 }))
    expect(new Set(members).size).toBe(450)
    emulator.clearCalls()
    const groups = await ids(await client().userApi.listUserGroups({ userId: joiner }))
    expect(new Set(groups).size).toBe(230)
    expect(emulator.calls()).toHaveLength(2)
  })

  test('reads one user, creates and deletes a group, adds and removes a member', async () => {
    const { joiner } = populate(0, 0)
    const api = client()
    expect((await api.userApi.getUser({ userId: 'joiner@example.com' })).profile?.email).toBe('joiner@example.com')
    const { id: groupId = '' } = await api.groupApi.createGroup({ group: { profile: { name: 'made by the SDK' } } })
    await api.groupApi.assignUserToGroup({ groupId, userId: joiner })
    expect(emulator.org.membersOf(groupId).map(({ id }) => id)).toEqual([joiner])
    await api.groupApi.unassignUserFromGroup({ groupId, userId: joiner })
    expect(emulator.org.membersOf(groupId)).toEqual([])
    await api.groupApi.deleteGroup({ groupId })
    expect(emulator.org.findGroup('made by the SDK')).toBeUndefined()
  })

  test('waits after a 429 until the reset on the server’s clock, and then succeeds', async () => {
    await restart({ rateLimits: { '/api/v1/groups': 2 } })
    const waits: number[] = []
    const requestExecutor = new okta.DefaultRequestExecutor()
    requestExecutor.on('backoff', (_request, _response, _id, wait: number) => {
      waits.push(wait)
      clock.advance(wait)
    })
    const api = new okta.Client({
      orgUrl: emulator.url,
      token: TOKEN,
      requestExecutor,
    })
    await ids(await api.groupApi.listGroups())
    // Nearly at the end of the window, so that the SDK's real sleep is short.
    clock.advance(59_000)
    await ids(await api.groupApi.listGroups())
    expect(waits).toEqual([2000])
    expect(emulator.calls().map(({ status }) => status)).toEqual([200, 429, 200])
  })
})

describe('credentials', () => {
  test.each([
    ['no header', undefined, 401, 'E0000004', 'Authentication failed'],
    ['another scheme', 'Basic x', 401, 'E0000004', 'Authentication failed'],
    ['an unknown access token', 'Bearer x', 401, 'E0000011', 'Invalid token provided'],
    ['an empty token', 'SSWS ', 401, 'E0000004', 'Authentication failed'],
    ['an unknown token', 'SSWS wrong', 401, 'E0000011', 'Invalid token provided'],
  ])('%s', async (_name, authorization, status, errorCode, errorSummary) => {
    const response = await fetch(`${emulator.url}/api/v1/users/me`, { headers: authorization ? { authorization } : {} })
    expect(response.status).toBe(status)
    expect(response.headers.get('x-okta-request-id')).toMatch(/^req/)
    expect(await response.json()).toMatchObject({ errorCode, errorSummary, errorLink: errorCode, errorCauses: [] })
  })

  test('/users/me gives the owner of the token', async () => {
    expect((await call('/api/v1/users/me')).json.profile.login).toBe(ADMIN)
  })

  test.each([
    ['revoked', () => emulator.revokeApiToken(TOKEN)],
    ['owned by somebody deactivated', () => emulator.setStatus(ADMIN, 'DEPROVISIONED')],
    ['unused for more than 30 days', () => clock.advance(30 * 24 * 3_600_000 + 1)],
  ])('a token that is %s is invalid', async (_name, change) => {
    expect((await call('/api/v1/groups')).status).toBe(200)
    change()
    expect(await call('/api/v1/groups')).toMatchObject({ status: 401, json: { errorCode: 'E0000011' } })
  })

  test('every use extends the life of a token', async () => {
    for (let month = 0; month < 3; month++) {
      clock.advance(29 * 24 * 3_600_000)
      expect((await call('/api/v1/groups')).status).toBe(200)
    }
  })

  test('a role decides about reading, writing and seeing Everyone', async () => {
    const { id: ownerId } = emulator.org.findPerson(ADMIN) ?? { id: '' }
    for (const role of ['READ_ONLY_ADMIN', 'GROUP_MEMBERSHIP_ADMIN', 'NONE'] as const) {
      emulator.org.addToken({ value: role, ownerId, role })
    }
    const everyone = `/api/v1/groups/${emulator.org.everyone.id}`
    expect((await call(everyone, { token: 'READ_ONLY_ADMIN' })).status).toBe(200)
    expect(await call(everyone, { token: 'GROUP_MEMBERSHIP_ADMIN' })).toMatchObject({ status: 404 })
    expect((await call('/api/v1/groups', { token: 'GROUP_MEMBERSHIP_ADMIN' })).json).toEqual([])
    for (const [token, method] of [
      ['NONE', 'GET'],
      ['READ_ONLY_ADMIN', 'POST'],
    ] as const) {
      expect(await call('/api/v1/groups', { token, method })).toMatchObject({
        status: 403,
        json: { errorCode: 'E0000006', errorSummary: 'You do not have permission to perform the requested action' },
      })
    }
  })

  test('a network zone binds a token', async () => {
    const { id: ownerId } = emulator.org.findPerson(ADMIN) ?? { id: '' }
    emulator.org.addToken({ value: 'here', ownerId, networks: ['127.0.0.0/8', '::1'] })
    emulator.org.addToken({ value: 'elsewhere', ownerId, networks: ['203.0.113.0/24'] })
    expect((await call('/api/v1/groups', { token: 'here' })).status).toBe(200)
    expect(await call('/api/v1/groups', { token: 'elsewhere' })).toMatchObject({ json: { errorCode: 'E0000011' } })
  })
})

describe('errors', () => {
  test.each([
    ['GET', '/api/v1/groups/00gnothing', 404, 'E0000007', 'Not found: Resource not found: 00gnothing (UserGroup)'],
    [
      'GET',
      '/api/v1/groups/00gnothing/users',
      404,
      'E0000007',
      'Not found: Resource not found: 00gnothing (UserGroup)',
    ],
    ['GET', '/api/v1/users/nobody@x', 404, 'E0000007', 'Not found: Resource not found: nobody@x (User)'],
    ['GET', '/api/v1/users/nobody@x/groups', 404, 'E0000007', 'Not found: Resource not found: nobody@x (User)'],
    [
      'GET',
      '/api/v1/apps/0oanothing/groups',
      404,
      'E0000007',
      'Not found: Resource not found: 0oanothing (AppInstance)',
    ],
    ['GET', '/api/v1/nothing', 404, 'E0000008', 'The requested path was not found'],
    ['PATCH', '/api/v1/users', 405, 'E0000022', 'The endpoint does not support the provided HTTP method'],
    ['GET', '/api/v1/users?limit=0', 400, 'E0000001', 'Api validation failed: limit'],
    ['GET', '/api/v1/groups?after=00gmade-up', 400, 'E0000001', 'Api validation failed: after'],
    ['GET', '/api/v1/groups?filter=nonsense', 400, 'E0000031', 'Invalid search criteria.'],
    ['GET', '/api/v1/users?filter=profile.login%20sw%20%22a%22', 400, 'E0000031', 'Invalid search criteria.'],
    ['POST', '/api/v1/groups', 400, 'E0000003', 'The request body was not well-formed.'],
    ['POST', `/api/v1/users/${ADMIN}/lifecycle/unsuspend`, 400, 'E0000001', 'Api validation failed: unsuspend'],
    [
      'POST',
      `/api/v1/users/${ADMIN}/lifecycle/activate`,
      403,
      'E0000016',
      'Activation failed because the user is already active',
    ],
    [
      'POST',
      `/api/v1/users/${ADMIN}/lifecycle/unlock`,
      403,
      'E0000038',
      "This operation is not allowed in the user's current status.",
    ],
  ])('%s %s', async (method, path, status, errorCode, errorSummary) => {
    expect(await call(path, { method })).toMatchObject({ status, json: { errorCode, errorSummary } })
  })

  test('Everyone and imported groups cannot be edited', async () => {
    const imported = emulator.addGroup({ name: 'from AD', type: 'APP_GROUP' })
    for (const id of [emulator.org.everyone.id, imported.id]) {
      expect(await call(`/api/v1/groups/${id}`, { method: 'DELETE' })).toMatchObject({
        json: { errorCode: 'E0000060' },
      })
    }
  })
})

describe('lists', () => {
  test('links are header lines of their own: self, and next while there is more', async () => {
    populate(0, 3)
    const first = await call('/api/v1/groups?limit=2&expand=stats')
    expect(first.json).toHaveLength(2)
    expect(first.json[0]).toMatchObject({ _embedded: { stats: { usersCount: expect.any(Number) } } })
    const next = nextOf(first.headers) ?? ''
    expect(next.startsWith(`${emulator.url}/api/v1/groups?`)).toBe(true)
    expect(new URL(next).searchParams.get('expand')).toBe('stats')
    const second = await call(next)
    expect(second.json).toHaveLength(2)
    const third = await call(nextOf(second.headers) ?? '')
    expect(third.json).toHaveLength(1)
    expect(nextOf(third.headers)).toBeUndefined()
    expect(third.headers.get('link')).toContain('rel="self"')
    const all = [...first.json, ...second.json, ...third.json].map((group: { id: string }) => group.id)
    expect(new Set(all).size).toBe(5)
  })

  test('a cursor belongs to its list and lives an hour', async () => {
    const { crowd } = populate(3, 3)
    const next = nextOf((await call('/api/v1/groups?limit=2')).headers) ?? ''
    const after = new URL(next).searchParams.get('after')
    expect(await call(`/api/v1/groups/${crowd}/users?after=${after}`)).toMatchObject({
      json: { errorCode: 'E0000001' },
    })
    clock.advance(3_600_001)
    expect(await call(next)).toMatchObject({ status: 400, json: { errorCode: 'E0000001' } })
  })

  test('a change between two pages skips or repeats nobody else', async () => {
    const { crowd } = populate(6, 0)
    const before = emulator.org.membersOf(crowd).map(({ id }) => id)
    const first = await call(`/api/v1/groups/${crowd}/users?limit=3`)
    emulator.org.removeMember(crowd, before[0] ?? '')
    emulator.org.removeMember(crowd, before[2] ?? '')
    const second = await call(nextOf(first.headers) ?? '')
    const seen = [...first.json, ...second.json].map((person: { id: string }) => person.id)
    expect(seen).toEqual(before)
  })

  test('/users/{id}/groups gives 200 groups and a next link', async () => {
    const { joiner } = populate(0, 250)
    const first = await call(`/api/v1/users/${joiner}/groups`)
    expect(first.json).toHaveLength(200)
    expect((await call(nextOf(first.headers) ?? '')).json).toHaveLength(51)
  })

  test('the user list leaves deactivated people out unless a filter asks for them', async () => {
    const { crowd } = populate(2, 0)
    emulator.setStatus('person0@example.com', 'DEPROVISIONED')
    emulator.setStatus('person1@example.com', 'SUSPENDED')
    const logins = async (path: string): Promise<readonly string[]> =>
      (await call(path)).json.map((person: { profile: { login: string } }) => person.profile.login)
    expect(await logins('/api/v1/users')).not.toContain('person0@example.com')
    expect(await logins('/api/v1/users?filter=status eq "DEPROVISIONED"')).toEqual(['person0@example.com'])
    expect(await logins('/api/v1/users?search=profile.login sw "PERSON"')).toHaveLength(2)
    expect(await logins('/api/v1/users?q=person')).toEqual(['person1@example.com'])
    // A status change never touches memberships.
    expect(await logins(`/api/v1/groups/${crowd}/users`)).toHaveLength(2)
  })

  test('groups are found by lastUpdated, name, type and prefix', async () => {
    const { joiner } = populate(0, 2)
    const before = new Date(clock.now()).toISOString()
    clock.advance(1000)
    emulator.removeMember('group-1', joiner)
    const names = async (query: string): Promise<readonly string[]> =>
      (await call(`/api/v1/groups?${query}`)).json.map((group: { profile: { name: string } }) => group.profile.name)
    const delta = `lastUpdated gt "${before}" or lastMembershipUpdated gt "${before}"`
    expect(await names(`filter=${encodeURIComponent(delta)}`)).toEqual(['group-1'])
    expect(await names('filter=type eq "BUILT_IN"')).toEqual(['Everyone'])
    expect(await names('search=profile.name eq "GROUP-0"')).toEqual(['group-0'])
    expect(await names('q=group-')).toEqual(['group-0', 'group-1'])
  })

  test('app assignments are listed for people and groups', async () => {
    const { crowd } = populate(2, 0)
    const app = emulator.addApp({ redirectUris: ['https://app.example/cb'] })
    emulator.assignApp(app.id, 'crowd')
    expect((await call(`/api/v1/apps/${app.id}/groups`)).json).toMatchObject([{ id: crowd, priority: 0 }])
    expect((await call(`/api/v1/apps/${app.id}/users`)).json).toHaveLength(2)
  })
})

describe('lifecycle', () => {
  test('suspend, unsuspend, deactivate and delete change the status', async () => {
    const { joiner } = populate(0, 1)
    const act = (action: string) => call(`/api/v1/users/${joiner}/lifecycle/${action}`, { method: 'POST' })
    const status = async () => (await call(`/api/v1/users/${joiner}`)).json.status
    expect((await act('suspend')).status).toBe(200)
    expect(await status()).toBe('SUSPENDED')
    expect(await act('suspend')).toMatchObject({
      status: 400,
      json: { errorCauses: [{ errorSummary: 'Cannot suspend a user that is not active' }] },
    })
    await act('unsuspend')
    await act('deactivate')
    expect(await status()).toBe('DEPROVISIONED')
    expect((await call(`/api/v1/users/${joiner}/groups`)).json).toHaveLength(2)
    expect((await call(`/api/v1/users/${joiner}`, { method: 'DELETE' })).status).toBe(204)
    expect((await call(`/api/v1/users/${joiner}`)).status).toBe(404)
  })

  test('a status change is dated by the clock of the emulator', async () => {
    const { joiner } = populate(0, 0)
    clock.advance(90_000)
    emulator.setStatus(joiner, 'SUSPENDED')
    const { json, headers } = await call(`/api/v1/users/${joiner}`)
    const now = new Date(clock.now())
    expect(json).toMatchObject({ statusChanged: now.toISOString(), lastUpdated: now.toISOString() })
    expect(headers.get('date')).toBe(now.toUTCString())
  })
})

describe('rate limits', () => {
  test('headers count down, and a 429 says when the window ends', async () => {
    await restart({ rateLimits: { '/api/v1/users': 4 } })
    const reset = String(Math.ceil((clock.now() + 60_000) / 1000))
    const limits = async () => {
      const { status, headers } = await call('/api/v1/users')
      return [status, ...['limit', 'remaining', 'reset'].map((name) => headers.get(`x-rate-limit-${name}`))]
    }
    expect(await limits()).toEqual([200, '2', '1', reset])
    expect(await limits()).toEqual([200, '2', '0', reset])
    expect(await limits()).toEqual([429, '2', '0', reset])
    const refused = await call('/api/v1/users')
    expect(refused.json).toMatchObject({
      errorCode: 'E0000047',
      errorSummary: 'API call exceeded rate limit due to too many requests.',
    })
    expect(refused.headers.has('retry-after')).toBe(false)
    clock.advance(60_000)
    expect((await limits())[0]).toBe(200)
  })

  test.each([
    ['/api/v1/groups', '/api/v1/groups'],
    ['/api/v1/groups/GROUP/users', '/api/v1/groups'],
    ['/api/v1/groups/GROUP', '/api/v1/groups/{id}'],
    ['/api/v1/users', '/api/v1/users'],
    ['/api/v1/users/USER/groups', '/api/v1/users'],
    ['/api/v1/users/USER', '/api/v1/users/{id:.+}'],
    ['/api/v1/users/me', '/api/v1/users/me'],
    ['/api/v1/apps', '/api/v1/apps'],
  ])('%s counts against %s', async (path, bucket) => {
    const { crowd, joiner } = populate(0, 0)
    await call(path.replace('GROUP', crowd).replace('USER', joiner))
    expect(emulator.buckets().map((state) => [state.bucket, state.used])).toEqual([
      [bucket, 1],
      [bucket, 1],
    ])
  })

  test.each([
    ['workforce', '250', '300'],
    ['enterprise', '300', '300'],
    ['integrator', '50', '50'],
  ] as const)('the plan %s, halved for a token', async (rateLimits, groups, users) => {
    await restart({ rateLimits })
    expect((await call('/api/v1/groups')).headers.get('x-rate-limit-limit')).toBe(groups)
    expect((await call('/api/v1/users')).headers.get('x-rate-limit-limit')).toBe(users)
  })

  test('a clock that is ahead shows in Date and X-Rate-Limit-Reset', async () => {
    emulator.clockSkew(90_000)
    const { headers } = await call('/api/v1/users')
    expect(headers.get('date')).toBe(new Date(clock.now() + 90_000).toUTCString())
    expect(headers.get('x-rate-limit-reset')).toBe(String(Math.ceil((clock.now() + 60_000) / 1000) + 90))
  })

  test('too many calls at once get 429 with limit 0 and remaining 0', async () => {
    await restart({ concurrency: 0 })
    const { status, headers, json } = await call('/api/v1/groups')
    expect([status, json.errorCode]).toEqual([429, 'E0000047'])
    expect([headers.get('x-rate-limit-limit'), headers.get('x-rate-limit-remaining')]).toEqual(['0', '0'])
  })

  test('metadata and keys have no limit', async () => {
    await fetch(`${emulator.url}/.well-known/openid-configuration`)
    await fetch(`${emulator.url}/oauth2/v1/keys`)
    expect(emulator.buckets()).toEqual([])
  })
})

describe('faults', () => {
  test('a status, as often as asked, after as many calls as asked', async () => {
    emulator.fault({ path: '/api/v1/groups', after: 1, times: 2, act: { kind: 'status', status: 503 } })
    const statuses: number[] = []
    for (let n = 0; n < 4; n++) statuses.push((await fetch(`${emulator.url}/api/v1/groups`)).status)
    expect(statuses).toEqual([401, 503, 503, 401])
  })

  test('a cut connection, half an answer, JSON that does not parse, a foreign link', async () => {
    const path = '/api/v1/groups'
    emulator.fault({ path, times: 1, act: { kind: 'cut' } })
    await expect(call(path)).rejects.toThrow('fetch failed')
    emulator.fault({ path, times: 1, act: { kind: 'half' } })
    await expect(call(path)).rejects.toThrow('terminated')
    emulator.fault({ path, times: 1, act: { kind: 'malformed' } })
    await expect(call(path)).rejects.toThrow(SyntaxError)
    const link = '<https://elsewhere.example/api/v1/groups?after=x>; rel="next"'
    emulator.fault({ path, times: 1, act: { kind: 'headers', headers: { link } } })
    expect((await call(path)).headers.get('link')).toBe(link)
    expect((await call(path)).status).toBe(200)
  })

  test('a page instead of JSON, one broken record in a list, by the pattern of a path', async () => {
    const { crowd } = populate(3, 0)
    emulator.fault({ path: '/api/v1/groups/*/users', times: 1, act: { kind: 'html' } })
    expect((await call('/api/v1/groups')).status).toBe(200)
    await expect(call(`/api/v1/groups/${crowd}/users`)).rejects.toThrow(SyntaxError)
    emulator.fault({ path: '/api/v1/groups/*/users', act: { kind: 'record', at: 1, value: { id: 7 } } })
    for (let n = 0; n < 2; n++) {
      const { json } = await call(`/api/v1/groups/${crowd}/users`)
      expect(json.map((person: { id: unknown }) => typeof person.id)).toEqual(['string', 'number', 'string'])
    }
    emulator.clearFaults()
    expect((await call(`/api/v1/groups/${crowd}/users`)).json[1].id).toMatch(/^00u/)
  })

  test('a slow answer waits for the clock', async () => {
    emulator.fault({ path: '/api/v1/groups', times: 1, act: { kind: 'slow', by: 5000 } })
    const arrived = { slow: false }
    const slow = call('/api/v1/groups').then(({ status }) => {
      arrived.slow = true
      return status
    })
    // Another call is answered meanwhile.
    expect((await call('/api/v1/users')).status).toBe(200)
    expect(arrived.slow).toBe(false)
    while (!arrived.slow) await clock.advanceAsync(1000)
    expect(await slow).toBe(200)
  })
})
