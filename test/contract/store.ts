import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Change, Store, Table } from '../../src/types.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'

interface Note {
  readonly text: string
  readonly owner: string
}

/** As a consumer writes one: strict, indexed. */
export const notes: Table<Note> = {
  name: 'notes',
  parse(value) {
    const note = value as Partial<Note> | null
    return typeof note?.text === 'string' && typeof note.owner === 'string' ? (note as Note) : undefined
  },
  index: (note) => note.owner,
}
const note = (text: string, owner = 'ann'): Note => ({ text, owner })

/** The same table as a program of another version would write it. */
const foreignNotes: Table<unknown> = { name: 'notes', parse: (value) => value, index: () => 'ann' }
const others: Table<Note> = { ...notes, name: 'others' }
const markers: Table<Note> = { ...notes, name: 'markers' }

export interface OpenStore {
  readonly store: Store
  /** The same records seen by another user of the store; itself where there can be only one. */
  readonly peer: Store
  /** Lets time pass for leases; absent: they run by `clock`. */
  readonly pass?: (by: number) => Promise<void>
  /** Removes what `open` made, after the stores are closed. */
  tidy(): void
}

const HOSTILE_KEYS = [
  '',
  ' ',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  '\0',
  'a\0b',
  '~',
  '\uffff',
  '\ud800',
  '\ud801',
  'é',
  'e\u0301',
  '👩‍👩‍👧',
  'x'.repeat(2000),
  'x'.repeat(100_000),
  '../../etc/passwd',
]

async function collect<T>(list: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of list) all.push(item)
  return all
}

