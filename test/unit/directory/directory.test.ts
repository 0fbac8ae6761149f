import { setImmediate as turn } from 'node:timers/promises'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { entryFromClaims } from '../../../src/directory/claims.ts'
import { createDirectory, type LiveDirectory } from '../../../src/directory/directory.ts'
import { createDirectoryTable } from '../../../src/directory/records.ts'
import { AppError } from '../../../src/errors.ts'
import { createIssuer } from '../../../src/lib/person.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { DirectoryConfig } from '../../../src/config/model.ts'
import type { Entry, Group, Membership } from '../../../src/directory/model.ts'
import type { Store, Table } from '../../../src/types.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'
import { recordedLog } from './recorded-log.ts'
import { entry, group, type ScriptedSource, scriptedSource } from './scripted-source.ts'
import { ISSUER, person } from '../../support/person.ts'

const ANN = '00u1annAnnAnnAnnAnn1'
const BOB = '00u1bobBobBobBobBob1'
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const TIMES = { refreshInterval: MINUTE, maxStaleness: HOUR, signInTimeout: 5000, order: [] }
const OKTA: DirectoryConfig = {
  ...TIMES,
  kind: 'okta',
  url: new URL('https://org.okta.com'),
  credentials: { kind: 'token', token: new Secret('00token') },
  budget: 0.5,
  timeout: 10_000,
  logInterval: 10_000,
}

let clock: ManualClock
let store: Store
let source: ScriptedSource
let log: ReturnType<typeof recordedLog>
let directory: LiveDirectory
let opened: LiveDirectory[]

beforeEach(async () => {
  clock = manualClock()
  store = createMemoryStore({ clock })
  source = scriptedSource()
  log = recordedLog()
  opened = []
  directory = await open()
})

afterEach(async () => {
  for (const one of opened) await one.close()
  await store.close()
})

async function open(from: ScriptedSource | undefined = source, shared = store): Promise<LiveDirectory> {
  const made = create(from, shared)
  await made.start()
  return made
}

function create(from: ScriptedSource | undefined = source, shared = store): LiveDirectory {
  const made = createDirectory({
    issuer: ISSUER,
    source: from,
    store: shared,
    clock,
    config: OKTA,
    logger: log,
    random: () => 0.5,
  })
  opened.push(made)
  return made
}

function openClaims(): LiveDirectory {
  const config: DirectoryConfig = { ...TIMES, kind: 'claims' }
  const made = createDirectory({ issuer: ISSUER, source: undefined, store, clock, config, logger: log })
  opened.push(made)
  return made
}

/** From now on Okta knows this of everybody who is asked for. */
function everybodyHas(groups: readonly Group[], more: Partial<Entry> = {}): void {
  source.answers = (user) => entry(clock, user, groups, more)
}

const unreachable = (): AppError => new AppError('ERR_DIRECTORY_UNREACHABLE', 'okta: GET /api/v1/users failed: a test')
const signIn = (user = ANN, of = directory) => of.refresh(person(user), new AbortController().signal)

/** Lets what has been started come to rest: promises only, no timers. */
async function settle(): Promise<void> {
  for (let n = 0; n < 10; n++) await turn()
}

/** In steps smaller than a round, so that each round settles before the next. */
async function pass(time: number): Promise<void> {
  for (let left = time; left > 0; left -= 5000) await clock.advanceAsync(Math.min(left, 5000))
  await settle()
}

function names(membership: Membership | 'unknown'): readonly string[] | 'unknown' {
  return membership === 'unknown' ? membership : membership.groups.map(({ name }) => name)
}

