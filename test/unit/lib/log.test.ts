import { expect, test } from 'vitest'
import { createBatch, createLogger } from '../../../src/lib/log.ts'
import { isoTime } from '../../../src/lib/log-text.ts'
import { Secret } from '../../../src/lib/secret.ts'

function collector() {
  const pieces: string[] = []
  return { pieces, write: (piece: string) => void pieces.push(piece) }
}

test('a line has time, level and message; a Secret is redacted', () => {
  const out = collector()
  const before = Date.now()
  createLogger('info', out).info({ path: '/a"b\n', route: undefined, key: new Secret('hidden') as never }, 'request')
  const { time, ...line } = JSON.parse(out.pieces.join('')) as Record<string, string>
  expect(line).toEqual({ level: 'info', path: '/a"b\n', key: '[secret]', msg: 'request' })
  expect(new Date(time ?? '').toISOString()).toBe(time)
  expect(Date.parse(time ?? '')).toBeGreaterThanOrEqual(before)
})

test('a line that is already JSON is written like every other', () => {
  const out = collector()
  const logger = createLogger('info', out)
  logger.line('info', '"path":"/","status":200', 'request')
  const { time, ...line } = JSON.parse(out.pieces.join('')) as Record<string, string>
  expect(line).toEqual({ level: 'info', path: '/', status: 200, msg: 'request' })
  expect(new Date(time ?? '').toISOString()).toBe(time)
})

test('a level that is off writes nothing', () => {
  const out = collector()
  const logger = createLogger('error', out)
  logger.info({}, 'no')
  logger.line('info', '"a":1', 'no')
  logger.line('error', '"a":1', 'yes')
  expect(out.pieces.map((piece) => (JSON.parse(piece) as { msg: string }).msg)).toEqual(['yes'])
})

test.each([
  0, 999, 1000, 1_700_000_000_005, 1_700_000_000_050, 1_700_000_000_999, 1_700_000_001_000, 1_699_999_999_999,
])('%d ms in ISO 8601', (time) => {
  expect(isoTime(time)).toBe(new Date(time).toISOString())
})

test('lines are written together, in order, each once', () => {
  const out = collector()
  const batch = createBatch(out)
  batch.write('one\n')
  batch.write('two\n')
  expect(out.pieces).toEqual([])
  batch.flush()
  batch.flush()
  expect(out.pieces).toEqual(['one\ntwo\n'])
})

test('a long batch is written at once', () => {
  const out = collector()
  const line = `${'x'.repeat(999)}\n`
  const batch = createBatch(out)
  for (let i = 0; i < 20; i++) batch.write(line)
  expect(out.pieces).toEqual([line.repeat(16)])
  batch.flush()
  expect(out.pieces.join('')).toBe(line.repeat(20))
})

test.each([
  ['C1 controls and DEL', 'a\x7f\x80\x9b31mb\x9f'],
  ['line and paragraph separators', 'a\u2028b\u2029'],
  ['directions of text', 'a\u202eb\u2066c\u200f'],
  ['what is not shown', 'a\u200b\ufeff\u00ad\u{e0041}b'],
  ['C0 controls', 'a\u001b[2J\u0000\r\n\tb'],
])('%s are escaped, and read as they were', (_, evil) => {
  const out = collector()
  const logger = createLogger('info', out)
  logger.warn({ detail: evil, reasons: [evil] }, evil)
  const lines = out.pieces.join('').trimEnd().split('\n')
  for (const line of lines) expect(line).toMatch(/^[\x20-\x7e]*$/)
  expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
    expect.objectContaining({ detail: evil, reasons: [evil], msg: evil }),
  ])
})

test('letters of every script stay as they are', () => {
  const out = collector()
  createLogger('info', out).info({ email: 'Zoë 名前 😀' }, 'x')
  expect(out.pieces.join('')).toContain('"email":"Zoë 名前 😀"')
})

test('a text of 80 KB is cut, with a mark', () => {
  const out = collector()
  createLogger('info', out).info({ detail: 'x'.repeat(80_000), status: 200 }, 'x')
  const line = JSON.parse(out.pieces.join('')) as Record<string, unknown>
  expect(line).toMatchObject({ status: 200, detail: `${'x'.repeat(2048)}… (77952 more)` })
})
