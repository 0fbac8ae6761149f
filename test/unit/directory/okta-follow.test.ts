import { expect, test } from 'vitest'
import { createFeedFollower } from '../../../src/directory/okta/follow.ts'
import { createFeedTable } from '../../../src/directory/okta/position.ts'
import { asSourceTime, wallTime } from '../../../src/lib/time.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { Coverage } from '../../../src/directory/view.ts'
import type { Store } from '../../../src/types.ts'
import { manualClock } from '../../support/clock.ts'

const ORG = 'https://dev-1.okta.com'
const position = (upTo: number) => ({
  cursor: undefined,
  lastPublished: asSourceTime(wallTime(1)),
  since: wallTime(1),
  upTo: wallTime(upTo),
  comparisonDue: false,
})

async function followed() {
  const memory = createMemoryStore({ clock: manualClock() })
  const gaps: (() => void)[] = []
  const store: Store = {
    ...memory,
    watch(listener, onGap) {
      if (onGap) gaps.push(onGap)
      return memory.watch(listener, onGap)
    },
  }
  const covered: (Coverage | undefined)[] = []
  const directory = { cover: (coverage: Coverage | undefined) => void covered.push(coverage) }
  let leads = false
  const follower = createFeedFollower({ directory, store, org: ORG, leads: () => leads })
  return {
    memory,
    follower,
    upTo: () => covered.map((coverage) => coverage?.upTo),
    gap: () => gaps.forEach((gap) => gap()),
    lead: () => (leads = true),
  }
}

test('what whoever polls has heard counts here, from the start and with each poll', async () => {
  const { memory, follower, upTo } = await followed()
  await memory.put(createFeedTable(), ORG, position(10))
  await follower.start()
  expect(upTo()).toEqual([10])
  await memory.put(createFeedTable(), ORG, position(20))
  await memory.put(createFeedTable(), 'https://another.okta.com', position(30))
  await expect.poll(upTo).toEqual([10, 20])
  follower.close()
  await memory.put(createFeedTable(), ORG, position(40))
  expect(upTo()).toEqual([10, 20])
})

test('after a gap in the changes it is read again; whoever polls follows nobody', async () => {
  const { memory, follower, upTo, gap, lead } = await followed()
  await memory.put(createFeedTable(), ORG, position(10))
  await follower.start()
  gap()
  await expect.poll(upTo).toEqual([10, 10])
  lead()
  gap()
  await memory.put(createFeedTable(), ORG, position(20))
  expect(upTo()).toEqual([10, 10])
  follower.close()
})

test('a feed that has not been at its end yet covers nobody', async () => {
  const { memory, follower, upTo } = await followed()
  await memory.put(createFeedTable(), ORG, position(0))
  await follower.start()
  expect(upTo()).toEqual([])
  follower.close()
})
