import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createOktaEmulator, type OktaEmulator } from '../../emulator/okta/emulator.ts'
import { manualClock } from '../support/clock.ts'
import { createReceiver, type Received, type Receiver } from '../support/receiver.ts'

const TOKEN = 'scim token of the receiver'
const PATCH_OP = 'urn:ietf:params:scim:api:messages:2.0:PatchOp'

let emulator: OktaEmulator
let receiver: Receiver
let app: string
const id: Record<string, string> = {}

beforeEach(async () => {
  receiver = await createReceiver()
  emulator = await createOktaEmulator({
    clock: manualClock(),
    seed: {
      groups: [{ name: 'Engineering' }, { name: 'Sales' }],
      people: [
        { login: 'alice@example.com', lastName: 'Archer', groups: ['Engineering'] },
        { login: 'bob@example.com', groups: ['Sales'] },
      ],
    },
  })
  app = emulator.addApp({ label: 'Postern' }).id
  for (const name of ['alice', 'bob']) id[name] = emulator.org.findPerson(name)?.id ?? ''
  answerAsService()
})
afterEach(async () => {
  await emulator.close()
  await receiver.close()
})

/** Ids are `remote-` and the login or the display name, so that expectations are readable. */
function answerAsService(existing: readonly string[] = []): void {
  receiver.answer(({ method, body }, res) => {
    const value = body === '' ? {} : JSON.parse(body)
    const name: string = value.userName ?? value.displayName
    if (method === 'DELETE') res.writeHead(204).end()
    else if (method === 'POST') res.writeHead(201).end(JSON.stringify({ ...value, id: `remote-${name}` }))
    else res.end(JSON.stringify({ Resources: existing.map((known) => ({ id: known })), totalResults: existing.length }))
  })
}

async function connect(dialect: 'patch' | 'put'): Promise<boolean> {
  const connected = await emulator.connectScim({
    appId: app,
    baseUrl: `http://127.0.0.1:${receiver.port}/scim/v2`,
    token: TOKEN,
    dialect,
  })
  await emulator.settleScim()
  return connected
}

/** What the receiver got because of `change`. */
async function said(change: () => void): Promise<readonly (readonly [line: string, body?: unknown])[]> {
  receiver.clear()
  change()
  await emulator.settleScim()
  return receiver.received.map(({ method, url, body }: Received) => {
    const line = `${method} ${url.replace('/scim/v2', '')}`
    return body === '' ? [line] : [line, JSON.parse(body)]
  })
}

const user = (active: boolean, change: object = {}) => ({
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
  userName: 'alice@example.com',
  name: { givenName: 'Alice', familyName: 'Archer' },
  emails: [{ primary: true, value: 'alice@example.com', type: 'work' }],
  displayName: 'Alice Archer',
  locale: 'en-US',
  externalId: id['alice'],
  groups: [],
  active,
  ...change,
})
const ALICE = '/Users/remote-alice%40example.com'
const member = (name: string) => ({ value: `remote-${name}@example.com`, display: `${name}@example.com` })
const patch = (...operations: readonly object[]) => ({ schemas: [PATCH_OP], Operations: operations })

describe('the connection', () => {
  test('is tested with a page of users and the token, and sends everybody who is assigned already', async () => {
    emulator.assignApp(app, 'Engineering')
    expect(await connect('patch')).toBe(true)
    const [first, ...rest] = receiver.received
    expect(first).toMatchObject({
      method: 'GET',
      url: '/scim/v2/Users?startIndex=1&count=100',
      headers: {
        authorization: `Bearer ${TOKEN}`,
        'user-agent': 'Okta SCIM Client 1.0.0',
        accept: 'application/scim+json',
      },
    })
    expect(rest.map(({ method }) => method)).toEqual(['GET', 'POST'])
  })

  test('a receiver that refuses the token is not connected', async () => {
    receiver.answer((_request, res) => void res.writeHead(401).end())
    expect(await connect('patch')).toBe(false)
    expect(await said(() => emulator.assignApp(app, 'alice'))).toEqual([])
    expect(emulator.scimCalls()).toMatchObject([{ method: 'GET', result: 401 }])
  })
})

