/** What no client of ours would send, and what must be left as it was afterwards (attack-cases.md L09). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MAX_BODY } from '../../src/directory/scim/message.ts'
import { filter, oktaGroup, oktaUser, patchOf, type ScimServer, startScimServer, TOKEN } from './scim-server.ts'

let server: ScimServer
let ann: string
let group: string

beforeEach(async () => {
  server = await startScimServer()
  ann = String((await server.send('POST', '/Users', oktaUser('ann'))).body.id)
  group = String((await server.send('POST', '/Groups', oktaGroup('Engineering', [ann]))).body.id)
})
afterEach(() => server.close())

const send: ScimServer['send'] = (...request) => server.send(...request)

/** Everything there is, and that nobody heard of a change. */
async function unharmed(work: () => Promise<void>): Promise<void> {
  const heard: string[] = []
  server.scim.onChange((subject) => heard.push(subject))
  const all = async () => [(await send('GET', `/Users/${ann}`)).body, (await send('GET', `/Groups/${group}`)).body]
  const before = await all()
  await work()
  expect(await all()).toEqual(before)
  expect(heard).toEqual([])
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
}

describe('authorization', () => {
  test.each([
    ['none', null],
    ['another token', 'Bearer another-token-of-this-t'],
    ['the token with more behind it', `Bearer ${TOKEN}x`],
    ['the token without its end', `Bearer ${TOKEN.slice(0, -1)}`],
    ['the token without a scheme', TOKEN],
    ['another scheme', `Basic ${TOKEN}`],
    ['an empty token', 'Bearer '],
    ['two tokens', `Bearer ${TOKEN}, Bearer ${TOKEN}`],
  ])('%s: 401 for every request, with a SCIM error body', async (_, authorization) => {
    await unharmed(async () => {
      for (const [method, path, body] of [
        ['GET', '/Users', undefined],
        ['GET', '/nowhere', undefined],
        ['GET', '/ServiceProviderConfig', undefined],
        ['POST', '/Users', oktaUser('eve')],
        ['DELETE', `/Users/${ann}`, undefined],
        ['PATCH', `/Users/${ann}`, patchOf({ op: 'replace', value: { active: false } })],
      ] as const) {
        const answer = await send(method, path, body, authorization)
        expect(answer.status).toBe(401)
        expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="scim"')
        expect(answer.body).toMatchObject({ status: '401', detail: expect.stringContaining('bearer token') as string })
      }
    })
  })

  test('the scheme may be in any case', async () => {
    expect((await send('GET', '/Users', undefined, `bearer ${TOKEN}`)).status).toBe(200)
  })
})

