import { describe, expect, test } from 'vitest'
import { createLogger } from '../../../src/lib/log.ts'
import { prettyLine } from '../../../src/lib/log-pretty.ts'

/** Select Graphic Rendition. */
const SGR = new RegExp(String.raw`\u001b\[\d+m`, 'g')
const time = '2026-11-26T10:19:08.710Z'
const local = new Date(time).toTimeString().slice(0, 8)
const pretty = (fields: object, colour = false) =>
  prettyLine(`${JSON.stringify({ level: 'info', time, ...fields })}\n`, colour)

test('a line has the time, the level, the message and every field', () => {
  const line = pretty({
    level: 'warn',
    host: 'app.test',
    lines: 3,
    cause: 'no "room" left',
    reasons: ['a', 'b'],
    msg: 'full',
  })
  expect(line).toBe(`${local}.710  WARN   full  host=app.test lines=3 cause="no \\"room\\" left" reasons=["a","b"]\n`)
})

test('a request is read from left to right, and the rest has names', () => {
  const request = { request_id: 'r1', client_ip: '192.0.2.1', method: 'GET', host: 'app.test', path: '/a', status: 403 }
  const line = pretty({ ...request, duration_ms: 3, decision: 'deny', email: 'ann@corp.example', msg: 'request' })
  expect(line).toBe(
    `${local}.710  INFO   403 GET app.test/a 3 ms ann@corp.example deny  request_id=r1 client_ip=192.0.2.1\n`,
  )
})

test('a request of which nothing could be read keeps its fields', () => {
  expect(pretty({ status: 400, detail: 'no request', msg: 'request' })).toContain(
    'request  status=400 detail="no request"',
  )
})

test('a stack is below its line', () => {
  const line = pretty({ level: 'error', error: 'ERR_INTERNAL', stack: 'Error: x\n    at f (a.js:1:1)', msg: 'request' })
  expect(line).toMatch(/error=ERR_INTERNAL\n {4}Error: x\n {4}at f \(a\.js:1:1\)\n$/)
})

test('with colour, the same text', () => {
  const fields = { level: 'error', method: 'GET', host: 'a', path: '/', status: 502, duration_ms: 1, msg: 'request' }
  const coloured = pretty(fields, true)
  expect(coloured).toContain('\x1b[31m502\x1b[0m')
  expect(coloured.replaceAll(SGR, '')).toBe(pretty(fields))
})

test.each(['\x1b[2J', 'a\nb', '\r', '\x9b31m', '\u202eb', '\u2028', '\0', '\x7f', '\u{e0041}'])(
  'a client that says %j moves no cursor',
  (evil) => {
    const request = { method: evil, host: evil, path: evil, email: evil, user_agent: evil, reasons: [evil] }
    for (const line of [pretty({ ...request, msg: 'request' }), pretty({ ...request, stack: evil, msg: evil })]) {
      expect(line.replaceAll(/\n {4}/g, '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}](?!$)/u)
    }
  },
)

describe('the logger', () => {
  const written = (logFormat: 'auto' | 'json' | 'pretty') => {
    let text = ''
    const logger = createLogger('info', { write: (line) => void (text += line) })
    logger.prepare({ logLevel: 'info', logFormat, auditLog: 'stdout' }).commit()
    logger.info({ host: 'app.test' }, 'one')
    logger.line('info', '"host":"app.test"', 'two')
    return text
  }
  test('writes JSON, or what people read, in both of its ways', () => {
    expect(
      written('json')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    ).toHaveLength(2)
    expect(written('pretty').replaceAll(SGR, '')).toMatch(
      /INFO {3}one {2}host=app\.test\n.*INFO {3}two {2}host=app\.test\n$/,
    )
  })
})