describe('what is known', () => {
  test('is unknown before the first reading', () => {
    expect(directory.membership(person(ANN))).toBe('unknown')
    expect(directory.status(person(ANN))).toBe('unknown')
    expect(directory.health()).toEqual({ source: 'okta', lastSuccess: undefined, lastError: undefined })
  })

  test('a sign-in reads the person', async () => {
    everybodyHas([group(1, 'Engineering')])
    const membership = await signIn()
    expect(membership).toEqual({
      groups: [group(1, 'Engineering')],
      asOf: clock.now() - 2000,
      source: 'okta',
      freshAt: clock.now(),
      keys: new Set(['name:Everyone', `id:${group(1).id}`, 'name:Engineering']),
    })
    expect(directory.membership(person(ANN))).toEqual(membership)
    expect(directory.status(person(ANN))).toBe('active')
    expect(source.lookups.map(({ user, priority }) => [user, priority])).toEqual([[ANN, 'sign-in']])
    expect(directory.health().lastSuccess).toBe(clock.now())
  })

  test('readings older than max_staleness are unknown, on our clock and not on that of the source', async () => {
    everybodyHas([group(1)], { asOf: clock.now() - 5 * HOUR })
    await signIn()
    source.answers = unreachable
    await pass(HOUR)
    expect(names(directory.membership(person(ANN)))).toEqual(['Group 1'])
    expect(directory.status(person(ANN))).toBe('active')
    clock.advance(1)
    expect(directory.membership(person(ANN))).toBe('unknown')
    expect(directory.status(person(ANN))).toBe('unknown')
  })

  test.each([
    [
      'suspended',
      (user: string): Entry => entry(clock, user, [group(1)], { status: 'inactive', statusText: 'SUSPENDED' }),
    ],
    ['gone', () => undefined],
  ])(
    'somebody %s is inactive, however old the reading, and in no group that a rule could match',
    async (_name, answer) => {
      source.answers = answer
      const membership = await signIn()
      expect(membership).toMatchObject({ keys: new Set() })
      expect(directory.status(person(ANN))).toBe('inactive')
      source.answers = unreachable
      await pass(2 * HOUR)
      expect(directory.membership(person(ANN))).toBe('unknown')
      expect(directory.status(person(ANN))).toBe('inactive')
    },
  )

  test('one object for each group, however many people are in it', async () => {
    source.answers = (user) => entry(clock, user, [{ ...group(1) }])
    const [ann, bob] = [await signIn(ANN), await signIn(BOB)]
    expect((ann as Membership).groups[0]).toBe((bob as Membership).groups[0])
  })
})

describe('a request of somebody unknown', () => {
  test('is answered at once and starts one reading', async () => {
    everybodyHas([group(1)])
    for (let n = 0; n < 5; n++) expect(directory.membership(person(ANN))).toBe('unknown')
    await settle()
    expect(names(directory.membership(person(ANN)))).toEqual(['Group 1'])
    expect(source.lookups.map(({ priority }) => priority)).toEqual(['confirm'])
  })

  test('of many only so many are read at once', async () => {
    source.hold = true
    for (let n = 0; n < 100; n++) directory.membership(person(`00u${n}`))
    await settle()
    expect(source.lookups).toHaveLength(8)
  })

  test('waits until people in doubt have been read, however many are unknown', async () => {
    everybodyHas([group(1)])
    await signIn()
    source.hold = true
    for (let n = 0; n < 100; n++) directory.membership(person(`00u${n}`))
    await directory.absorb([{ kind: 'reread', user: ANN, at: clock.now() }], 'log')
    await settle()
    expect(source.lookups.at(-1)).toMatchObject({ user: ANN, priority: 'confirm' })
    for (const lookup of source.lookups.slice(1)) lookup.answer(undefined)
    await settle()
    expect(directory.facts().doubtful).toBe(0)
  })

  test('after a fault waits for a while before it asks again', async () => {
    source.answers = unreachable
    directory.membership(person(ANN))
    await settle()
    for (let n = 0; n < 100; n++) directory.membership(person(ANN))
    await settle()
    expect(source.lookups).toHaveLength(1)
    everybodyHas([group(1)])
    clock.advance(10_000)
    directory.membership(person(ANN))
    await settle()
    expect(names(directory.membership(person(ANN)))).toEqual(['Group 1'])
  })
})

