import { expect, test } from 'vitest'
import { createPreparation } from '../../../src/server/workers/preparation.ts'

/** Configurations that are read when the test says so, and what became of those that were built. */
function world() {
  const events: string[] = []
  const reading = new Map<string, { resolve: (config: string) => void; reject: (error: Error) => void }>()
  const preparation = createPreparation<string, string>({
    read: (input) => new Promise((resolve, reject) => reading.set(input, { resolve, reject })),
    build(config) {
      events.push(`built ${config}`)
      return { commit: () => events.push(`in force ${config}`), abandon: () => events.push(`given up ${config}`) }
    },
  })
  const read = (input: string): void => reading.get(input)?.resolve(input)
  return { preparation, events, read, fail: (input: string) => reading.get(input)?.reject(new Error('no')) }
}

test('what is prepared is put into force, once', async () => {
  const { preparation, events, read } = world()
  const prepared = preparation.prepare('a')
  read('a')
  await prepared
  preparation.commit()
  preparation.commit()
  preparation.abandon()
  expect(events).toEqual(['built a', 'in force a'])
})

test('what is given up when it has been built is ended', async () => {
  const { preparation, events, read } = world()
  const prepared = preparation.prepare('a')
  read('a')
  await prepared
  preparation.abandon()
  preparation.commit()
  expect(events).toEqual(['built a', 'given up a'])
})

test('what is given up while it is read is never built, and never put into force', async () => {
  const { preparation, events, read } = world()
  const late = preparation.prepare('a')
  preparation.abandon()
  read('a')
  await expect(late).rejects.toMatchObject({ code: 'ERR_INTERNAL' })
  preparation.commit()
  expect(events).toEqual([])
})

test('one that comes late does not take the place of the next', async () => {
  const { preparation, events, read } = world()
  const late = preparation.prepare('a')
  preparation.abandon()
  const next = preparation.prepare('b')
  read('b')
  await next
  read('a')
  await expect(late).rejects.toThrow()
  preparation.commit()
  expect(events).toEqual(['built b', 'in force b'])
})

test('the next one gives up what nobody has asked for, and one that cannot be read leaves nothing', async () => {
  const { preparation, events, read, fail } = world()
  const first = preparation.prepare('a')
  read('a')
  await first
  const second = preparation.prepare('b')
  fail('b')
  await expect(second).rejects.toThrow('no')
  preparation.commit()
  expect(events).toEqual(['built a', 'given up a'])
})
