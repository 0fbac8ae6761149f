import { setImmediate as turn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { createLeadership } from '../../../src/directory/leadership.ts'
import { silentLogger as logger } from '../../../src/lib/log.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { Store } from '../../../src/types.ts'
import { manualClock } from '../../support/clock.ts'

const TTL = 3000

function world() {
  const clock = manualClock()
  const shared = createMemoryStore({ clock })
  /** The store as one process sees it: it can be cut off. */
  function join() {
    let isReachable = true
    const reach = async <T>(work: () => Promise<T>): Promise<T> => {
      if (!isReachable) throw new Error('unreachable')
      return work()
    }
    const store: Store = {
      ...shared,
      lease: (name, ttl) =>
        reach(async () => {
          const lease = await shared.lease(name, ttl)
          return lease && { renew: () => reach(() => lease.renew()), release: () => reach(() => lease.release()) }
        }),
    }
    const leadership = createLeadership({ store, clock, logger, name: 'a-lease', ttl: TTL })
    const heard: boolean[] = []
    leadership.onChange((leads) => void heard.push(leads))
    onTestFinished(() => leadership.close())
    return { leadership, heard, cut: () => (isReachable = false), heal: () => (isReachable = true) }
  }
  async function pass(time: number): Promise<void> {
    for (let passed = 0; passed < time; passed += 100) {
      await clock.advanceAsync(100)
      await turn()
    }
  }
  return { clock, join, pass }
}

test('one leads; when it is cut off from the store it stops before another begins, and does not come back as a second', async () => {
  const { join, pass } = world()
  const [one, other] = [join(), join()]
  await one.leadership.start()
  await other.leadership.start()
  await pass(10_000)
  expect([one.leadership.leads(), other.leadership.leads()]).toEqual([true, false])
  one.cut()
  for (let n = 0; n < 100; n++) {
    await pass(100)
    expect(one.leadership.leads() && other.leadership.leads()).toBe(false)
  }
  expect([one.leadership.leads(), other.leadership.leads()]).toEqual([false, true])
  one.heal()
  await pass(10_000)
  expect([one.leadership.leads(), other.leadership.leads()]).toEqual([false, true])
  expect([one.heard, other.heard]).toEqual([[true, false], [true]])
})

test('a store that fails for less than the lease lasts changes nothing', async () => {
  const { join, pass } = world()
  const one = join()
  await one.leadership.start()
  one.cut()
  await pass(1500)
  one.heal()
  await pass(10_000)
  expect(one.leadership.leads()).toBe(true)
  expect(one.heard).toEqual([true])
})

test('a renewal that is answered when the lease is over renews nothing: it is taken anew at once', async () => {
  const { clock, join } = world()
  const one = join()
  await one.leadership.start()
  // As after a sleep of the machine: the answer to what was asked before comes after it.
  clock.advance(60_000)
  await turn()
  expect(one.leadership.leads()).toBe(true)
  expect(one.heard).toEqual([true, false, true])
})