describe('PATCH', () => {
  test.each([
    '__proto__',
    '__proto__.polluted',
    'constructor',
    'constructor.prototype.polluted',
    'name.__proto__',
    'name.constructor',
    'displayName.__proto__.polluted',
    'emails[type eq "work"].value',
    'emails[0]',
    'members[value eq "x"] or members[value eq "y"]',
    'members[value eq "x" or value pr]',
    'members[display eq "x"]',
    'members[value eq "x"].value',
    'members[value eq "x]',
    'members.value',
    'members[]',
    '',
    ' ',
    'roles',
    'schemas',
    'meta.location',
    '$.members',
    '../Users',
  ])('the path %j is refused, wherever it is sent', async (path) => {
    await unharmed(async () => {
      for (const resource of [`/Users/${ann}`, `/Groups/${group}`]) {
        for (const op of ['add', 'replace', 'remove']) {
          const answer = await send('PATCH', resource, patchOf({ op, path, value: '1' }))
          expect(answer.status).toBe(400)
          expect(answer.body).toMatchObject({ status: '400', scimType: 'invalidPath' })
        }
      }
    })
  })

  test.each(['__proto__', 'name.__proto__', 'members[value eq "x"]', 'members.value', 'a b', ''])(
    'nor does %j get in as a name inside a value',
    async (name) => {
      await unharmed(async () => {
        const value = `{${JSON.stringify(name)}:{"polluted":"1"}}`
        const body = `{"Operations":[{"op":"replace","value":${value}}]}`
        for (const resource of [`/Users/${ann}`, `/Groups/${group}`]) {
          const answer = await send('PATCH', resource, body)
          expect(answer).toMatchObject({ status: 400, body: { scimType: 'invalidPath' } })
        }
      })
    },
  )

  test.each([
    ['nothing', {}, 'invalidSyntax'],
    ['no operations', { Operations: [] }, 'invalidSyntax'],
    ['operations that are no list', { Operations: { op: 'add' } }, 'invalidSyntax'],
    [
      'too many operations',
      patchOf(...Array.from({ length: 1001 }, () => ({ op: 'remove', path: 'locale' }))),
      'invalidSyntax',
    ],
    ['an operation that is none', patchOf({ op: 'move', path: 'userName' }), 'invalidSyntax'],
    ['remove without a path', patchOf({ op: 'remove' }), 'noTarget'],
    ['a value that is no object', patchOf({ op: 'replace', value: 'active' }), 'invalidValue'],
    ['a value that is missing', patchOf({ op: 'replace' }), 'invalidValue'],
    ['active as a number', patchOf({ op: 'replace', value: { active: 0 } }), 'invalidValue'],
    ['active as a word', patchOf({ op: 'replace', path: 'active', value: 'no' }), 'invalidValue'],
    ['active as null', patchOf({ op: 'replace', path: 'active', value: null }), 'mutability'],
    ['active removed', patchOf({ op: 'remove', path: 'active' }), 'mutability'],
    ['userName removed', patchOf({ op: 'remove', path: 'userName' }), 'mutability'],
    ['userName empty', patchOf({ op: 'replace', value: { userName: '' } }), 'invalidValue'],
    ['externalId removed', patchOf({ op: 'remove', path: 'externalId' }), 'mutability'],
    ['another id', patchOf({ op: 'replace', value: { id: 'other', active: false } }), 'mutability'],
    ['groups', patchOf({ op: 'add', path: 'groups', value: [{ value: 'x' }] }), 'mutability'],
    ['an email that is none', patchOf({ op: 'add', path: 'emails', value: [{ type: 'work' }] }), 'invalidValue'],
    [
      'a person of many emails',
      patchOf({ op: 'replace', value: { emails: Array.from({ length: 21 }, () => ({ value: 'x' })) } }),
      'invalidValue',
    ],
  ])('of a person: %s is refused', async (_, body, scimType) => {
    await unharmed(async () => {
      expect(await send('PATCH', `/Users/${ann}`, body)).toMatchObject({ status: 400, body: { scimType } })
    })
  })

  test.each([
    ['a member without a value', patchOf({ op: 'add', path: 'members', value: [{ display: 'x' }] }), 'invalidValue'],
    [
      'a member with an object for a value',
      patchOf({ op: 'add', path: 'members', value: [{ value: {} }] }),
      'invalidValue',
    ],
    ['members that are missing', patchOf({ op: 'add', path: 'members' }), 'invalidValue'],
    ['members that are a text', patchOf({ op: 'replace', path: 'members', value: 'all' }), 'invalidValue'],
    ['an empty list of members to remove', patchOf({ op: 'remove', path: 'members', value: [] }), 'invalidValue'],
    ['a replaced single member', patchOf({ op: 'replace', path: `members[value eq "x"]`, value: 'y' }), 'invalidPath'],
    ['displayName removed', patchOf({ op: 'remove', path: 'displayName' }), 'mutability'],
    ['displayName empty', patchOf({ op: 'replace', value: { displayName: '' } }), 'invalidValue'],
    ['another id', patchOf({ op: 'replace', value: { id: 'other', displayName: 'x' } }), 'mutability'],
  ])('of a group: %s is refused', async (_, body, scimType) => {
    await unharmed(async () => {
      expect(await send('PATCH', `/Groups/${group}`, body)).toMatchObject({ status: 400, body: { scimType } })
    })
  })

  test('one bad operation undoes the whole PATCH', async () => {
    await unharmed(async () => {
      const remove = { op: 'remove', path: `members[value eq "${ann}"]` }
      expect((await send('PATCH', `/Groups/${group}`, patchOf(remove, { op: 'add', path: 'roles' }))).status).toBe(400)
      const off = { op: 'replace', value: { active: false } }
      expect((await send('PATCH', `/Users/${ann}`, patchOf(off, { op: 'add', path: 'roles' }))).status).toBe(400)
    })
  })

  test.each([
    ['upper case', { OPERATIONS: [{ OP: 'Replace', VALUE: { ACTIVE: false } }] }],
    ['a path', patchOf({ op: 'replace', path: 'Active', value: false })],
    [
      'a path with the schema',
      patchOf({ op: 'replace', path: 'urn:ietf:params:scim:schemas:core:2.0:User:active', value: false }),
    ],
    ['a word for the value', patchOf({ op: 'Replace', path: 'active', value: 'False' })],
    [
      'attributes of others beside it',
      patchOf({ op: 'replace', value: { title: 'x', active: false, meta: {}, groups: [] } }),
    ],
  ])('a deactivation written as %s is applied', async (_, body) => {
    expect((await send('PATCH', `/Users/${ann}`, body)).status).toBe(200)
    expect(await server.scim.source.lookup('00u-ann', new AbortController().signal)).toMatchObject({
      status: 'inactive',
    })
  })

  test.each([
    ['the whole list', { op: 'remove', path: 'members' }],
    ['a value', (id: string) => ({ op: 'remove', path: 'members', value: [{ value: id }] })],
    ['a filter in another case', (id: string) => ({ op: 'Remove', path: `Members[Value EQ "${id}"]` })],
    [
      'a filter with the schema',
      (id: string) => ({ op: 'remove', path: `urn:ietf:params:scim:schemas:core:2.0:Group:members[value eq "${id}"]` }),
    ],
    ['a replacement without a path', { op: 'replace', value: { Members: [] } }],
  ])('a member removed by %s is removed', async (_, operation) => {
    const op = typeof operation === 'function' ? operation(ann) : operation
    expect((await send('PATCH', `/Groups/${group}`, patchOf(op))).status).toBe(200)
    expect(await server.scim.source.lookup('00u-ann', new AbortController().signal)).toMatchObject({ groups: [] })
  })
})