describe('a sign-in', () => {
  test('in two tabs at once reads the person once', async () => {
    source.hold = true
    const both = [signIn(), signIn()]
    await settle()
    expect(source.lookups).toHaveLength(1)
    source.lookups[0]?.answer(entry(clock, ANN, [group(1)]))
    expect((await Promise.all(both)).map(names)).toEqual([['Group 1'], ['Group 1']])
  })

  test('does not wait behind a reading in the background', async () => {
    source.hold = true
    directory.membership(person(ANN))
    const reading = signIn()
    await settle()
    expect(source.lookups.map(({ priority }) => priority)).toEqual(['confirm', 'sign-in'])
    source.lookups[1]?.answer(entry(clock, ANN, [group(1)]))
    expect(names(await reading)).toEqual(['Group 1'])
  })

  test('waits no longer than its timeout, and the answer still counts when it comes', async () => {
    source.hold = true
    const reading = signIn()
    clock.advance(4999)
    await settle()
    clock.advance(1)
    expect(await reading).toBe('unknown')
    source.lookups[0]?.answer(entry(clock, ANN, [group(1)]))
    await settle()
    expect(names(directory.membership(person(ANN)))).toEqual(['Group 1'])
  })

  test('waits at most a second for somebody whom the feed keeps fresh; unknown people are read first', async () => {
    directory.cover({ since: clock.now(), upTo: clock.now() })
    everybodyHas([group(1)])
    await signIn()
    clock.advance(10_000)
    directory.cover({ since: clock.now() - 10_000, upTo: clock.now() })
    source.hold = true
    let done = false
    const reading = signIn().finally(() => (done = true))
    clock.advance(999)
    await settle()
    expect(done).toBe(false)
    clock.advance(1)
    expect(names(await reading)).toEqual(['Group 1'])
    expect(source.lookups.map(({ priority }) => priority)).toEqual(['sign-in', 'background'])
    expect(source.lookups[1]?.signal.aborted).toBe(true)
    await settle()
    expect(directory.health().lastError).toBeUndefined()
  })

  test('that is given up ends the wait, not the reading others share', async () => {
    source.hold = true
    const first = new AbortController()
    const given = directory.refresh(person(ANN), first.signal)
    const other = signIn()
    first.abort()
    expect(await given).toBe('unknown')
    source.lookups[0]?.answer(entry(clock, ANN, [group(1)]))
    expect(names(await other)).toEqual(['Group 1'])
  })

  test('never rejects: a fault leaves what was known and is told in health and, once, in the log', async () => {
    everybodyHas([group(1)])
    await signIn()
    const lastSuccess = clock.now()
    clock.advance(1000)
    source.answers = unreachable
    expect(names(await signIn())).toEqual(['Group 1'])
    expect(names(await signIn())).toEqual(['Group 1'])
    expect(directory.health()).toEqual({
      source: 'okta',
      lastSuccess,
      lastError: {
        at: clock.now(),
        code: 'ERR_DIRECTORY_UNREACHABLE',
        message: 'okta: GET /api/v1/users failed: a test',
      },
    })
    everybodyHas([group(2)])
    await signIn()
    expect(log.lines.filter(({ level }) => level !== 'debug').map(({ level, message }) => [level, message])).toEqual([
      ['warn', 'the group directory cannot be read: what is known stays'],
      ['info', 'the group directory answers again'],
    ])
  })
})

