/** What a directory keeps in the store, and what it learns there of other processes. */
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { entryFromClaims } from '../../../src/directory/claims.ts'
import { createDirectory } from '../../../src/directory/directory.ts'
import { createDirectoryTable } from '../../../src/directory/records.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { Store, Table } from '../../../src/types.ts'
import { entry, group, scriptedSource } from './scripted-source.ts'
import { ISSUER, person } from '../../support/person.ts'
import {
  ANN,
  BOB,
  clock,
  closeWorld,
  create,
  directory,
  everybodyHas,
  log,
  MINUTE,
  names,
  OKTA,
  open,
  openClaims,
  opened,
  openWorld,
  pass,
  settle,
  signIn,
  source,
  store,
  TIMES,
  unreachable,
} from './directory-world.ts'

beforeEach(openWorld)
afterEach(closeWorld)

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
