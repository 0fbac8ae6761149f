/** Memberships as records of their own: what a push costs, what a crash leaves, whom two processes let in. */
import * as fc from 'fast-check'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { createMembersTable } from '../../../src/directory/scim/members.ts'
import { AppError } from '../../../src/errors.ts'
import { sha256 } from '../../../src/lib/crypto.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { Store, Table } from '../../../src/types.ts'
import { manualClock } from '../../support/clock.ts'
import { type Instance, scimInstance } from './scim-world.ts'

const clock = manualClock()
const membersTable = createMembersTable(sha256('https://org.okta.example ').slice(0, 22))
const members = (ids: readonly string[]) => ids.map((value) => ({ value }))

/** Counts records that are written, and can fail after some. */
function counting(store: Store) {
  const seen = { records: 0, largest: 0, turns: 0, failAfter: Number.POSITIVE_INFINITY, before: async () => {} }
  let turns = 0
  const count = async (records: number): Promise<void> => {
    await seen.before()
    if (seen.records >= seen.failAfter) throw new AppError('ERR_STORE_UNAVAILABLE', 'store: a crash')
    seen.records += records
    seen.largest = Math.max(seen.largest, records)
    if (records > 1) {
      const now = ++turns
      setImmediate(() => {
        // Nobody else had their turn between two pieces of work when this runs after the second.
        if (turns === now) seen.turns++
      })
    }
  }
  const counted: Store = {
    ...store,
    async put(table, key, value, when) {
      await count(1)
      return store.put(table, key, value, when)
    },
    async write(table, values, unless) {
      await count(values.size)
      return store.write(table, values, unless)
    },
  }
  return { store: counted, seen }
}

function world() {
  const store = createMemoryStore({ clock })
  onTestFinished(() => store.close())
  const instance = (over: Store = store, issuer?: string): Instance => {
    const made = scimInstance({ store: over, clock, ...(issuer !== undefined && { issuer }) })
    onTestFinished(() => made.scim.close())
    return made
  }
  return { store, instance }
}

async function pushUsers(to: Instance, names: readonly string[]): Promise<readonly string[]> {
  const ids: string[] = []
  for (const name of names) ids.push((await to.send('POST', '/Users', { userName: name, externalId: name })).body.id)
  return ids
}

test('PATCH of one member of 5,000 writes one membership, and the group at most twice', async () => {
  const { store, instance } = world()
  const { store: counted, seen } = counting(store)
  const one = instance(counted)
  const [ann = ''] = await pushUsers(one, ['ann'])
  const others = Array.from({ length: 5000 }, (_, n) => `member-${n}`)
  const group = (await one.send('POST', '/Groups', { displayName: 'A', members: members(others) })).body.id
  for (const [Operations, look] of [
    [[{ op: 'add', path: 'members', value: members([ann]) }], 'active A'],
    [[{ op: 'remove', path: `members[value eq "${ann}"]` }], 'active'],
  ] as const) {
    seen.records = 0
    expect((await one.send('PATCH', `/Groups/${group}`, { Operations })).status).toBe(200)
    expect(seen.records).toBeLessThanOrEqual(3)
    expect(await one.look('ann')).toBe(look)
  }
  seen.records = 0
  await one.send('PATCH', `/Groups/${group}`, { Operations: [{ op: 'replace', value: { displayName: 'B' } }] })
  expect(seen.records).toBe(1)
})

test('PUT of a whole group writes who comes and who leaves, a hundred a turn', async () => {
  const { store, instance } = world()
  const { store: counted, seen } = counting(store)
  const one = instance(counted)
  const before = Array.from({ length: 2000 }, (_, n) => `member-${n}`)
  const after = Array.from({ length: 2000 }, (_, n) => `member-${n + 1000}`)
  const group = (await one.send('POST', '/Groups', { displayName: 'A', members: members(before) })).body.id
  await turn()
  expect([seen.largest, seen.turns]).toEqual([100, 20])
  seen.records = seen.turns = 0
  const answer = await one.send('PUT', `/Groups/${group}`, { displayName: 'A', members: members(after) })
  expect(answer.status).toBe(200)
  await turn()
  expect(seen.records).toBeLessThanOrEqual(2003)
  expect(seen.largest).toBe(100)
  expect(seen.turns).toBeGreaterThanOrEqual(19)
  seen.records = 0
  await one.send('PUT', `/Groups/${group}`, { displayName: 'A', members: members(after) })
  expect(seen.records).toBeLessThanOrEqual(1)
  seen.turns = 0
  expect((await one.send('DELETE', `/Groups/${group}`)).status).toBe(204)
  await turn()
  expect([seen.largest, seen.turns]).toEqual([100, 20])
  const left: string[] = []
  for await (const [key] of store.list(membersTable)) left.push(key)
  expect(left).toEqual([])
})

