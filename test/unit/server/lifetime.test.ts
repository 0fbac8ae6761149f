import { expect, test, vi } from 'vitest'
import { createLifetimes } from '../../../src/server/lifetime.ts'

test('a generation ends once, after it is retired and its last exchange has ended', () => {
  const end = vi.fn()
  const lifetimes = createLifetimes()
  const generation = lifetimes.begin(end)
  generation.enter()
  generation.leave()
  // In force and idle: it goes on.
  expect(end).not.toHaveBeenCalled()
  generation.enter()
  generation.enter()
  generation.retire()
  generation.leave()
  expect(end).not.toHaveBeenCalled()
  expect(lifetimes.alive()).toBe(1)
  generation.leave()
  expect([lifetimes.alive(), end.mock.calls.length]).toEqual([0, 1])
  generation.retire()
  expect(end).toHaveBeenCalledTimes(1)
})

test('a generation without exchanges ends when it is retired', () => {
  const end = vi.fn()
  createLifetimes().begin(end).retire()
  expect(end).toHaveBeenCalledTimes(1)
})
