/** Several processes on one store, restarts, and a store that fails. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { AppError } from '../../../src/errors.ts'
import { sha256 } from '../../../src/lib/crypto.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { openLmdbStore } from '../../../src/store/lmdb.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { Store, Table } from '../../../src/types.ts'
import { manualClock } from '../../support/clock.ts'
import { recordedLog } from './recorded-log.ts'
import { type Instance, scimInstance } from './scim-world.ts'

const ANN = { userName: 'ann', externalId: '00u-ann', active: true }
const members = (...ids: readonly string[]) => ids.map((value) => ({ value }))

function memoryWorld() {
  const clock = manualClock()
  const store = createMemoryStore({ clock })
  onTestFinished(() => store.close())
  const instance = (over: Store = store, logger = recordedLog()): Instance => {
    const made = scimInstance({ store: over, clock, logger })
    onTestFinished(() => made.scim.close())
    return made
  }
  return { clock, store, instance }
}

test('what was pushed survives a restart', async () => {
  const { instance, clock } = memoryWorld()
  const before = instance()
  const ann = (await before.send('POST', '/Users', ANN)).body.id
  clock.advance(5)
  await before.send('POST', '/Users', { userName: 'bob', externalId: '00u-bob', active: false })
  const group = (await before.send('POST', '/Groups', { displayName: 'Engineering', members: members(ann) })).body.id
  const after = instance()
  await after.scim.start()
  expect([await after.look('00u-ann'), await after.look('00u-bob')]).toEqual(['active Engineering', 'inactive'])
  expect(await after.send('GET', `/Groups/${group}`)).toEqual(await before.send('GET', `/Groups/${group}`))
  expect(await after.send('GET', '/Users')).toEqual(await before.send('GET', '/Users'))
})

test('a start announces no changes', async () => {
  const { instance } = memoryWorld()
  await instance().send('POST', '/Users', ANN)
  const second = instance()
  const heard: string[] = []
  second.scim.onChange((subject) => heard.push(subject))
  await second.scim.start()
  expect(heard).toEqual([])
})

test('a push to one process is known to another, whose listeners hear of it', async () => {
  const { instance } = memoryWorld()
  const [one, two] = [instance(), instance()]
  await Promise.all([one.scim.start(), two.scim.start()])
  const heard: string[] = []
  const stop = two.scim.onChange((subject) => heard.push(subject))
  const ann = (await one.send('POST', '/Users', ANN)).body.id
  const group = (await one.send('POST', '/Groups', { displayName: 'Engineering', members: members(ann) })).body.id
  await turn()
  expect(await two.look('00u-ann')).toBe('active Engineering')
  await two.send('PATCH', `/Groups/${group}`, { Operations: [{ op: 'remove', path: `members[value eq "${ann}"]` }] })
  await turn()
  expect(await one.look('00u-ann')).toBe('active')
  expect(heard).toEqual(['00u-ann', '00u-ann', '00u-ann'])
  stop()
  await one.send('DELETE', `/Users/${ann}`)
  await turn()
  expect(await two.look('00u-ann')).toBe('unknown')
  expect(heard).toHaveLength(3)
})

test('a change that another process overtakes is made again on what that one left', async () => {
  const { store, instance } = memoryWorld()
  let overtake: (() => Promise<unknown>) | undefined
  const overtaken: Store = {
    ...store,
    async get<T>(table: Table<T>, key: string) {
      const read = await store.get(table, key)
      const first = overtake
      overtake = undefined
      await first?.()
      return read
    },
  }
  const [one, two] = [instance(overtaken), instance()]
  const ann = (await one.send('POST', '/Users', ANN)).body.id
  const bob = (await one.send('POST', '/Users', { userName: 'bob', externalId: '00u-bob' })).body.id
  const group = (await one.send('POST', '/Groups', { displayName: 'Engineering', members: members(ann) })).body.id
  await turn()
  overtake = () => two.send('PATCH', `/Groups/${group}`, { Operations: [{ op: 'remove', path: 'members' }] })
  const add = { Operations: [{ op: 'add', path: 'members', value: members(bob) }] }
  expect((await one.send('PATCH', `/Groups/${group}`, add)).status).toBe(200)
  await turn()
  for (const of of [one, two])
    expect([await of.look('00u-ann'), await of.look('00u-bob')]).toEqual(['active', 'active Engineering'])
})

test('of many creations of one person at once one succeeds', async () => {
  const { instance } = memoryWorld()
  const one = instance()
  const answers = await Promise.all(Array.from({ length: 10 }, () => one.send('POST', '/Users', ANN)))
  expect(answers.map(({ status }) => status)).toEqual([201, ...Array.from({ length: 9 }, () => 409)])
})

test('of two records of one person, created by two processes at once, an inactive one counts', async () => {
  const { instance } = memoryWorld()
  const [one, two] = [instance(), instance()]
  await Promise.all([one.scim.start(), two.scim.start()])
  const [first, second] = await Promise.all([one.send('POST', '/Users', ANN), two.send('POST', '/Users', ANN)])
  expect([first.status, second.status]).toEqual([201, 201])
  await one.send('POST', '/Groups', { displayName: 'A', members: members(first.body.id) })
  await one.send('POST', '/Groups', { displayName: 'B', members: members(second.body.id) })
  expect(await one.look('00u-ann')).toBe('active A B')
  await one.send('PATCH', `/Users/${second.body.id}`, { Operations: [{ op: 'replace', value: { active: false } }] })
  await turn()
  expect([await one.look('00u-ann'), await two.look('00u-ann')]).toEqual(['inactive', 'inactive'])
})

test('the embedded store keeps it all, and two processes agree', async () => {
  const clock = manualClock()
  const path = mkdtempSync(join(tmpdir(), 'postern-scim-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  const open = () => {
    const store = openLmdbStore({ path, clock, logger: silentLogger })
    const made = scimInstance({ store, clock })
    onTestFinished(async () => {
      await made.scim.close()
      await store.close()
    })
    return made
  }
  const [one, two] = [open(), open()]
  await Promise.all([one.scim.start(), two.scim.start()])
  const ann = (await one.send('POST', '/Users', ANN)).body.id
  await one.send('POST', '/Groups', { displayName: 'Engineering', members: members(ann) })
  // Status comes from the store at once, memberships with the change feed.
  expect(await two.look('00u-ann')).toMatch(/^active/)
  await clock.advanceAsync(200)
  await turn()
  expect(await two.look('00u-ann')).toBe('active Engineering')
  await two.send('PATCH', `/Users/${ann}`, { Operations: [{ op: 'replace', value: { active: false } }] })
  expect(await one.look('00u-ann')).toBe('inactive')
})

// ---- faults

/** A store that can be told to fail, and does so with a code. */
function fragile(store: Store): { readonly store: Store; broken: boolean } {
  const state = {
    broken: false,
    store: {
      ...store,
      get: <T>(table: Table<T>, key: string) => (fail(), store.get(table, key)),
      put: <T>(table: Table<T>, key: string, value: T, when?: object) => (fail(), store.put(table, key, value, when)),
      list: <T>(table: Table<T>, index?: string) => (fail(), store.list(table, index)),
    } satisfies Store,
  }
  function fail(): void {
    if (state.broken) throw new AppError('ERR_STORE_UNAVAILABLE', 'store: no space left on device')
  }
  return state
}

