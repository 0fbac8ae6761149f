import { execFileSync, spawn } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { ERRORS } from '../../../src/errors.ts'
import { createLogger, type ProcessLogger } from '../../../src/lib/log.ts'
import { unknownLines } from '../../support/log-lines.ts'

let folder: string
let logged: string
let logger: ProcessLogger
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-audit-'))
  logged = ''
  logger = createLogger('error', { write: (line) => void (logged += line) })
})
afterEach(() => rmSync(folder, { recursive: true }))

const SESSION = {
  event: 'session-begin',
  session: '5f0c2a6b91e4',
  user_id: '00u1',
  issuer: 'https://idp.test',
} as const
const linesOf = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
function put(target: string, level: 'error' | 'info' = 'error'): void {
  logger.prepare({ logLevel: level, logFormat: 'json', auditLog: target }).commit()
}

test('audit lines are in the log until said otherwise, whatever its level, and have the version of their schema', () => {
  logger.audit(SESSION, 'signed in')
  expect(linesOf(logged)).toEqual([
    { level: 'info', time: expect.any(String), schema: 1, ...SESSION, msg: 'signed in' },
  ])
  expect(unknownLines(logged)).toEqual([])
})

test('what clients choose begins no line, moves no cursor, and is bounded', () => {
  const evil = `\n{"event":"x"}\u202e\x1b[2J${'x'.repeat(5000)}`
  logger.audit({ ...SESSION, email: evil }, 'signed in')
  expect(logged.trim()).toMatch(/^[\x20-\x7e…]*$/)
  expect(linesOf(logged)).toHaveLength(1)
  expect(unknownLines(logged)).toEqual([])
})

describe('a file', () => {
  test('is appended to, is readable for its owner alone, and is opened anew by each preparation', () => {
    const file = join(folder, 'audit.jsonl')
    put(file)
    logger.audit(SESSION, 'one')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    renameSync(file, `${file}.1`)
    logger.audit(SESSION, 'two')
    put(file)
    logger.audit(SESSION, 'three')
    expect(linesOf(readFileSync(`${file}.1`, 'utf8')).map(({ msg }) => msg)).toEqual(['one', 'two'])
    expect(linesOf(readFileSync(file, 'utf8')).map(({ msg }) => msg)).toEqual(['three'])
    expect(logged).toBe('')
  })

  test('that cannot be opened is no configuration, and nothing has changed', () => {
    const file = join(folder, 'audit.jsonl')
    put(file)
    expect(() => put(join(folder, 'none', 'audit.jsonl'))).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_INVALID',
        message: expect.stringContaining('audit_log: cannot open'),
      }),
    )
    logger.audit(SESSION, 'one')
    expect(linesOf(readFileSync(file, 'utf8'))).toHaveLength(1)
  })

  test('that was prepared and abandoned is not written to', () => {
    const [one, two] = [join(folder, 'one'), join(folder, 'two')]
    put(one)
    logger.prepare({ logLevel: 'error', logFormat: 'json', auditLog: two }).abandon()
    logger.audit(SESSION, 'one')
    expect(linesOf(readFileSync(one, 'utf8'))).toHaveLength(1)
    expect(readFileSync(two, 'utf8')).toBe('')
  })
})

describe('a named pipe', () => {
  let pipe: string
  beforeEach(() => {
    pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    // It reads a little later, so that whoever waits for it does not wait for ever.
    const reader = spawn('sh', ['-c', 'sleep 2; exec cat "$0"', pipe], { stdio: 'ignore' })
    onTestFinished(() => void reader.kill())
  })
  const open = (flags: number): number => {
    const descriptor = openSync(pipe, flags | constants.O_NONBLOCK)
    onTestFinished(() => closeSync(descriptor))
    return descriptor
  }

  test('that nobody reads cannot be opened, and is not waited for', () => {
    expect(() => put(pipe)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  })

  test('that is full loses lines, and stops nobody', () => {
    open(constants.O_RDONLY)
    put(pipe)
    const writer = open(constants.O_WRONLY)
    expect(() => {
      for (;;) writeSync(writer, Buffer.alloc(4096))
    }).toThrow(expect.objectContaining({ code: 'EAGAIN' }))
    logger.audit(SESSION, 'one')
    expect([logger.auditLog.dropped(), logger.auditLog.trouble()]).toEqual([1, 'EAGAIN'])
  })
})

test('off: nothing is kept but what operators look for in the log', () => {
  put('off', 'info')
  logger.audit(SESSION, 'signed in')
  expect(logged).toBe('')
  const refused = { event: 'configuration', outcome: 'refused', error: 'ERR_CONFIG_INVALID' } as const
  logger.audit(refused, 'not accepted', 'error')
  expect(linesOf(logged)).toEqual([
    expect.objectContaining({ level: 'error', ...refused, remedy: ERRORS.ERR_CONFIG_INVALID.remedy }),
  ])
  expect(linesOf(logged)[0]).not.toHaveProperty('schema')
})

test.runIf(existsSync('/dev/full'))(
  'what cannot be written is counted, told once, and told again when it can be',
  () => {
    put('/dev/full', 'info')
    for (let i = 0; i < 3; i++) logger.audit(SESSION, 'signed in')
    expect(logger.auditLog.dropped()).toBe(3)
    expect(logger.auditLog.trouble()).toBe('ENOSPC')
    const file = join(folder, 'audit.jsonl')
    put(file, 'info')
    expect(logger.auditLog.trouble()).toBeUndefined()
    expect(logger.auditLog.dropped()).toBe(3)
    expect(linesOf(logged).map(({ level, error, error_message, msg }) => [level, error, error_message, msg])).toEqual([
      ['error', 'ERR_AUDIT_LOG', 'ENOSPC', 'audit: lines cannot be written'],
      ['info', undefined, undefined, 'audit: lines can be written again'],
    ])
  },
)
