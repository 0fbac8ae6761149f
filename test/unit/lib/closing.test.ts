import { expect, test } from 'vitest'
import { openAll } from '../../../src/lib/closing.ts'
import { manualClock } from '../../support/clock.ts'

const fault = new Error('the port is taken')

test('what was opened is closed last first when the next cannot be', async () => {
  const closed: string[] = []
  const opened = openAll(async (closing) => {
    closing.add(() => closed.push('first'))
    closing.add(async () => {
      closed.push('second')
      throw new Error('cannot be closed')
    })
    throw fault
  }, manualClock())
  await expect(opened).rejects.toBe(fault)
  expect(closed).toEqual(['second', 'first'])
})

test('what does not let itself be closed keeps nobody from the reason for more than three seconds', async () => {
  const clock = manualClock()
  let outcome: unknown = 'waiting'
  const opened = openAll(async (closing) => {
    closing.add(() => new Promise(() => {}))
    throw fault
  }, clock).catch((error: unknown) => (outcome = error))
  await clock.advanceAsync(2999)
  expect(outcome).toBe('waiting')
  await clock.advanceAsync(1)
  await opened
  expect(outcome).toBe(fault)
})