test('GET of a large group shows all its members, or none when they are excluded; a list leaves them out', async () => {
  const { instance } = world()
  const one = instance()
  const ids = await pushUsers(
    one,
    Array.from({ length: 2500 }, (_, n) => `u${n}`),
  )
  const group = (await one.send('POST', '/Groups', { displayName: 'A', members: members(ids) })).body.id
  const whole = (await one.send('GET', `/Groups/${group}`)).body
  expect(whole.members?.map(({ value }) => value)).toEqual(ids)
  expect((await one.send('GET', `/Groups/${group}?excludedAttributes=members`)).body.members).toBeUndefined()
  const list = (await one.send('GET', '/Groups?startIndex=1&count=1')).body as { Resources?: readonly object[] }
  expect(list.Resources).toEqual([expect.not.objectContaining({ members: expect.anything() })])
})

test('a crash at any point of a PUT puts nobody where they are not meant to be, and a repeat completes it', async () => {
  const people = ['ann', 'bob', 'cid', 'dan']
  const some = fc.subarray(people)
  await fc.assert(
    fc.asyncProperty(some, some, fc.boolean(), fc.nat(8), async (before, after, renames, failAfter) => {
      const store = createMemoryStore({ clock })
      const { store: counted, seen } = counting(store)
      const one = scimInstance({ store: counted, clock })
      const ids = new Map<string, string>()
      const idsOf = (names: readonly string[]) => members(names.map((name) => ids.get(name) ?? ''))
      for (const name of people) ids.set(name, (await pushUsers(one, [name]))[0] ?? '')
      const group = (await one.send('POST', '/Groups', { displayName: 'Old', members: idsOf(before) })).body.id
      const name = renames ? 'New' : 'Old'
      const push = (to: Instance) => to.send('PUT', `/Groups/${group}`, { displayName: name, members: idsOf(after) })
      seen.records = 0
      seen.failAfter = failAfter
      await push(one)
      await one.scim.close()
      const next = scimInstance({ store, clock })
      for (const who of people) {
        const groups = (await next.look(who)).split(' ').slice(1)
        const mayBe = [...(before.includes(who) ? ['Old'] : []), ...(after.includes(who) ? [name] : [])]
        expect(mayBe).toEqual(expect.arrayContaining(groups))
      }
      expect((await push(next)).status).toBe(200)
      for (const who of people) expect(await next.look(who)).toBe(after.includes(who) ? `active ${name}` : 'active')
      await next.scim.close()
      await store.close()
    }),
    { numRuns: 150 },
  )
})

test('whoever is removed while another process still adds them stays out', async () => {
  const { store, instance } = world()
  const { store: counted, seen } = counting(store)
  const [slow, quick] = [instance(counted), instance()]
  const [ann = ''] = await pushUsers(slow, ['ann'])
  const many = [...Array.from({ length: 150 }, (_, n) => `member-${n}`), ann]
  const group = (await slow.send('POST', '/Groups', { displayName: 'A' })).body.id
  let writes = 0
  seen.before = async () => {
    // Before the second piece of members, in which ann is.
    if (++writes !== 3) return
    const Operations = [{ op: 'remove', path: `members[value eq "${ann}"]` }]
    expect((await quick.send('PATCH', `/Groups/${group}`, { Operations })).status).toBe(200)
  }
  const add = { Operations: [{ op: 'add', path: 'members', value: members(many) }] }
  expect((await slow.send('PATCH', `/Groups/${group}`, add)).status).toBe(503)
  expect([await slow.look('ann'), await quick.look('ann')]).toEqual(['active', 'active'])
  expect(writes).toBe(3)
  // Asked again, it is the later request.
  expect((await slow.send('PATCH', `/Groups/${group}`, add)).status).toBe(200)
  expect(await quick.look('ann')).toBe('active A')
})

test('a group that was removed while a crash kept its members is cleared of them at the next start', async () => {
  const { store, instance } = world()
  const { store: counted, seen } = counting(store)
  const one = instance(counted)
  const [ann = ''] = await pushUsers(one, ['ann'])
  const group = (await one.send('POST', '/Groups', { displayName: 'A', members: members([ann]) })).body.id
  seen.failAfter = 0
  expect((await one.send('DELETE', `/Groups/${group}`)).status).toBe(503)
  expect(await one.look('ann')).toBe('active')
  const removed: string[] = []
  store.watch(({ key, kind }) => void (kind === 'delete' && removed.push(key)))
  const next = instance()
  expect(await next.look('ann')).toBe('active')
  for (let n = 0; n < 5; n++) await turn()
  expect(removed).toEqual([`${group} ${ann}`])
})

