import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AppError } from '../../../src/errors.ts'
import type { Entry, Membership } from '../../../src/directory/model.ts'
import { entry, group } from './scripted-source.ts'
import { person } from '../../support/person.ts'
import {
  ANN,
  BOB,
  clock,
  closeWorld,
  directory,
  everybodyHas,
  HOUR,
  log,
  MINUTE,
  names,
  openWorld,
  pass,
  settle,
  signIn,
  source,
  unreachable,
} from './directory-world.ts'

beforeEach(openWorld)
afterEach(closeWorld)

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