describe('bodies', () => {
  test.each([
    ['nothing', ''],
    ['no JSON', '{"userName":'],
    ['a list', '[]'],
    ['null', 'null'],
    ['a text', '"x"'],
    ['a name twice', '{"userName":"eve","active":true,"active":false}'],
    ['a name twice, once escaped', '{"userName":"eve","active":true,"\\u0061ctive":false}'],
    [
      'a name twice, deep in a long list',
      `{"userName":"eve","emails":[${'{"value":"a","value":"b"},'.repeat(5000)}{}]}`,
    ],
    ['a name twice in two cases', '{"userName":"eve","active":true,"Active":false}'],
    ['a deep nest', `{"userName":"eve","x":${'['.repeat(50_000)}${']'.repeat(50_000)}}`],
  ])('%s is no resource', async (_, body) => {
    await unharmed(async () => {
      for (const [method, path] of [
        ['POST', '/Users'],
        ['POST', '/Groups'],
        ['PUT', `/Users/${ann}`],
        ['PATCH', `/Groups/${group}`],
      ] as const) {
        const answer = await send(method, path, body)
        expect(answer.status).toBe(400)
        expect(answer.body.detail).toMatch(/^the body must be a JSON object/)
      }
    })
  })

  test.each([
    ['/Users', {}, 'userName is required'],
    ['/Users', { userName: '' }, 'username must NOT have fewer than 1 characters'],
    ['/Users', { userName: 7 }, 'username must be string'],
    ['/Users', { userName: 'eve', emails: [{}] }, "emails/0 must have required property 'value'"],
    ['/Groups', {}, 'displayName is required'],
    ['/Groups', { displayName: null }, 'displayName is required'],
    ['/Groups', { displayName: 'x', members: [{ value: 1 }] }, 'members/0/value must be string'],
    ['/Groups', { displayName: 'x', members: 'all' }, 'members must be array'],
  ])('%s is not created from %j', async (path, body, detail) => {
    const answer = await send('POST', path, body)
    expect(answer).toMatchObject({ status: 400, body: { scimType: 'invalidValue', detail } })
  })

  test('a name may not be longer than the bound', async () => {
    const answer = await send('POST', '/Users', oktaUser('x'.repeat(321)))
    const detail = 'username must NOT have more than 320 characters'
    expect(answer).toMatchObject({ status: 400, body: { scimType: 'invalidValue', detail } })
  })

  test('a body may not be longer than the bound, and the members of a group not more', async () => {
    await unharmed(async () => {
      const long = await send('PUT', `/Users/${ann}`, `{"userName":"${'x'.repeat(MAX_BODY)}"}`)
      expect(long).toMatchObject({ status: 413, body: { status: '413' } })
      const many = await send('PUT', `/Groups/${group}`, {
        displayName: 'Engineering',
        members: Array.from({ length: 100_001 }, (_, n) => ({ value: `${n}` })),
      })
      expect(many.body).toMatchObject({ status: '400', detail: 'members must NOT have more than 100000 items' })
    })
  })

  test('__proto__ in a resource is a name that nobody keeps', async () => {
    const created = await send(
      'POST',
      '/Users',
      '{"userName":"eve","__proto__":{"active":false,"polluted":1},"constructor":1}',
    )
    expect(created).toMatchObject({ status: 201, body: { active: true } })
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  test('people and members with the names of properties are people and members like others', async () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      const { body } = await send('POST', '/Users', oktaUser(name, { externalId: name }))
      const { status } = await send('POST', '/Groups', oktaGroup(name, [String(body.id), '__proto__', 'constructor']))
      expect(status).toBe(201)
      const entry = await server.scim.source.lookup(name, new AbortController().signal)
      expect(entry?.groups.map((of) => of.name)).toEqual([name])
      expect((await send('GET', `/Users?${filter('userName', name)}`)).body).toMatchObject({ totalResults: 1 })
    }
  })
})

