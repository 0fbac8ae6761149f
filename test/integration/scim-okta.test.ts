/** What Okta's SCIM client sends (okta-api.md#scim-client), in both dialects and in the order in which it does. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sha256 } from '../../src/lib/crypto.ts'
import type { Subject } from '../../src/types.ts'
import {
  type Answer,
  ERROR,
  filter,
  oktaGroup,
  oktaUser,
  patchOf,
  type ScimServer,
  startScimServer,
  TOKEN,
} from './scim-server.ts'

const LIST = 'urn:ietf:params:scim:api:messages:2.0:ListResponse'
let server: ScimServer

beforeEach(async () => {
  server = await startScimServer()
})
afterEach(() => server.close())

const send: ScimServer['send'] = (...request) => server.send(...request)

async function createUser(login: string, more: object = {}): Promise<string> {
  const { status, body } = await send('POST', '/Users', oktaUser(login, more))
  expect(status).toBe(201)
  return String(body.id)
}

async function createGroup(name: string, members: readonly string[] = []): Promise<string> {
  const { status, body } = await send('POST', '/Groups', oktaGroup(name, members))
  expect(status).toBe(201)
  return String(body.id)
}

async function look(login: string): Promise<string> {
  const entry = await server.scim.source.lookup(`00u-${login}`, new AbortController().signal)
  return entry ? [entry.status, ...entry.groups.map(({ name }) => name).sort()].join(' ') : 'unknown'
}

function heard(): Subject[] {
  const subjects: Subject[] = []
  server.scim.onChange((subject) => subjects.push(subject))
  return subjects
}

const memberValues = (answer: Answer) => (answer.body['members'] as { value: string }[]).map(({ value }) => value)

test("the twelve requests of Okta's specification test", async () => {
  await createUser('present@okta.local')
  await createGroup('Present')

  const list = await send('GET', '/Users?count=1&startIndex=1')
  expect(list.status).toBe(200)
  expect(list.body).toMatchObject({
    schemas: [LIST],
    itemsPerPage: 1,
    startIndex: 1,
    totalResults: 1,
    Resources: [
      {
        id: expect.stringMatching(/./) as string,
        name: { familyName: 'User', givenName: 'Test' },
        userName: 'present@okta.local',
        active: true,
        emails: [{ value: 'present@okta.local' }],
      },
    ],
  })
  const [first] = list.body['Resources'] as { id: string }[]

  const byId = await send('GET', `/Users/${first?.id}`)
  expect(byId.status).toBe(200)
  expect(byId.body).toMatchObject({ ...first })

  const nobody = await send('GET', `/Users?${filter('userName', 'abcdefgh@atko.com')}`)
  expect(nobody.status).toBe(200)
  expect(nobody.body).toMatchObject({ schemas: [LIST], totalResults: 0, Resources: [] })

  const noId = await send('GET', '/Users/010101001010101011001010101011')
  expect(noId.status).toBe(404)
  expect(noId.body).toEqual({ schemas: [ERROR], status: '404', detail: 'there is no such resource' })

  const random = `/Users?${filter('userName', 'runscope42@okta.local')}`
  expect((await send('GET', random)).body).toMatchObject({ schemas: [LIST], totalResults: 0 })

  const {
    password: _,
    externalId: __,
    groups: ___,
    locale: ____,
    ...body
  } = oktaUser('runscope42@okta.local') as Record<string, unknown>
  const created = await send('POST', '/Users', body)
  expect(created.status).toBe(201)
  expect(created.body).toMatchObject({
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
    id: expect.stringMatching(/^[\w-]{22}$/) as string,
    active: true,
    name: { familyName: 'User', givenName: 'Test' },
    userName: 'runscope42@okta.local',
  })
  expect(created.headers.get('location')).toMatch(new RegExp(`/\\.postern/scim/v2/Users/${created.body.id}$`))

  const again = await send('GET', `/Users/${created.body.id}`)
  expect(again.status).toBe(200)
  expect(again.body).toEqual(created.body)

  const duplicate = await send('POST', '/Users', body)
  expect(duplicate.status).toBe(409)
  expect(duplicate.body).toEqual({
    schemas: [ERROR],
    status: '409',
    scimType: 'uniqueness',
    detail: 'another User has this userName',
  })

  const capitals = await send('GET', `/Users?${filter('userName', 'RUNSCOPE42@OKTA.LOCAL')}`)
  expect(capitals.status).toBe(200)
  expect(capitals.body).toMatchObject({ totalResults: 1, Resources: [{ id: created.body.id }] })

  const groups = await send('GET', '/Groups')
  expect(groups.status).toBe(200)
  expect(groups.body).toMatchObject({ totalResults: 1, Resources: [{ displayName: 'Present', members: [] }] })

  const foreign = await send('GET', random, undefined, 'non-token')
  expect(foreign.status).toBe(401)
  expect(foreign.body).toEqual({
    schemas: [ERROR],
    status: '401',
    detail: 'the Authorization header must carry the bearer token of this SCIM server',
  })

  const missing = await send('GET', '/Users/00919288221112222')
  expect(missing.status).toBe(404)
  expect(missing.body).toMatchObject({ schemas: [ERROR], status: '404' })
})

describe('the dialect of OIN apps: PATCH', () => {
  test('a person is deactivated and comes back, without a path in the operation', async () => {
    const ann = await createUser('ann')
    await createGroup('Engineering', [ann])
    expect(await look('ann')).toBe('active Engineering')
    const subjects = heard()

    const off = await send('PATCH', `/Users/${ann}`, patchOf({ op: 'replace', value: { active: false } }))
    expect(off.status).toBe(200)
    expect(off.body).toMatchObject({ id: ann, userName: 'ann', active: false })
    expect(await look('ann')).toBe('inactive')

    const on = await send('PATCH', `/Users/${ann}`, patchOf({ op: 'replace', value: { active: true } }))
    expect(on.body).toMatchObject({ active: true })
    expect(await look('ann')).toBe('active Engineering')
    expect(subjects).toEqual(['00u-ann', '00u-ann'])
  })

  test('a group is pushed: linked by name, renamed with its id in the value, its members changed in one request', async () => {
    const [ann, bob] = [await createUser('ann'), await createUser('bob')]
    expect(
      (await send('GET', `/Groups?${filter('displayName', 'Test SCIMv2')}&startIndex=1&count=100`)).body,
    ).toMatchObject({
      totalResults: 0,
    })
    const group = await createGroup('Test SCIMv2')
    expect((await send('GET', `/Groups?${filter('displayName', 'test scimv2')}`)).body).toMatchObject({
      totalResults: 1,
      Resources: [{ id: group, displayName: 'Test SCIMv2' }],
    })
    const rename = patchOf({ op: 'replace', value: { id: group, displayName: 'Test SCIMv20' } })
    const renamed = await send('PATCH', `/Groups/${group}`, rename)
    expect(renamed.status).toBe(200)
    expect(renamed.body).toMatchObject({ id: group, displayName: 'Test SCIMv20' })
    expect(renamed.body).not.toHaveProperty('members')

    await send(
      'PATCH',
      `/Groups/${group}`,
      patchOf({ op: 'add', path: 'members', value: [{ value: ann, display: 'ann' }] }),
    )
    expect(await look('ann')).toBe('active Test SCIMv20')

    await send('PATCH', `/Groups/${group}`, rename)
    const subjects = heard()
    const both = await send(
      'PATCH',
      `/Groups/${group}`,
      patchOf(
        { op: 'remove', path: `members[value eq "${ann}"]` },
        { op: 'add', path: 'members', value: [{ value: bob, display: 'bob' }] },
      ),
    )
    expect(both.status).toBe(200)
    // The trap of others: an answer of 200 after which nothing has changed.
    expect(await look('ann')).toBe('active')
    expect(await look('bob')).toBe('active Test SCIMv20')
    expect(memberValues(await send('GET', `/Groups/${group}`))).toEqual([bob])
    expect(subjects.sort()).toEqual(['00u-ann', '00u-bob'])
  })

  test('a full push replaces all members', async () => {
    const [ann, bob, cid] = [await createUser('ann'), await createUser('bob'), await createUser('cid')]
    const group = await createGroup('Engineering', [ann, bob])
    const subjects = heard()
    const members = [{ value: bob }, { value: cid }]
    const pushed = await send('PATCH', `/Groups/${group}`, patchOf({ op: 'replace', path: 'members', value: members }))
    expect(pushed.status).toBe(200)
    expect(memberValues(await send('GET', `/Groups/${group}`))).toEqual([bob, cid])
    expect(await look('ann')).toBe('active')
    expect(subjects.sort()).toEqual(['00u-ann', '00u-cid'])
  })

  test('a push that is no longer wanted is deleted, and everybody in it loses it', async () => {
    const ann = await createUser('ann')
    const group = await createGroup('Engineering', [ann])
    const subjects = heard()
    expect(await send('DELETE', `/Groups/${group}`)).toMatchObject({ status: 204, body: {} })
    expect(await look('ann')).toBe('active')
    expect(subjects).toEqual(['00u-ann'])
    expect((await send('GET', `/Groups/${group}`)).status).toBe(404)
    expect((await send('DELETE', `/Groups/${group}`)).status).toBe(404)
  })

  test('a password that is synchronised is taken and thrown away', async () => {
    const ann = await createUser('ann')
    const before = await send('GET', `/Users/${ann}`)
    const synced = await send('PATCH', `/Users/${ann}`, patchOf({ op: 'replace', value: { password: 'n3w-s3cret' } }))
    expect(synced.status).toBe(200)
    expect((await send('GET', `/Users/${ann}`)).body).toEqual(before.body)
  })
})

describe('the dialect of custom apps: PUT', () => {
  test('a person is read, changed and written back whole; what Okta leaves out of it does not unlink them', async () => {
    const ann = await createUser('ann')
    await createGroup('Engineering', [ann])
    const { externalId, meta: _, ...read } = (await send('GET', `/Users/${ann}`)).body
    expect(externalId).toBe('00u-ann')
    // Okta echoes the read-only groups, and its sample has no externalId.
    const put = await send('PUT', `/Users/${ann}`, {
      ...read,
      groups: [],
      name: { givenName: 'Another', familyName: 'User' },
    })
    expect(put.status).toBe(200)
    expect(put.body).toMatchObject({ id: ann, externalId: '00u-ann', name: { givenName: 'Another' }, active: true })
    expect(await look('ann')).toBe('active Engineering')

    const off = await send('PUT', `/Users/${ann}`, { ...read, active: false })
    expect(off.body).toMatchObject({ active: false })
    expect(await look('ann')).toBe('inactive')
  })

  test('a write that does not mention active brings nobody back', async () => {
    const ann = await createUser('ann', { active: false })
    const put = await send('PUT', `/Users/${ann}`, { userName: 'ann', externalId: '00u-ann' })
    expect(put.body).toMatchObject({ active: false })
    expect(await look('ann')).toBe('inactive')
  })

  test('what a write does not mention of the profile is cleared', async () => {
    const ann = await createUser('ann')
    const put = await send('PUT', `/Users/${ann}`, { userName: 'ann', active: true, displayName: null })
    expect(put.body).toMatchObject({ userName: 'ann', emails: [] })
    for (const attribute of ['displayName', 'locale', 'name']) expect(put.body).not.toHaveProperty(attribute)
  })

  test.each([
    ['names others', (bob: string) => ({ members: [{ value: bob }] }), 'active Engineering'],
    ['names nobody', () => ({ members: [] }), 'active'],
    ['names no members at all', () => ({}), 'active'],
    ['has null for members', () => ({ members: null }), 'active'],
  ])('a group that %s has those and no others', async (_, body, bobAfter) => {
    const [ann, bob] = [await createUser('ann'), await createUser('bob')]
    const group = await createGroup('Engineering', [ann])
    const put = await send('PUT', `/Groups/${group}`, { id: group, displayName: 'Engineering', ...body(bob) })
    expect(put.status).toBe(200)
    expect(await look('ann')).toBe('active')
    expect(await look('bob')).toBe(bobAfter)
  })

  test('a group is renamed, and everybody in it hears of it', async () => {
    const ann = await createUser('ann')
    const group = await createGroup('Engineering', [ann])
    const subjects = heard()
    await send('PUT', `/Groups/${group}`, oktaGroup('Engineers', [ann]))
    expect(await look('ann')).toBe('active Engineers')
    expect(subjects).toEqual(['00u-ann'])
  })
})

test('a write that changes nothing tells nobody and writes nothing', async () => {
  const ann = await createUser('ann')
  const group = await createGroup('Engineering', [ann])
  const subjects = heard()
  const changes: string[] = []
  server.store.watch(({ table }) => changes.push(table))
  server.clock.advance(60_000)
  for (const body of [
    patchOf({ op: 'replace', value: { id: group, displayName: 'Engineering' } }),
    patchOf({ op: 'add', path: 'members', value: [{ value: ann }] }),
    patchOf({ op: 'remove', path: 'members[value eq "nobody"]' }),
  ]) {
    expect((await send('PATCH', `/Groups/${group}`, body)).status).toBe(200)
  }
  expect(subjects).toEqual([])
  expect(changes).toEqual([])
})

test('pages hold every person once, in an order that additions do not disturb', async () => {
  const logins = Array.from({ length: 25 }, (_, n) => `person-${n}`)
  for (const login of logins) {
    server.clock.advance(1)
    await createUser(login)
  }
  const page = async (query: string) => (await send('GET', `/Users?${query}`)).body as Record<string, never[]>
  const names = (body: Record<string, { userName: string }[]>) => body['Resources']?.map(({ userName }) => userName)
  const first = await page('startIndex=1&count=10')
  expect(first).toMatchObject({ totalResults: 25, startIndex: 1, itemsPerPage: 10 })
  server.clock.advance(1)
  await createUser('person-25')
  const rest = [await page('startIndex=11&count=10'), await page('startIndex=21&count=10')]
  expect(rest[1]).toMatchObject({ totalResults: 26, startIndex: 21, itemsPerPage: 6 })
  expect([first, ...rest].flatMap(names)).toEqual([...logins, 'person-25'])

  expect(await page('startIndex=0&count=-1')).toMatchObject({ totalResults: 26, startIndex: 1, itemsPerPage: 0 })
  expect(await page('startIndex=100')).toMatchObject({ totalResults: 26, startIndex: 100, Resources: [] })
  expect(await page('count=100000')).toMatchObject({ itemsPerPage: 26 })
  const odd = await send('GET', '/Users?startIndex=one')
  expect(odd).toMatchObject({ status: 400, body: { scimType: 'invalidValue', status: '400' } })
})

test.each([
  ['/Users', 'userName', 'ANN'],
  ['/Users', 'externalId', '00u-ann'],
  ['/Users', 'urn:ietf:params:scim:schemas:core:2.0:User:userName', 'ann'],
  ['/Groups', 'displayName', 'engineering'],
])('%s is found by %s eq %j', async (path, attribute, value) => {
  await createUser('ann')
  await createUser('bob')
  await createGroup('Engineering')
  await createGroup('Sales')
  expect((await send('GET', `${path}?${filter(attribute, value)}`)).body).toMatchObject({ totalResults: 1 })
})

test('by id as well, and by an external id with its own case', async () => {
  const ann = await createUser('ann')
  expect((await send('GET', `/Users?${filter('id', ann)}`)).body).toMatchObject({ Resources: [{ id: ann }] })
  expect((await send('GET', `/Users?${filter('externalId', '00U-ANN')}`)).body).toMatchObject({ totalResults: 0 })
})

test('one person is not pushed twice under two names', async () => {
  await createUser('ann')
  const twin = await send('POST', '/Users', oktaUser('twin', { externalId: '00u-ann' }))
  expect(twin).toMatchObject({ status: 409, body: { detail: 'another User has this externalId' } })
})

test('of two groups with one name the second is refused, by creation and by renaming', async () => {
  const ann = await createUser('ann')
  await createGroup('Engineering', [ann])
  const other = await createGroup('Sales')
  const detail = 'another Group has this displayName'
  expect(await send('POST', '/Groups', oktaGroup('engineering'))).toMatchObject({ status: 409, body: { detail } })
  const rename = patchOf({ op: 'replace', value: { id: other, displayName: 'Engineering' } })
  expect(await send('PATCH', `/Groups/${other}`, rename)).toMatchObject({ status: 409, body: { detail } })
  expect(await send('PUT', `/Groups/${other}`, oktaGroup('Engineering'))).toMatchObject({
    status: 409,
    body: { detail },
  })
  expect(await look('ann')).toBe('active Engineering')
})

test('whoever is deleted is gone, from groups as well, and does not come back into them', async () => {
  const ann = await createUser('ann')
  const group = await createGroup('Engineering', [ann])
  const subjects = heard()
  expect((await send('DELETE', `/Users/${ann}`)).status).toBe(204)
  expect(subjects).toEqual(['00u-ann'])
  expect(await look('ann')).toBe('unknown')
  expect(memberValues(await send('GET', `/Groups/${group}`))).toEqual([])
  await createUser('ann')
  expect(await look('ann')).toBe('active')
})

test('a group is shown without members where they were not asked for or are too many for a list', async () => {
  const ids = await Promise.all(Array.from({ length: 3 }, (_, n) => createUser(`p${n}`)))
  const group = await createGroup('Engineering', ids)
  expect((await send('GET', `/Groups/${group}?excludedAttributes=members`)).body).not.toHaveProperty('members')
  expect((await send('GET', '/Groups')).body).toMatchObject({ Resources: [{ members: [{}, {}, {}] }] })
  const padding = Array.from({ length: 1000 }, (_, n) => `nobody-${n}`)
  await send('PUT', `/Groups/${group}`, oktaGroup('Engineering', [...ids, ...padding]))
  const [listed] = (await send('GET', '/Groups')).body['Resources'] as object[]
  expect(listed).not.toHaveProperty('members')
  expect(memberValues(await send('GET', `/Groups/${group}`))).toEqual(ids)
})

test('clients that ask are told what there is', async () => {
  const config = await send('GET', '/ServiceProviderConfig')
  expect(config.body).toMatchObject({
    patch: { supported: true },
    bulk: { supported: false },
    etag: { supported: false },
  })
  expect((await send('GET', '/ResourceTypes')).body).toMatchObject({ totalResults: 2 })
  expect((await send('GET', '/ResourceTypes/Group')).body).toMatchObject({ endpoint: '/Groups' })
  expect((await send('GET', '/Schemas')).body).toMatchObject({ totalResults: 2 })
  const schema = await send('GET', '/Schemas/urn:ietf:params:scim:schemas:core:2.0:User')
  expect(schema.body).toMatchObject({ name: 'User' })
  expect((await send('POST', '/Schemas', {})).status).toBe(405)
})

test('a password is nowhere: not in answers, not in the store, not in the log', async () => {
  const answers = [await send('POST', '/Users', oktaUser('ann', { password: 'p4ssw0rd-of-ann' }))]
  const ann = String(answers[0]?.body.id)
  answers.push(await send('PUT', `/Users/${ann}`, oktaUser('ann', { password: 'p4ssw0rd-of-ann' })))
  answers.push(await send('PUT', `/Users/${ann}`, '{"password":"p4ssw0rd-of-ann",'))
  answers.push(await send('PUT', `/Users/${ann}`, { password: 'p4ssw0rd-of-ann', active: 'p4ssw0rd-of-ann' }))
  const stored: unknown[] = []
  const usersTable = `scim-users-${sha256('https://org.okta.example ').slice(0, 22)}`
  for await (const [, { value }] of server.store.list({ name: usersTable, parse: (value: unknown) => value })) {
    stored.push(value)
  }
  expect(stored).toHaveLength(1)
  expect(answers.map(({ status }) => status)).toEqual([201, 200, 400, 400])
  const everything = JSON.stringify([answers.map(({ body }) => body), stored, server.lines])
  expect(everything).not.toContain('p4ssw0rd')
  expect(everything).not.toContain(TOKEN)
})