describe('in the background', () => {
  test('a person is read again when the reading is older than the interval, without a request', async () => {
    everybodyHas([group(1)])
    await signIn()
    everybodyHas([group(2)])
    await pass(55_000)
    expect(source.lookups).toHaveLength(1)
    await pass(15_000)
    expect(source.lookups.map(({ priority }) => priority)).toEqual(['sign-in', 'background'])
    expect(names(directory.membership(person(ANN)))).toEqual(['Group 2'])
  })

  test('somebody away is read just often enough not to become unknown', async () => {
    everybodyHas([group(1)])
    await signIn()
    await pass(16 * MINUTE)
    const whileActive = source.lookups.length
    await pass(4 * HOUR)
    expect(whileActive).toBeLessThanOrEqual(16)
    expect(source.lookups.length - whileActive).toBe(8)
    expect(names(directory.membership(person(ANN)))).toEqual(['Group 1'])
  })

  test('somebody inactive and away is not read any more', async () => {
    everybodyHas([], { status: 'inactive', statusText: 'SUSPENDED' })
    await signIn()
    await pass(16 * MINUTE)
    const before = source.lookups.length
    await pass(2 * HOUR)
    expect(source.lookups).toHaveLength(before)
  })

  test('the oldest reading goes first, people who are here before people who are away, three at a time', async () => {
    everybodyHas([group(1)])
    for (const user of ['away', 'first', 'second', 'third', 'fourth']) {
      await signIn(user)
      clock.advance(10)
    }
    source.hold = true
    for (const user of ['first', 'second', 'third', 'fourth']) {
      clock.advance(16 * MINUTE)
      for (const known of ['first', 'second', 'third', 'fourth']) directory.membership(person(known))
      await settle()
      if (user === 'first') break
    }
    await clock.advanceAsync(10_000)
    await settle()
    const round = source.lookups.filter(({ priority }) => priority === 'background')
    expect(round.map(({ user }) => user).slice(0, 3)).toEqual(['first', 'second', 'third'])
    expect(round).toHaveLength(3)
  })

  test('a fault of the source ends the round, and the pauses grow', async () => {
    everybodyHas([group(1)])
    for (let n = 0; n < 50; n++) await signIn(`00u${n}`)
    source.answers = unreachable
    const before = source.lookups.length
    await pass(10 * MINUTE)
    // Without a pause: 50 people, sixty rounds.
    expect(source.lookups.length - before).toBeLessThan(60)
    expect(names(directory.membership(person('00u7')))).toEqual(['Group 1'])
    everybodyHas([group(2)])
    await pass(2 * MINUTE)
    for (let n = 0; n < 50; n++) expect(names(directory.membership(person(`00u${n}`)))).toEqual(['Group 2'])
  })

  test("one person's odd record does not keep the others from being read", async () => {
    everybodyHas([group(1)])
    await signIn(ANN)
    await signIn(BOB)
    source.answers = (user) =>
      user === ANN ? new AppError('ERR_DIRECTORY_BAD_ANSWER', 'okta: not a user') : entry(clock, user, [group(2)])
    await pass(2 * MINUTE)
    expect(names(directory.membership(person(ANN)))).toEqual(['Group 1'])
    expect(names(directory.membership(person(BOB)))).toEqual(['Group 2'])
  })

  test('somebody who has not been here for a day is forgotten', async () => {
    everybodyHas([group(1)])
    await signIn()
    source.answers = unreachable
    clock.advance(24 * HOUR)
    expect(directory.status(person(ANN))).toBe('unknown')
    await pass(10_000)
    everybodyHas([group(1)])
    const before = source.lookups.length
    await pass(MINUTE)
    expect(source.lookups).toHaveLength(before)
  })

  test('somebody who does not come back is read for a day, then no more', async () => {
    everybodyHas([group(1)])
    await signIn()
    const hours = async (count: number): Promise<void> => {
      for (let hour = 0; hour < count; hour++) {
        clock.advance(HOUR - 20_000)
        await pass(20_000)
      }
    }
    await hours(20)
    expect(source.lookups.length).toBeGreaterThan(10)
    await hours(5)
    const before = source.lookups.length
    await hours(10)
    expect(source.lookups).toHaveLength(before)
  })
})

describe('late answers', () => {
  test('an older reading that ends later does not overwrite a newer one', async () => {
    source.hold = true
    directory.membership(person(ANN))
    clock.advance(1000)
    const newer = signIn()
    await settle()
    const [early, late] = source.lookups
    const stale = entry(clock, ANN, [group(1)], { asOf: clock.now() - 5000 })
    late?.answer(entry(clock, ANN, [group(2)]))
    expect(names(await newer)).toEqual(['Group 2'])
    early?.answer(stale)
    await settle()
    expect(names(directory.membership(person(ANN)))).toEqual(['Group 2'])
  })

  test('somebody who is gone does not come back through a reading that began before', async () => {
    source.hold = true
    directory.membership(person(ANN))
    clock.advance(1000)
    const newer = signIn()
    await settle()
    const [early, late] = source.lookups
    late?.answer(undefined)
    await newer
    early?.answer(entry(clock, ANN, [group(1)]))
    await settle()
    expect(directory.status(person(ANN))).toBe('inactive')
  })

  test('one answer with a date far ahead does not freeze a person', async () => {
    everybodyHas([group(1)], { asOf: clock.now() + 365 * 24 * HOUR })
    await signIn()
    everybodyHas([group(2)])
    await pass(7 * MINUTE)
    expect(names(directory.membership(person(ANN)))).toEqual(['Group 2'])
  })
})

