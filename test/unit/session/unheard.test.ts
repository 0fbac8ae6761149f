import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { endUnheard } from '../../../src/session/unheard.ts'
import { manualClock } from '../../support/clock.ts'

function world(storeGrace?: number) {
  const clock = manualClock()
  const answers: boolean[] = []
  let asked = 0
  let gap = (): void => {}
  let watching = true
  let heardAt = clock.monotonic()
  const ended: string[] = []
  const stop = endUnheard({
    clock,
    ...(storeGrace !== undefined && { storeGrace }),
    store: {
      heardAt: () => heardAt,
      watch(_listener, onGap) {
        gap = onGap ?? gap
        return () => (watching = false)
      },
    },
    streams: {
      async confirm() {
        asked++
        return answers.shift() ?? true
      },
      endOlder: (than, reason) => void ended.push(`${clock.monotonic() - Number(than)} ${reason}`),
    },
  })
  const settle = async (): Promise<void> => {
    for (let n = 0; n < 5; n++) await turn()
  }
  const hear = (): void => void (heardAt = clock.monotonic())
  return { clock, ended, hear, answers, stop, settle, gap: () => gap(), asked: () => asked, watching: () => watching }
}

test('each gap asks for everybody who has a stream open, again and again while the store cannot be asked', async () => {
  const { clock, answers, settle, gap, asked } = world()
  await settle()
  expect(asked()).toBe(0)
  answers.push(false, false, true)
  gap()
  await settle()
  expect(asked()).toBe(1)
  await clock.advanceAsync(1000)
  await settle()
  expect(asked()).toBe(2)
  await clock.advanceAsync(1000)
  await settle()
  expect(asked()).toBe(3)
  await clock.advanceAsync(60_000)
  await settle()
  expect(asked()).toBe(3)
  gap()
  await settle()
  expect(asked()).toBe(4)
})

test('nothing is asked after the end', async () => {
  const { clock, answers, settle, gap, stop, asked, watching } = world()
  answers.push(false)
  gap()
  await settle()
  stop()
  await clock.advanceAsync(60_000)
  await settle()
  expect(asked()).toBe(1)
  expect(watching()).toBe(false)
})

test.each([
  [30_000, 30_000],
  // A store that is heard says so twice a second.
  [0, 2000],
])('a store that is silent for store_grace (%i ms) ends all streams that are older', (grace, after) => {
  const { clock, ended, hear, stop } = world(grace)
  for (let n = 0; n < 200; n++) {
    clock.advance(500)
    hear()
  }
  expect(ended).toEqual([])
  clock.advance(after)
  expect(ended).toEqual([])
  clock.advance(500)
  expect(ended).toEqual([`${after} store-unavailable`])
  hear()
  clock.advance(500)
  stop()
  clock.advance(600_000)
  expect(ended).toHaveLength(1)
})
