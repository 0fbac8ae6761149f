import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createInbox, type Message } from '../../../src/directory/inbox.ts'
import { silentLogger as logger } from '../../../src/lib/log.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { Store } from '../../../src/types.ts'
import { manualClock } from '../../support/clock.ts'
import { person } from '../../support/person.ts'

const message: Message = { kind: 'read', person: person('ann'), urgent: true }

/** Two processes: one asks, one leads. Neither hears of changes while it is deaf; then it hears that it missed some. */
function world() {
  const clock = manualClock()
  const shared = createMemoryStore({ clock })
  function join() {
    let isDeaf = false
    const gaps: (() => void)[] = []
    const store: Store = {
      ...shared,
      watch(listener, onGap) {
        if (onGap) gaps.push(onGap)
        return shared.watch((change) => isDeaf || listener(change), onGap)
      },
    }
    return {
      inbox: createInbox({ store, clock, logger }),
      deafen: () => (isDeaf = true),
      hear() {
        isDeaf = false
        for (const gap of gaps) gap()
      },
    }
  }
  const settle = async (): Promise<void> => {
    for (let n = 0; n < 20; n++) await turn()
  }
  return { follower: join(), leader: join(), settle }
}

test('a leader that missed a request finds it when it hears again', async () => {
  const { follower, leader, settle } = world()
  const served: Message[] = []
  leader.inbox.open(async (asked) => void served.push(asked))
  await settle()
  leader.deafen()
  const asked = follower.inbox.ask(message, new AbortController().signal)
  await settle()
  expect(served).toEqual([])
  leader.hear()
  await asked
  expect(served).toEqual([message])
  await leader.inbox.close()
  await follower.inbox.close()
})

test('whoever missed the answer waits no longer than until it hears again', async () => {
  const { follower, leader, settle } = world()
  leader.inbox.open(async () => {})
  follower.deafen()
  let isDone = false
  const asked = follower.inbox.ask(message, new AbortController().signal).then(() => (isDone = true))
  await settle()
  expect(isDone).toBe(false)
  follower.hear()
  await asked
  await leader.inbox.close()
  await follower.inbox.close()
})