describe('listeners hear', () => {
  let heard: [string, string][]

  beforeEach(async () => {
    heard = []
    everybodyHas([group(1), group(2)])
    await signIn()
    directory.onChange((user, status) => void heard.push([user, status]))
  })

  test.each<[string, () => void, [string, string][]]>([
    ['nothing when nothing changed', () => everybodyHas([group(2), group(1)]), []],
    ['of a lost group', () => everybodyHas([group(1)]), [[person(ANN), 'active']]],
    ['of a group under another name', () => everybodyHas([group(1), group(2, 'Renamed')]), [[person(ANN), 'active']]],
    [
      'of a suspension',
      () => everybodyHas([], { status: 'inactive', statusText: 'SUSPENDED' }),
      [[person(ANN), 'inactive']],
    ],
    ['of somebody gone', () => (source.answers = () => undefined), [[person(ANN), 'inactive']]],
    ['nothing of a fault', () => (source.answers = unreachable), []],
  ])('%s', async (_name, change, expected) => {
    change()
    await pass(2 * MINUTE)
    expect(heard).toEqual(expected)
  })

  test('of somebody who is inactive at the first reading', async () => {
    source.answers = () => undefined
    await signIn(BOB)
    expect(heard).toEqual([[person(BOB), 'inactive']])
  })

  test('even after one of them threw, and no more once unsubscribed', async () => {
    const stop = directory.onChange(() => {
      throw new Error('a listener of the test')
    })
    const later: string[] = []
    directory.onChange((user) => void later.push(user))
    source.answers = () => undefined
    await signIn()
    expect(later).toEqual([person(ANN)])
    expect(log.lines.at(-1)).toMatchObject({ level: 'error', message: 'a listener to directory changes failed' })
    stop()
  })
})

