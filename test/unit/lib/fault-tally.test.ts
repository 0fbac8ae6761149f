import { expect, test } from 'vitest'
import { AppError, type ErrorCode } from '../../../src/errors.ts'
import { createFaultLog } from '../../../src/lib/fault-tally.ts'
import { manualClock } from '../../support/clock.ts'
import { recordedLog } from '../directory/recorded-log.ts'

const MINUTE = 60_000

function begin() {
  const clock = manualClock()
  const log = recordedLog()
  const tell = createFaultLog({ clock, logger: log })
  const told = (): readonly unknown[] =>
    log.lines
      .splice(0)
      .filter(({ level }) => level !== 'debug')
      .map(({ level, message, fields }) => [level, message, 'repeated' in fields ? fields.repeated : undefined])
  return {
    clock,
    log,
    told,
    tell: (code: ErrorCode, subject?: string) => tell(new AppError(code, 'x'), 'm', {}, subject),
  }
}

test('a fault that is to be mended is an error, one that passes a warning; each once, then a count every ten minutes', () => {
  const { clock, log, tell, told } = begin()
  for (let i = 0; i < 100; i++) {
    tell('ERR_DIRECTORY_FORBIDDEN')
    tell('ERR_DIRECTORY_UNREACHABLE')
  }
  expect(log.lines).toHaveLength(200)
  expect(told()).toEqual([
    ['error', 'm', undefined],
    ['warn', 'm', undefined],
  ])
  for (let minute = 0; minute < 20; minute++) {
    clock.advance(MINUTE)
    tell('ERR_DIRECTORY_FORBIDDEN')
  }
  expect(told()).toEqual([
    ['error', 'm', 108],
    ['error', 'm', 9],
  ])
})

test('of two subjects each is told', () => {
  const { tell, told } = begin()
  for (const subject of ['a', 'b', 'a', 'b']) tell('ERR_ACME', subject)
  expect(told()).toHaveLength(2)
})
