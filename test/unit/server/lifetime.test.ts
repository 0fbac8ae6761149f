import { expect, test, vi } from 'vitest'
import { createLifetime } from '../../../src/server/lifetime.ts'

test('a generation ends once, when it is retired and its last exchange has left', () => {
  const end = vi.fn()
  const { enter, leave, retire } = createLifetime(end)
  enter()
  leave()
  // In force and idle: it goes on.
  expect(end).not.toHaveBeenCalled()
  enter()
  enter()
  retire()
  leave()
  expect(end).not.toHaveBeenCalled()
  leave()
  expect(end).toHaveBeenCalledTimes(1)
  retire()
  expect(end).toHaveBeenCalledTimes(1)
})

test('a generation without exchanges ends when it is retired', () => {
  const end = vi.fn()
  createLifetime(end).retire()
  expect(end).toHaveBeenCalledTimes(1)
})