describe.each(['patch', 'put'] as const)('people, by %s', (dialect) => {
  const off = dialect === 'patch' ? [[`PATCH ${ALICE}`, patch({ op: 'replace', value: { active: false } })]] : undefined
  const replaced = (body: object) => [[`GET ${ALICE}`], [`PUT ${ALICE}`, { ...body, id: 'remote-alice@example.com' }]]

  beforeEach(async () => {
    await connect(dialect)
  })

  test('an assignment looks the person up and creates them with a password', async () => {
    expect(await said(() => emulator.assignApp(app, 'alice'))).toEqual([
      ['GET /Users?filter=userName%20eq%20%22alice%40example.com%22&startIndex=1&count=100'],
      ['POST /Users', user(true, { password: expect.stringMatching(/^[0-9a-f]{8}$/) })],
    ])
    expect(emulator.org.history().at(-1)?.eventType).toBe('application.user_membership.provision')
  })

  test('an existing person is updated by PUT', async () => {
    answerAsService(['known before'])
    const [, update] = await said(() => emulator.assignApp(app, 'alice'))
    expect(update).toEqual(['PUT /Users/known%20before', user(true, { id: 'known before' })])
  })

  test.each([
    ['unassigned', () => emulator.unassignApp(app, 'alice')],
    ['deactivated', () => emulator.setStatus('alice', 'DEPROVISIONED')],
    ['deleted at once', () => emulator.org.deletePerson(id['alice'] ?? '')],
  ])('whoever is %s is set inactive, and never deleted', async (_name, change) => {
    await said(() => emulator.assignApp(app, 'alice'))
    expect(await said(change)).toEqual(off ?? replaced(user(false)))
  })

  test('a suspension sends nothing', async () => {
    await said(() => emulator.assignApp(app, 'alice'))
    expect(await said(() => emulator.setStatus('alice', 'SUSPENDED'))).toEqual([])
  })

  test('a returning person is set active, a renamed one is replaced', async () => {
    await said(() => emulator.assignApp(app, 'alice'))
    await said(() => emulator.setStatus('alice', 'DEPROVISIONED'))
    expect(await said(() => emulator.setStatus('alice', 'ACTIVE'))).toEqual(
      dialect === 'patch'
        ? [[`PATCH ${ALICE}`, patch({ op: 'replace', value: { active: true } })]]
        : replaced(user(true)),
    )
    const rename = () => {
      emulator.org.updatePerson(id['alice'] ?? '', { lastName: 'Baker' }, 'user.account.update_profile')
    }
    const baker = { name: { givenName: 'Alice', familyName: 'Baker' }, displayName: 'Alice Baker' }
    expect(await said(rename)).toEqual(replaced(user(true, baker)))
  })

  test('joining and leaving an assigned group counts', async () => {
    await said(() => emulator.assignApp(app, 'Engineering'))
    expect(await said(() => emulator.removeMember('Engineering', 'alice'))).toEqual(off ?? replaced(user(false)))
    const bobs = await said(() => emulator.addMember('Engineering', 'bob'))
    expect(bobs.map(([line]) => line.split(' ')[0])).toEqual(['GET', 'POST'])
    expect(await said(() => emulator.unassignApp(app, 'Engineering'))).toHaveLength(dialect === 'patch' ? 1 : 2)
    expect(await said(() => emulator.addMember('Engineering', 'alice'))).toEqual([])
  })
})