describe('the store', () => {
  test('keeps groups across a restart, with the age of the reading', async () => {
    everybodyHas([group(1)])
    await signIn()
    await directory.close()
    clock.advance(30 * MINUTE)
    const again = await open(Object.assign(scriptedSource(), { answers: unreachable }))
    expect(names(again.membership(person(ANN)))).toEqual(['Group 1'])
    clock.advance(30 * MINUTE + 1)
    expect(again.membership(person(ANN))).toBe('unknown')
  })

  test('keeps an inactive person inactive across a restart', async () => {
    source.answers = () => undefined
    await signIn()
    await directory.close()
    expect((await open()).status(person(ANN))).toBe('inactive')
  })

  test('shows what another process has read, and not what is older than our own', async () => {
    const other = await open()
    everybodyHas([group(1)])
    await signIn(ANN, other)
    await settle()
    expect(names(directory.membership(person(ANN)))).toEqual(['Group 1'])
    const heard: string[] = []
    directory.onChange((user, status) => void heard.push(`${user} ${status}`))
    clock.advance(1000)
    source.answers = () => undefined
    await signIn(ANN, other)
    await settle()
    expect(directory.status(person(ANN))).toBe('inactive')
    expect(heard).toEqual([`${person(ANN)} inactive`])
  })

  test('is asked for somebody of whom nothing is known, before the change arrives', async () => {
    const late = await open(source, { ...store, watch: () => () => {} })
    everybodyHas([group(1)])
    await signIn()
    expect(late.status(person(ANN))).toBe('unknown')
    await late.recall(person(ANN))
    expect(names(late.membership(person(ANN)))).toEqual(['Group 1'])
    // Whoever is known costs nothing.
    const broken = await open(source, { ...store, watch: () => () => {}, get: () => Promise.reject(new Error('down')) })
    await broken.recall(person(ANN))
    await broken.recall(person(BOB))
    expect(broken.status(person(BOB))).toBe('unknown')
  })

  test('whose changes were missed is read again: what was deleted meanwhile is known no more, but to whoever reads the source', async () => {
    let gap = (): void => {}
    const deaf: Store = {
      ...store,
      watch(_listener, onGap) {
        gap = onGap ?? gap
        return () => {}
      },
    }
    await directory.close()
    const claims = createDirectory({
      issuer: ISSUER,
      source: undefined,
      store: deaf,
      clock,
      config: { ...TIMES, kind: 'claims' },
      logger: log,
    })
    opened.push(claims)
    await claims.start()
    claims.observe(person(ANN), entryFromClaims(ANN, [{ id: 'Staff', name: 'Staff', type: 'CLAIM' }], clock.now()))
    await settle()
    const heard: string[] = []
    claims.onChange((user, status) => void heard.push(`${user} ${status}`))
    await store.delete(createDirectoryTable(), person(ANN))
    expect(claims.status(person(ANN))).toBe('active')
    gap()
    await settle()
    expect(claims.status(person(ANN))).toBe('unknown')
    expect(heard).toEqual([`${person(ANN)} unknown`])

    everybodyHas([group(1)])
    // The leader stores again what a store that came back empty has lost.
    const leader = await open(source, deaf)
    await signIn(BOB, leader)
    await store.delete(createDirectoryTable(), person(BOB))
    gap()
    await settle()
    expect(leader.status(person(BOB))).toBe('active')
    expect(await store.get(createDirectoryTable(), person(BOB))).toBeDefined()
  })

  test('that takes long to load answers for whoever asks, and what is told meanwhile is not lost', async () => {
    everybodyHas([group(1)])
    await signIn()
    await signIn(BOB)
    let go = (): void => {}
    const gate = new Promise<void>((resolve) => (go = resolve))
    const slow: Store = {
      ...store,
      async *list<T>(table: Table<T>, index?: string) {
        await gate
        yield* store.list(table, index)
      },
    }
    const starting = create(source, slow)
    const started = starting.start()
    expect(starting.status(person(ANN))).toBe('unknown')
    await starting.recall(person(ANN))
    expect(starting.status(person(ANN))).toBe('active')
    const told = starting.absorb(
      [{ kind: 'inactive', user: BOB, at: clock.now() + 1000, statusText: 'DEPROVISIONED' }],
      'log',
    )
    go()
    await started
    await told
    expect(starting.status(person(BOB))).toBe('inactive')
  })

  test('is not overwritten by an older reading of another process', async () => {
    const other = await open()
    source.hold = true
    const slow = signIn(ANN, other)
    clock.advance(1000)
    const fast = signIn(ANN, directory)
    await settle()
    const old = entry(clock, ANN, [group(1)], { asOf: clock.now() - 5000 })
    source.lookups[1]?.answer(entry(clock, ANN, [group(2)]))
    await fast
    source.lookups[0]?.answer(old)
    expect(names(await slow)).toEqual(['Group 2'])
    await settle()
    expect((await store.get(createDirectoryTable(), person(ANN)))?.value.groups).toEqual([group(2)])
  })

  test('does not see a reading that changes nothing', async () => {
    everybodyHas([group(1)])
    await signIn()
    let writes = 0
    store.watch(() => void writes++)
    await pass(14 * MINUTE)
    expect(source.lookups.length).toBeGreaterThan(10)
    expect(writes).toBe(0)
    await pass(3 * MINUTE)
    expect(writes).toBe(1)
  })

  test('that holds a record nobody can read is not believed, and the next reading replaces it', async () => {
    const anything: Table<unknown> = { name: 'directory', parse: (value) => value }
    await store.put(anything, person(ANN), { source: 'okta', status: 'active', groups: 'all of them' })
    const started = await open()
    expect(started.status(person(ANN))).toBe('unknown')
    everybodyHas([group(1)])
    expect(names(await signIn(ANN, started))).toEqual(['Group 1'])
    expect((await store.get(createDirectoryTable(), person(ANN)))?.value.groups).toEqual([group(1)])
  })

  test('is at rest soon after whatever a list holds, though two processes adopt what they write', async () => {
    const odd = fc.record({
      id: fc.constantFrom(group(1).id, group(2).id),
      name: fc.constantFrom('Engineering', 'Sales', ''),
      type: fc.constantFrom('OKTA_GROUP' as const, 'APP_GROUP' as const),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(odd, { maxLength: 5 }), { minLength: 1, maxLength: 4 }), async (lists) => {
        const own = createMemoryStore({ clock })
        const made = [1, 2].map(() =>
          createDirectory({ issuer: ISSUER, source, store: own, clock, config: OKTA, logger: log }),
        )
        for (const one of made) {
          await one.start()
        }
        let writes = 0
        own.watch(() => void writes++)
        for (const [n, list] of lists.entries()) {
          everybodyHas(list)
          await signIn(ANN, made[n % 2])
          clock.advance(100)
        }
        await settle()
        const before = writes
        await settle()
        expect(writes).toBe(before)
        expect(writes).toBeLessThanOrEqual(lists.length * 4)
        const shown = made.map((one) => one.membership(person(ANN)))
        for (const membership of shown) {
          const ids = membership === 'unknown' ? [] : membership.groups.map(({ id }) => id)
          expect(ids).toEqual([...new Set(ids)])
        }
        for (const one of made) await one.close()
        await own.close()
      }),
      { numRuns: 60 },
    )
  })

  test('that fails costs nobody a sign-in', async () => {
    const broken = createMemoryStore({ clock })
    await broken.close()
    const made = createDirectory({ issuer: ISSUER, source, store: broken, clock, config: OKTA, logger: log })
    opened.push(made)
    everybodyHas([group(1)])
    expect(names(await signIn(ANN, made))).toEqual(['Group 1'])
    expect(log.lines.at(-1)).toMatchObject({ level: 'warn', fields: { error: 'ERR_STORE_UNAVAILABLE' } })
  })

  test('does not use groups that another source stored', async () => {
    const claims = openClaims()
    claims.observe(person(ANN), entryFromClaims(ANN, [{ id: 'Admins', name: 'Admins', type: 'CLAIM' }], clock.now()))
    await claims.close()
    expect((await open()).membership(person(ANN))).toBe('unknown')
  })
})