describe('addresses', () => {
  test.each([
    '/',
    '/users',
    '/Users/',
    '/Users/__proto__',
    '/Users/x/y',
    '/Groups/%2e%2e',
    '/Me',
    '/Bulk',
    '/Users/.search',
  ])('%s is nothing', async (path) => {
    expect(await send('GET', path)).toMatchObject({ status: 404, body: { status: '404' } })
  })

  test('a person is no group', async () => {
    expect((await send('GET', `/Groups/${ann}`)).status).toBe(404)
    expect((await send('PUT', `/Groups/${ann}`, oktaGroup('x'))).status).toBe(404)
    expect((await send('DELETE', `/Groups/${ann}`)).status).toBe(404)
    expect((await send('PATCH', `/Groups/${ann}`, patchOf({ op: 'remove', path: 'members' }))).status).toBe(404)
  })

  test('a method that a place does not have is named', async () => {
    const answer = await send('DELETE', '/Users')
    expect(answer.status).toBe(405)
    expect(answer.headers.get('allow')).toBe('GET, POST')
    expect((await send('POST', `/Users/${ann}`, {})).headers.get('allow')).toBe('GET, PUT, PATCH, DELETE')
  })

  test.each([
    'userName',
    'userName eq',
    'userName eq ann',
    'userName eq "ann',
    'userName eq "ann" or userName pr',
    'userName ne "ann"',
    'userName sw "a"',
    'not (userName eq "ann")',
    'emails[type eq "work"]',
    'password eq "1mz050nq"',
    '__proto__ eq "x"',
    'constructor eq "x"',
    'userName eq "\\x"',
    '',
  ])('the filter %j is not guessed at', async (text) => {
    const answer = await send('GET', `/Users?filter=${encodeURIComponent(text)}`)
    expect(answer).toMatchObject({ status: 400, body: { status: '400', scimType: 'invalidFilter' } })
    expect(answer.body.detail).toBe('a filter of Users must be one of id, username, externalid, then eq "value"')
  })

  test('a filter and a path have a greatest length', async () => {
    const long = `userName eq "${'a'.repeat(1000)}"`
    expect((await send('GET', `/Users?filter=${encodeURIComponent(long)}`)).body).toMatchObject({
      scimType: 'invalidFilter',
    })
    const remove = patchOf({ op: 'remove', path: `members[value eq "${'a'.repeat(1000)}"]` })
    expect((await send('PATCH', `/Groups/${group}`, remove)).body).toMatchObject({ scimType: 'invalidPath' })
  })

  test('quotes and backslashes in a filter are what they stand for', async () => {
    await send('POST', '/Users', oktaUser('a"\\é'))
    expect((await send('GET', `/Users?${filter('userName', 'a"\\É')}`)).body).toMatchObject({ totalResults: 1 })
  })
})