/** What every `Store` must do; `open` gives a fresh, empty one whose time is `clock`. */
export function storeContract(name: string, open: (clock: ManualClock) => OpenStore | Promise<OpenStore>): void {
  describe(`${name} is a Store`, () => {
    let clock: ManualClock
    let opened: OpenStore
    let store: Store
    let peer: Store
    beforeEach(async () => {
      clock = manualClock()
      opened = await open(clock)
      store = opened.store
      peer = opened.peer
    })
    afterEach(async () => {
      await store.close()
      await peer.close()
      opened.tidy()
    })

    /** What happened so far has been announced to those who watch these. */
    async function announced(...stores: readonly Store[]): Promise<void> {
      const waiting = new Set(stores)
      const stops = stores.map((each) =>
        each.watch(({ table }) => void (table === markers.name && waiting.delete(each))),
      )
      await peer.put(markers, 'marker', note('so far'))
      await expect
        .poll(() => {
          clock.advance(100)
          return waiting.size
        })
        .toBe(0)
      for (const stop of stops) stop()
    }
    /** Watches; markers are left out. */
    function watched(from: Store): Change[] {
      const seen: Change[] = []
      from.watch((change) => void (change.table !== markers.name && seen.push(change)))
      return seen
    }

    const texts = async (index?: string, from = store) =>
      (await collect(from.list(notes, index))).map(([key, { value }]) => `${key}:${value.text}`).sort()

    test('get gives what put stored, to every process, until delete', async () => {
      expect(await store.get(notes, 'k')).toBeUndefined()
      expect(await store.put(notes, 'k', note('one'))).toBe(true)
      expect((await store.get(notes, 'k'))?.value).toEqual(note('one'))
      expect((await peer.get(notes, 'k'))?.value).toEqual(note('one'))
      await peer.delete(notes, 'k')
      expect(await store.get(notes, 'k')).toBeUndefined()
      await store.delete(notes, 'k')
    })

    test('a table may store another form than it gives, with the same index', async () => {
      const terse: Table<Note> = {
        name: 'notes',
        format: ({ text, owner }) => [text, owner],
        parse: (value) => (Array.isArray(value) ? note(value[0] as string, value[1] as string) : undefined),
        index: ({ owner }) => owner,
      }
      await store.put(terse, 'a', note('one', 'bob'))
      expect((await peer.get(terse, 'a'))?.value).toEqual(note('one', 'bob'))
      expect((await collect(peer.list(terse, 'bob'))).map(([, { value }]) => value)).toEqual([note('one', 'bob')])
      expect((await peer.get(foreignNotes, 'a'))?.value).toEqual(['one', 'bob'])
      expect(await store.take(terse, 'a')).toEqual(note('one', 'bob'))
    })

    test('count says how many records a table has, in every process', async () => {
      expect(await store.count(notes)).toBe(0)
      for (let i = 0; i < 600; i++) await store.put(notes, `n${i}`, note('x'))
      await store.put(others, 'o', note('x'))
      expect([await store.count(notes), await peer.count(notes), await store.count(others)]).toEqual([600, 600, 1])
      await store.delete(notes, 'n1')
      expect(await peer.count(notes)).toBe(599)
    })

    test('tables are separate', async () => {
      await store.put(notes, 'k', note('one'))
      expect(await store.get(others, 'k')).toBeUndefined()
      expect(await collect(store.list(others))).toEqual([])
      await store.delete(others, 'k')
      expect(await store.take(others, 'k')).toBeUndefined()
      expect(await texts()).toEqual(['k:one'])
    })

    test('a stored value is not changed through a reference to it', async () => {
      const mine = { text: 'one', owner: 'ann' }
      await store.put(notes, 'k', mine)
      mine.text = 'two'
      const got = (await store.get(notes, 'k'))?.value as { text: string }
      got.text = 'three'
      expect((await store.get(notes, 'k'))?.value).toEqual(note('one'))
    })

    test.each(HOSTILE_KEYS.map((key) => [JSON.stringify(key).slice(0, 40), key]))(
      'key %s is a key like any other',
      async (_, key) => {
        for (const other of HOSTILE_KEYS) if (other !== key) await store.put(notes, other, note('other', other))
        expect(await store.get(notes, key)).toBeUndefined()
        await store.put(notes, key, note('one', key))
        expect((await peer.get(notes, key))?.value).toEqual(note('one', key))
        expect((await collect(store.list(notes, key))).map(([found]) => found)).toEqual([key])
        expect(await collect(store.list(notes))).toHaveLength(HOSTILE_KEYS.length)
        expect(await store.take(notes, key)).toEqual(note('one', key))
        expect(await collect(store.list(notes, key))).toEqual([])
        expect(await collect(store.list(notes))).toHaveLength(HOSTILE_KEYS.length - 1)
      },
    )

    test('values keep odd property names and text', async () => {
      const value = JSON.parse('{"text":"\\u0000\\ud800\\u2028","owner":"ann","__proto__":{"admin":true}}') as Note
      await store.put(notes, 'k', value)
      expect((await store.get(notes, 'k'))?.value).toEqual(value)
      expect(({} as { admin?: boolean }).admin).toBeUndefined()
    })

    test('put with ifVersion succeeds only with the current version', async () => {
      await store.put(notes, 'k', note('one'))
      const { version } = (await store.get(notes, 'k')) ?? { version: -1 }
      expect(await peer.put(notes, 'k', note('two'), { ifVersion: version })).toBe(true)
      expect(await store.put(notes, 'k', note('three'), { ifVersion: version })).toBe(false)
      expect(await store.put(notes, 'k', note('three'), { ifVersion: version + 1000 })).toBe(false)
      expect((await store.get(notes, 'k'))?.value.text).toBe('two')
    })

    test('put with ifVersion 0 succeeds only where no record is, or an expired one', async () => {
      expect(await store.put(notes, 'k', note('one'), { ifVersion: 0, expiresAt: clock.now() + 10 })).toBe(true)
      expect(await store.put(notes, 'k', note('two'), { ifVersion: 0 })).toBe(false)
      clock.advance(10)
      expect(await store.put(notes, 'k', note('two'), { ifVersion: 0 })).toBe(true)
      expect((await store.get(notes, 'k'))?.value.text).toBe('two')
    })

    test('a version never comes back, not even after the record was deleted or expired', async () => {
      await store.put(notes, 'k', note('one'), { expiresAt: clock.now() + 10 })
      const first = (await store.get(notes, 'k'))?.version ?? -1
      clock.advance(10)
      expect(await store.put(notes, 'k', note('late'), { ifVersion: first })).toBe(false)
      await store.put(notes, 'k', note('two'))
      await store.delete(notes, 'k')
      expect(await store.put(notes, 'k', note('late'), { ifVersion: first })).toBe(false)
      await store.put(notes, 'k', note('three'))
      expect(await store.put(notes, 'k', note('late'), { ifVersion: first })).toBe(false)
      expect((await store.get(notes, 'k'))?.value.text).toBe('three')
    })

    test('of 50 concurrent compare-and-swaps exactly one wins', async () => {
      await store.put(notes, 'k', note('0'))
      const { version } = (await store.get(notes, 'k')) ?? { version: -1 }
      const won = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          (i % 2 ? store : peer).put(notes, 'k', note(`${i}`), { ifVersion: version }),
        ),
      )
      expect(won.filter(Boolean)).toHaveLength(1)
      expect((await store.get(notes, 'k'))?.value.text).toBe(`${won.indexOf(true)}`)
    })

    test('write puts and deletes at once, for as long as the record that it stands under is the same', async () => {
      await store.put(others, 'head', note('1'))
      await store.put(notes, 'old', note('old'), { expiresAt: clock.now() + 10 })
      await store.put(notes, 'gone', note('gone'))
      const { version } = (await store.get(others, 'head')) ?? { version: -1 }
      await announced(store)
      const seen = watched(store)
      const values = new Map([
        ['new', note('new', 'bob')],
        ['old', note('renewed')],
        ['gone', undefined],
        ['never', undefined],
      ])
      expect(await peer.write(notes, values, { table: others, key: 'head', version })).toBe(true)
      clock.advance(300_000)
      expect(await texts()).toEqual(['new:new', 'old:renewed'])
      expect(await texts('bob')).toEqual(['new:new'])
      await announced(store)
      expect(seen.map(({ key, kind }) => `${kind} ${key}`)).toEqual(['put new', 'put old', 'delete gone'])
      await peer.put(others, 'head', note('2'))
      for (const of of [version, version + 1000, 0]) {
        expect(
          await store.write(notes, new Map([['late', note('late')]]), { table: others, key: 'head', version: of }),
        ).toBe(false)
      }
      expect(await texts()).toEqual(['new:new', 'old:renewed'])
    })

    test('write under version 0: only while that record is not there, or has expired', async () => {
      const under = { table: others, key: 'head', version: 0 }
      expect(await store.write(notes, new Map([['a', note('1')]]), under)).toBe(true)
      await store.put(others, 'head', note('1'), { expiresAt: clock.now() + 10 })
      expect(await store.write(notes, new Map([['a', note('2')]]), under)).toBe(false)
      clock.advance(10)
      expect(await store.write(notes, new Map([['a', note('3')]]), under)).toBe(true)
      expect(await texts()).toEqual(['a:3'])
    })

    test('write of which one value cannot be stored stores none', async () => {
      const broken: Table<Note> = {
        ...notes,
        format(value) {
          if (value.text === 'bad') throw new TypeError('no form for it')
          return value
        },
      }
      const values = new Map([
        ['a', note('good')],
        ['b', note('bad')],
      ])
      await expect(store.write(broken, values, { table: others, key: 'none', version: 0 })).rejects.toThrow()
      expect(await texts()).toEqual([])
    })

    test('of 50 concurrent takes exactly one gets the value', async () => {
      await store.put(notes, 'code', note('once'))
      const got = await Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 ? store : peer).take(notes, 'code')))
      expect(got.filter((value) => value !== undefined)).toEqual([note('once')])
      expect(await store.take(notes, 'code')).toBeUndefined()
      expect(await store.get(notes, 'code')).toBeUndefined()
    })

    test('get, take and list ignore an expired record from its millisecond on', async () => {
      for (const key of ['a', 'b']) await store.put(notes, key, note(key), { expiresAt: clock.now() + 100 })
      await store.put(notes, 'c', note('c'))
      clock.advance(99)
      expect(await texts('ann')).toEqual(['a:a', 'b:b', 'c:c'])
      clock.advance(1)
      expect(await store.get(notes, 'a')).toBeUndefined()
      expect(await store.take(notes, 'b')).toBeUndefined()
      expect(await texts()).toEqual(['c:c'])
      expect(await texts('ann')).toEqual(['c:c'])
    })

    test('sweep removes expired records and no others', async () => {
      for (let i = 0; i < 600; i++) {
        await store.put(notes, `k${i}`, note('x'), { expiresAt: clock.now() + (i % 2 ? 1000 : 10_000_000) })
      }
      await store.put(notes, 'k1', note('renewed'), { expiresAt: clock.now() + 10_000_000 })
      await store.put(notes, 'k3', note('for good'))
      clock.advance(300_000)
      expect(await texts()).toHaveLength(302)
      expect((await store.get(notes, 'k1'))?.value.text).toBe('renewed')
      expect((await store.get(notes, 'k3'))?.value.text).toBe('for good')
    })

    test('list by index gives the records of one owner, also after a change of owner', async () => {
      await store.put(notes, 'a', note('1', 'ann'))
      await store.put(notes, 'b', note('2', 'bob'))
      await store.put(notes, 'c', note('3', 'ann'))
      expect(await texts('ann')).toEqual(['a:1', 'c:3'])
      expect(await texts('ann', peer)).toEqual(['a:1', 'c:3'])
      await store.put(notes, 'a', note('4', 'bob'))
      expect(await texts('ann')).toEqual(['c:3'])
      expect(await texts('bob')).toEqual(['a:4', 'b:2'])
      await store.delete(notes, 'c')
      expect(await texts('ann')).toEqual([])
      expect(await texts('an')).toEqual([])
      expect(await texts('')).toEqual([])
      expect(await texts()).toEqual(['a:4', 'b:2'])
    })

    test('records may be deleted while they are listed', async () => {
      for (let i = 0; i < 700; i++) await store.put(notes, `k${i}`, note('x', i % 7 ? 'ann' : 'bob'))
      for await (const [key] of store.list(notes, 'ann')) await store.delete(notes, key)
      expect(await texts()).toHaveLength(100)
      expect(await texts('bob')).toHaveLength(100)
    })

    test('an invalid record is an error for its key only', async () => {
      await store.put(notes, 'good', note('good'))
      await store.put(foreignNotes, 'bad', { words: 1 })
      const fault = {
        code: 'ERR_STORE_CORRUPT',
        message: expect.stringMatching(/^store: notes: record \S+ cannot be read$/),
      }
      await expect(store.get(notes, 'bad')).rejects.toMatchObject(fault)
      await expect(store.take(notes, 'bad')).rejects.toMatchObject(fault)
      await expect(store.take(notes, 'bad')).rejects.toMatchObject(fault)
      expect(await texts('ann')).toEqual(['good:good'])
      expect(await texts()).toEqual(['good:good'])
      await store.put(notes, 'bad', note('mended'))
      expect(await store.take(notes, 'bad')).toEqual(note('mended'))
    })

    test('an error never shows the key, which may be a single-use code', async () => {
      await store.put(foreignNotes, 'secret-code', { words: 'secret-value' })
      const fault = await store.take(notes, 'secret-code').catch((error: Error) => error)
      expect(String((fault as Error).stack)).not.toMatch(/secret-(code|value)/)
    })

    test('every watcher gets every change in order: its own before the write resolves, others soon', async () => {
      const own = watched(store)
      const remote = watched(peer)
      await store.put(notes, 'a', note('1'))
      expect(own).toEqual([{ table: 'notes', key: 'a', kind: 'put' }])
      await store.put(notes, 'a', note('2'))
      await store.put(others, '__proto__', note('3'))
      await store.delete(notes, 'a')
      await store.take(others, '__proto__')
      const all: Change[] = [
        { table: 'notes', key: 'a', kind: 'put' },
        { table: 'notes', key: 'a', kind: 'put' },
        { table: 'others', key: '__proto__', kind: 'put' },
        { table: 'notes', key: 'a', kind: 'delete' },
        { table: 'others', key: '__proto__', kind: 'delete' },
      ]
      expect(own).toEqual(all)
      await announced(peer)
      expect(remote).toEqual(all)
    })

    test('watchers get nothing for refused puts, empty takes and deletes, and expiry', async () => {
      await store.put(notes, 'a', note('1'), { expiresAt: clock.now() + 1000 })
      await announced(store, peer)
      const seen = [watched(store), watched(peer)]
      await store.put(notes, 'a', note('2'), { ifVersion: 0 })
      await store.take(notes, 'b')
      await store.delete(notes, 'b')
      clock.advance(300_000)
      await announced(store, peer)
      expect(seen).toEqual([[], []])
    })

    test('a watcher gets changes made between its start and its stop', async () => {
      await peer.put(notes, 'before', note('1'))
      await announced(store)
      const seen: string[] = []
      const listener = ({ key, table }: Change) => void (table === notes.name && seen.push(key))
      const stop = store.watch(listener)
      await peer.put(notes, 'during', note('1'))
      await announced(store)
      stop()
      await peer.put(notes, 'after', note('1'))
      await announced(store)
      const again = store.watch(listener)
      await announced(store)
      again()
      expect(seen).toEqual(['during'])
    })

    test('a watcher may write', async () => {
      const seen: string[] = []
      const written: Promise<boolean>[] = []
      store.watch(({ key }) => {
        seen.push(key)
        if (key === 'a') written.push(store.put(notes, 'b', note('from a watcher')))
      })
      await store.put(notes, 'a', note('1'))
      await Promise.all(written)
      expect(seen).toEqual(['a', 'b'])
    })

    test('one holder per lease; the next when it ends or is released', async () => {
      const ttl = 3000
      const pass = opened.pass ?? (async (by: number) => clock.advance(by))
      const first = await store.lease('poller', ttl)
      expect(first).toBeDefined()
      expect(await peer.lease('poller', ttl)).toBeUndefined()
      expect(await peer.lease('another', ttl)).toBeDefined()
      await pass(0.6 * ttl)
      expect(await first?.renew()).toBe(true)
      await pass(0.6 * ttl)
      expect(await peer.lease('poller', ttl)).toBeUndefined()
      await pass(0.5 * ttl)
      const second = await peer.lease('poller', ttl)
      expect(second).toBeDefined()
      expect(await first?.renew()).toBe(false)
      await first?.release()
      expect(await second?.renew()).toBe(true)
      await second?.release()
      expect(await second?.renew()).toBe(false)
      expect(await store.lease('poller', ttl)).toBeDefined()
    })

    test('of 20 concurrent requests for a lease exactly one succeeds', async () => {
      const leases = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? store : peer).lease('x', 60_000)))
      expect(leases.filter((lease) => lease !== undefined)).toHaveLength(1)
    })

    test('after close every call is an error, and a second close does nothing', async () => {
      await store.put(notes, 'k', note('one'))
      await store.close()
      await store.close()
      const fault = { code: 'ERR_STORE_UNAVAILABLE', message: 'store: it is closed' }
      await expect(store.get(notes, 'k')).rejects.toMatchObject(fault)
      await expect(store.put(notes, 'k', note('two'))).rejects.toMatchObject(fault)
      await expect(store.take(notes, 'k')).rejects.toMatchObject(fault)
      await expect(store.delete(notes, 'k')).rejects.toMatchObject(fault)
      await expect(collect(store.list(notes))).rejects.toMatchObject(fault)
      await expect(store.lease('x', 1)).rejects.toMatchObject(fault)
      await expect(store.ping()).rejects.toMatchObject(fault)
      clock.advance(120_000)
    })

    test('a store that works answers a ping, and is heard', async () => {
      await store.ping()
      const before = store.heardAt()
      await announced(store)
      expect(store.heardAt()).toBeGreaterThanOrEqual(before as never)
      expect(store.trouble()).toBeUndefined()
    })

    test('a value of a megabyte is stored', async () => {
      await store.put(notes, 'large', note('x'.repeat(1_000_000)))
      expect((await peer.get(notes, 'large'))?.value.text).toHaveLength(1_000_000)
    })

    test('any sequence of operations gives the same as a plain model', async () => {
      const key = fc.constantFrom('a', 'b', 'c')
      const operation = fc.oneof(
        fc.record({ do: fc.constant('put' as const), key, text: fc.string(), owner: key, ttl: fc.option(fc.nat(30)) }),
        fc.record({ do: fc.constantFrom('take' as const, 'delete' as const), key }),
        fc.record({ do: fc.constant('wait' as const), by: fc.nat(20) }),
      )
      await fc.assert(
        fc.asyncProperty(fc.array(operation, { maxLength: 25 }), async (operations) => {
          for (const name of ['a', 'b', 'c']) await store.delete(notes, name)
          const model = new Map<string, { value: Note; expiresAt: number }>()
          const liveInModel = () => [...model].filter(([, entry]) => entry.expiresAt > clock.now())
          for (const op of operations) {
            if (op.do === 'wait') clock.advance(op.by)
            else if (op.do === 'put') {
              const expiresAt = op.ttl === null ? Number.POSITIVE_INFINITY : clock.now() + op.ttl
              await store.put(notes, op.key, note(op.text, op.owner), op.ttl === null ? {} : { expiresAt })
              model.set(op.key, { value: note(op.text, op.owner), expiresAt })
            } else if (op.do === 'take') {
              const expected = new Map(liveInModel()).get(op.key)?.value
              expect(await store.take(notes, op.key)).toEqual(expected)
              model.delete(op.key)
            } else {
              await store.delete(notes, op.key)
              model.delete(op.key)
            }
          }
          for (const owner of ['a', 'b', 'c']) {
            const expected = liveInModel().filter(([, { value }]) => value.owner === owner)
            expect(await texts(owner)).toEqual(expected.map(([k, { value }]) => `${k}:${value.text}`).sort())
          }
        }),
        { numRuns: 30 },
      )
    })
  })
}