describe('without a service account', () => {
  const admins: Group = { id: 'Admins', name: 'Admins', type: 'CLAIM' }

  test('groups are what was said last, by a sign-in or a refresh, until that is too old; that somebody was told of stays known', async () => {
    const claims = openClaims()
    await claims.start()
    claims.observe(person(ANN), entryFromClaims(ANN, [admins], clock.now()))
    expect(await signIn(ANN, claims)).toMatchObject({ source: 'claims', groups: [admins] })
    expect(claims.status(person(ANN))).toBe('active')
    for (let hour = 0; hour < 14; hour++) {
      await pass(HOUR)
      expect(names(claims.membership(person(ANN)))).toEqual(['Admins'])
      claims.observe(person(ANN), entryFromClaims(ANN, [admins], clock.now()))
      await settle()
    }
    await claims.close()
    const again = openClaims()
    await again.start()
    expect(names(again.membership(person(ANN)))).toEqual(['Admins'])
    await pass(HOUR + 1)
    expect(again.membership(person(ANN))).toBe('unknown')
    expect(again.status(person(ANN))).toBe('active')
  })

  test('a later sign-in replaces the groups, and one without the claim makes them unknown', async () => {
    const claims = openClaims()
    const heard: string[] = []
    claims.onChange((_user, status) => void heard.push(status))
    claims.observe(person(ANN), entryFromClaims(ANN, [admins], clock.now()))
    clock.advance(1000)
    claims.observe(person(ANN), entryFromClaims(ANN, [], clock.now()))
    expect(names(claims.membership(person(ANN)))).toEqual([])
    await settle()
    await claims.forget(person(ANN))
    expect(claims.membership(person(ANN))).toBe('unknown')
    expect(await store.get(createDirectoryTable(), person(ANN))).toBeUndefined()
    expect(heard).toEqual(['active', 'unknown'])
  })

  test('with a source, claims of a sign-in are ignored', async () => {
    directory.observe(person(ANN), entryFromClaims(ANN, [admins], clock.now()))
    await settle()
    expect(directory.membership(person(ANN))).toBe('unknown')
  })
})