test('a group of more than 100,000 members is refused before anything is written', async () => {
  const { store, instance } = world()
  const { store: counted, seen } = counting(store)
  const one = instance(counted)
  const many = Array.from({ length: 100_001 }, (_, n) => `m${n}`)
  expect((await one.send('POST', '/Groups', { displayName: 'A', members: members(many) })).status).toBe(400)
  expect(seen.records).toBe(0)
})

test('what one issuer’s provider pushed is nobody for another issuer, in one store too', async () => {
  const { instance } = world()
  const [here, there] = [instance(), instance(undefined, 'https://there.okta.example')]
  const [ann = ''] = await pushUsers(here, ['ann'])
  await here.send('POST', '/Groups', { displayName: 'Admins', members: members([ann]) })
  expect([await here.look('ann'), await there.look('ann')]).toEqual(['active Admins', 'unknown'])
  expect((await there.send('GET', '/Groups')).body.totalResults).toBe(0)
  await pushUsers(there, ['ann'])
  await here.send('PATCH', `/Users/${ann}`, { Operations: [{ op: 'replace', value: { active: false } }] })
  expect([await here.look('ann'), await there.look('ann')]).toEqual(['inactive', 'active'])
})

// ---- a store of an older Postern

const olderUsers: Table<unknown> = { name: 'scim-users', parse: (value) => value ?? undefined }
const olderGroups: Table<unknown> = { name: 'scim-groups', parse: (value) => value ?? undefined }
const USER = 'u'.repeat(22)
const GROUP = 'g'.repeat(22)

async function writeOlder(store: Store, count: number): Promise<void> {
  const times = { createdAt: clock.now(), changedAt: clock.now() }
  const ids = Array.from({ length: count }, (_, n) => `member-${n}`)
  await store.put(olderUsers, USER, {
    id: USER,
    externalId: 'ann',
    userName: 'ann',
    active: true,
    emails: [],
    ...times,
  })
  await store.put(olderGroups, GROUP, { id: GROUP, displayName: 'Engineering', members: [...ids, USER], ...times })
}

test('people and groups of an older Postern go on, and can be changed as before', async () => {
  const { store, instance } = world()
  await writeOlder(store, 250)
  const one = instance()
  expect(await one.look('ann')).toBe('active Engineering')
  expect((await one.send('GET', `/Groups/${GROUP}`)).body.members).toEqual([{ value: USER, display: 'ann' }])
  await one.send('PATCH', `/Groups/${GROUP}`, { Operations: [{ op: 'remove', path: `members[value eq "${USER}"]` }] })
  expect([await one.look('ann'), await instance().look('ann')]).toEqual(['active', 'active'])
  for (const table of [olderUsers, olderGroups]) for await (const [key] of store.list(table)) expect.unreachable(key)
})

test('a crash at any point while they are moved lets nobody in, and the next start completes it', async () => {
  for (let failAfter = 0; failAfter < 260; failAfter += 20) {
    const store = createMemoryStore({ clock })
    await writeOlder(store, 250)
    const { store: counted, seen } = counting(store)
    seen.failAfter = failAfter
    const first = scimInstance({ store: counted, clock })
    const seenFirst = await first.look('ann').catch(() => 'a fault')
    expect(['a fault', 'active Engineering']).toContain(seenFirst)
    await first.scim.close()
    const next = scimInstance({ store, clock })
    expect(await next.look('ann')).toBe('active Engineering')
    await next.scim.close()
    await store.close()
  }
})

test('a process that migrates older records late does not bring back removed members', async () => {
  const { store, instance } = world()
  await writeOlder(store, 250)
  const { store: counted, seen } = counting(store)
  const [slow, quick] = [instance(counted), instance()]
  let writes = 0
  seen.before = async () => {
    if (++writes !== 4) return
    expect(await quick.look('ann')).toBe('active Engineering')
    const Operations = [{ op: 'remove', path: `members[value eq "${USER}"]` }]
    await quick.send('PATCH', `/Groups/${GROUP}`, { Operations })
    await quick.send('PATCH', `/Users/${USER}`, { Operations: [{ op: 'replace', value: { locale: 'de' } }] })
  }
  expect(await slow.look('ann')).toBe('active')
  expect(writes).toBeGreaterThanOrEqual(4)
})