describe('pushed groups', () => {
  const GROUP = '/Groups/remote-Engineering'
  async function connected(dialect: 'patch' | 'put'): Promise<void> {
    emulator.assignApp(app, 'Everyone')
    await connect(dialect)
  }

  test('by PATCH: create, full push, then a rename before every change of members', async () => {
    await connected('patch')
    expect(await said(() => emulator.pushGroup(app, 'Engineering'))).toEqual([
      ['GET /Groups?filter=displayName%20eq%20%22Engineering%22&startIndex=1&count=100'],
      [
        'POST /Groups',
        { schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'], displayName: 'Engineering', members: [] },
      ],
      [`PATCH ${GROUP}`, patch({ op: 'replace', path: 'members', value: [member('alice')] })],
    ])
    const rename = [
      `PATCH ${GROUP}`,
      patch({ op: 'replace', value: { id: 'remote-Engineering', displayName: 'Engineering' } }),
    ]
    const swap = () => {
      emulator.removeMember('Engineering', 'alice')
      emulator.addMember('Engineering', 'bob')
    }
    expect(await said(swap)).toEqual([
      rename,
      [
        `PATCH ${GROUP}`,
        patch(
          { op: 'remove', path: 'members[value eq "remote-alice@example.com"]' },
          { op: 'add', path: 'members', value: [member('bob')] },
        ),
      ],
    ])
    const group = emulator.org.findGroup('Engineering')
    expect(await said(() => void emulator.org.updateGroup(group?.id ?? '', { name: 'Makers' }))).toEqual([
      [`PATCH ${GROUP}`, patch({ op: 'replace', value: { id: 'remote-Engineering', displayName: 'Makers' } })],
    ])
  })

  test('by PUT: every change replaces the whole group', async () => {
    await connected('put')
    await said(() => emulator.pushGroup(app, 'Engineering'))
    expect(await said(() => emulator.addMember('Engineering', 'bob'))).toEqual([
      [
        `PUT ${GROUP}`,
        {
          schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
          id: 'remote-Engineering',
          displayName: 'Engineering',
          members: [member('alice'), member('bob')],
        },
      ],
    ])
  })

  test('members are only people whom the receiver has; others join once it has them', async () => {
    await connect('patch')
    await said(() => emulator.pushGroup(app, 'Engineering'))
    const lines = await said(() => emulator.assignApp(app, 'alice'))
    expect(lines.at(-1)).toEqual([`PATCH ${GROUP}`, patch({ op: 'add', path: 'members', value: [member('alice')] })])
  })

  test('ending a push deletes the group or leaves it; a deleted group is deleted there', async () => {
    await connected('patch')
    for (const name of ['Engineering', 'Sales']) await said(() => emulator.pushGroup(app, name))
    expect(await said(() => emulator.unpushGroup(app, 'Sales', false))).toEqual([])
    expect(await said(() => emulator.unpushGroup(app, 'Engineering', true))).toEqual([[`DELETE ${GROUP}`]])
    await said(() => emulator.pushGroup(app, 'Engineering'))
    const group = emulator.org.findGroup('Engineering')?.id ?? ''
    expect(await said(() => emulator.org.deleteGroup(group))).toEqual([[`DELETE ${GROUP}`]])
  })
})

describe('a receiver that fails', () => {
  test.each([
    [
      'an error',
      (_request: Received, res: Parameters<Parameters<Receiver['answer']>[0]>[1]) => void res.writeHead(500).end(),
    ],
    [
      '201 without an id',
      (_request: Received, res: Parameters<Parameters<Receiver['answer']>[0]>[1]) => void res.writeHead(201).end('{}'),
    ],
  ])('%s: the change is pending until a retry', async (_name, answer) => {
    await connect('patch')
    receiver.answer(answer)
    await said(() => emulator.assignApp(app, 'alice'))
    expect(emulator.scimFailures()).toEqual([`${app} person ${id['alice']}`])
    answerAsService()
    const again = await said(() => emulator.retryScim())
    expect(again.map(([line]) => line.split(' ')[0])).toEqual(['GET', 'POST'])
    expect(emulator.scimFailures()).toEqual([])
  })
})