test('a store that cannot be read at the start: 503 and a fault, until it can', async () => {
  const { store, instance } = memoryWorld()
  await instance().send('POST', '/Users', ANN)
  const disk = fragile(store)
  disk.broken = true
  const one = instance(disk.store)
  await expect(one.scim.start()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  const answer = await one.send('GET', '/Users')
  expect(answer).toEqual({
    status: 503,
    body: {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'],
      status: '503',
      detail: 'The session store is not available at the moment.',
    },
  })
  await expect(one.look('00u-ann')).rejects.toMatchObject({
    code: 'ERR_DIRECTORY_UNREACHABLE',
    message: 'scim: the pushed people and groups cannot be read',
  })
  disk.broken = false
  expect(await one.look('00u-ann')).toBe('active')
})

test('a change that the store did not take is not known either, and can be sent again', async () => {
  const { store, instance } = memoryWorld()
  const disk = fragile(store)
  const log = recordedLog()
  const one = instance(disk.store, log)
  const ann = (await one.send('POST', '/Users', ANN)).body.id
  const heard: string[] = []
  one.scim.onChange((subject) => heard.push(subject))
  disk.broken = true
  const off = () => one.send('PATCH', `/Users/${ann}`, { Operations: [{ op: 'replace', value: { active: false } }] })
  expect((await off()).status).toBe(503)
  expect(log.lines.at(-1)).toMatchObject({ level: 'warn', fields: { error: 'ERR_STORE_UNAVAILABLE' } })
  disk.broken = false
  expect(await one.look('00u-ann')).toBe('active')
  expect(heard).toEqual([])
  expect((await off()).status).toBe(200)
  expect(await one.look('00u-ann')).toBe('inactive')
  expect(heard).toEqual(['00u-ann'])
})

test('a change of another process that could not be read is read later and announced', async () => {
  const { store, instance } = memoryWorld()
  const disk = fragile(store)
  const [one, two] = [instance(disk.store), instance()]
  await one.scim.start()
  const heard: string[] = []
  one.scim.onChange((subject) => heard.push(subject))
  const ann = (await two.send('POST', '/Users', ANN)).body.id
  await turn()
  disk.broken = true
  await two.send('POST', '/Groups', { displayName: 'Engineering', members: members(ann) })
  await turn()
  disk.broken = false
  expect(await one.look('00u-ann')).toBe('active Engineering')
  expect(heard).toEqual(['00u-ann', '00u-ann'])
})

test('a record that cannot be read gives no access and is not overwritten', async () => {
  const { store, instance } = memoryWorld()
  const one = instance()
  const ann = (await one.send('POST', '/Users', ANN)).body.id
  const group = (await one.send('POST', '/Groups', { displayName: 'Engineering', members: members(ann) })).body.id
  const groupsTable = `scim-groups-${sha256('https://org.okta.example ').slice(0, 22)}`
  const foreign: Table<unknown> = { name: groupsTable, parse: (value) => value }
  await store.put(foreign, group, { id: group, displayName: 7 })
  await turn()
  expect(await one.look('00u-ann')).toBe('active')
  const add = { Operations: [{ op: 'add', path: 'members', value: members(ann) }] }
  expect((await one.send('PATCH', `/Groups/${group}`, add)).status).toBe(503)
  expect((await one.send('GET', `/Groups/${group}`)).status).toBe(503)
  expect((await instance().send('GET', '/Groups')).body.totalResults).toBe(0)
})

test('a listener that fails stops neither the push nor the others', async () => {
  const { instance } = memoryWorld()
  const log = recordedLog()
  const one = instance(undefined, log)
  await one.scim.start()
  const heard: string[] = []
  one.scim.onChange(() => {
    throw new TypeError('a listener of ours')
  })
  one.scim.onChange((subject) => heard.push(subject))
  expect((await one.send('POST', '/Users', ANN)).status).toBe(201)
  expect(heard).toEqual(['00u-ann'])
  expect(log.lines).toContainEqual({
    level: 'error',
    fields: {
      user_id: '00u-ann',
      error: 'ERR_INTERNAL',
      error_message: 'a listener of ours',
      stack: expect.any(String),
    },
    message: 'scim: a listener to changes failed',
  })
})

test('a process that missed changes reads everything again: whoever was removed meanwhile is out', async () => {
  const { store, instance } = memoryWorld()
  let missing = false
  let onGap: (() => void) | undefined
  const deaf: Store = {
    ...store,
    watch(listener, gap) {
      onGap = gap
      return store.watch((change) => (missing ? undefined : listener(change)), gap)
    },
  }
  const [one, two] = [instance(deaf), instance()]
  const ann = (await one.send('POST', '/Users', ANN)).body.id
  const group = (await one.send('POST', '/Groups', { displayName: 'Engineering', members: members(ann) })).body.id
  const heard: string[] = []
  one.scim.onChange((subject) => heard.push(subject))
  missing = true
  await two.send('PATCH', `/Groups/${group}`, { Operations: [{ op: 'remove', path: 'members' }] })
  expect(await one.look('00u-ann')).toBe('active Engineering')
  missing = false
  onGap?.()
  expect(await one.look('00u-ann')).toBe('active')
  expect(heard).toEqual(['00u-ann'])
})