describe('of combined sources', () => {
  test('news of one costs a reading of that one, and makes nothing younger; a doubt about all needs all', async () => {
    const asked: (string | undefined)[] = []
    const lookup = source.lookup.bind(source)
    source.lookup = (user, signal, priority, changed) => (asked.push(changed), lookup(user, signal, priority))
    everybodyHas([group(1)], { upTo: clock.now() })
    await signIn()
    const { freshAt } = directory.membership(person(ANN)) as Membership
    clock.advance(5000)
    everybodyHas([group(2)], { asOf: clock.now() - 7000, upTo: clock.now() })
    directory.reread(ANN, 'scim')
    await settle()
    expect(asked).toEqual([undefined, 'scim'])
    expect(directory.membership(person(ANN))).toMatchObject({ freshAt, groups: [group(2)] })
    expect(directory.facts().doubtful).toBe(0)
    source.hold = true
    directory.reread(ANN, 'scim')
    await settle()
    await directory.absorb([{ kind: 'reread', user: ANN, at: clock.now() }], 'log')
    source.hold = false
    source.lookups.at(-1)?.answer(entry(clock, ANN, [group(2)], { asOf: clock.now() - 7000, upTo: clock.now() }))
    await pass(15_000)
    expect(asked.slice(2)).toEqual(['scim', undefined])
    expect(directory.facts().doubtful).toBe(0)
  })
})

test('close ends what is under way and begins nothing more', async () => {
  source.hold = true
  const reading = signIn()
  await settle()
  const closed = directory.close()
  expect(source.lookups[0]?.signal.aborted).toBe(true)
  await closed
  expect(await reading).toBe('unknown')
  directory.membership(person(BOB))
  await pass(2 * MINUTE)
  expect(source.lookups).toHaveLength(1)
  expect(log.lines).toEqual([])
})

describe('two issuers that gave two people the same subject', () => {
  const THERE = createIssuer('https://there.okta.example')

  test('each directory knows its own, in one store too, and nothing of the other', async () => {
    const there = createDirectory({ issuer: THERE, source, store, clock, config: OKTA, logger: log })
    opened.push(there)
    await there.start()
    everybodyHas([group(1)])
    await signIn()
    await settle()
    expect(there.membership(THERE.person(ANN))).toBe('unknown')
    expect(there.membership(person(ANN))).toBe('unknown')
    expect(there.status(person(ANN))).toBe('unknown')
    everybodyHas([group(2)])
    await there.refresh(THERE.person(ANN), new AbortController().signal)
    await settle()
    expect(names(directory.membership(person(ANN)))).toEqual(['Group 1'])
    expect(names(there.membership(THERE.person(ANN)))).toEqual(['Group 2'])
    expect(directory.membership(THERE.person(ANN))).toBe('unknown')
  })

  test('a suspension here ends sessions and rechecks streams of the person here only', async () => {
    const told: string[] = []
    directory.onChange((who) => void told.push(who))
    directory.onSessionsEnd((who) => void told.push(who))
    await directory.absorb([{ kind: 'sessions-ended', user: ANN, before: clock.now() }], 'log')
    expect(told).toEqual([person(ANN)])
  })

  test('refresh of somebody of another issuer reads nobody, forget forgets nobody', async () => {
    everybodyHas([group(1)])
    await signIn()
    source.lookups.length = 0
    expect(await directory.refresh(THERE.person(ANN), new AbortController().signal)).toBe('unknown')
    await directory.forget(THERE.person(ANN))
    expect(source.lookups).toEqual([])
    expect(names(directory.membership(person(ANN)))).toEqual(['Group 1'])
  })

  test('claims of another issuer are not taken for those of the same subject here', async () => {
    const claims = openClaims()
    claims.observe(THERE.person(ANN), entryFromClaims(ANN, [group(1)], clock.now()))
    await settle()
    expect(claims.membership(person(ANN))).toBe('unknown')
    expect(claims.membership(THERE.person(ANN))).toBe('unknown')
  })

  test('a record that an older Postern kept by subject alone is nobody here', async () => {
    await store.put(createDirectoryTable(), ANN, {
      source: 'okta',
      status: 'active',
      statusText: 'ACTIVE',
      groups: [group(1)],
      asOf: clock.now(),
      readAt: clock.now(),
    })
    await settle()
    expect((await open()).membership(person(ANN))).toBe('unknown')
    expect(directory.membership(person(ANN))).toBe('unknown')
  })
})
