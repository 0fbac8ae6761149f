import { describe, expect, test } from 'vitest'
import { endOfAnswerHead, MAX_ANSWER_HEAD, scanAnswer } from '../../../src/wire/answer.ts'

/** Of a whole head, without its empty line. */
function scanned(head: string) {
  const bytes = Buffer.from(`${head}\r\n\r\nrest`, 'latin1')
  const end = endOfAnswerHead(bytes, 0, bytes.length)
  return typeof end === 'string' ? end : scanAnswer(bytes, 0, end)
}

function read(...lines: readonly string[]) {
  const answer = scanned(['HTTP/1.1 200 OK', ...lines].join('\r\n'))
  if (typeof answer === 'string') throw new Error(answer)
  return answer
}

const refused = (...lines: readonly string[]) => scanned(['HTTP/1.1 200 OK', ...lines].join('\r\n'))

test('status, reason and lines are those that came', () => {
  const answer = read('Server:nginx', 'X-Odd: \t caf\xe9 au lait \t', 'x-empty:', 'Set-Cookie: a=1', 'set-cookie: b=2')
  expect([answer.status, answer.reason, answer.framing, answer.persistent]).toEqual([200, 'OK', 'until-close', true])
  const { lines } = answer
  expect(Array.from({ length: lines.count }, (_, i) => [lines.name(i).spelling, lines.value(i)])).toEqual([
    ['Server', 'nginx'],
    ['X-Odd', 'caf\xe9 au lait'],
    ['x-empty', ''],
    ['Set-Cookie', 'a=1'],
    ['set-cookie', 'b=2'],
  ])
  expect(lines.text.slice(lines.start(0), lines.end(0))).toBe('Server:nginx\r\n')
})

test.each([
  ['HTTP/1.1 200 ', 200, ''],
  ['HTTP/1.1 200', 200, ''],
  ['HTTP/1.0 999 \xfcber\tall', 999, '\xfcber\tall'],
  ['HTTP/1.1 100 Continue', 100, 'Continue'],
])('%j is a status line', (line, status, reason) => {
  expect(scanned(line)).toMatchObject({ status, reason })
})

test.each([
  ['HTTP/2 200 OK', 'it does not speak HTTP/1.1'],
  ['HTTP/1.2 200 OK', 'a malformed status line'],
  ['HTTP/1.10 200 OK', 'a malformed status line'],
  ['http/1.1 200 OK', 'it does not speak HTTP/1.1'],
  [' HTTP/1.1 200 OK', 'it does not speak HTTP/1.1'],
  ['\r\nHTTP/1.1 200 OK', 'it does not speak HTTP/1.1'],
  ['HTTP/1.1  200 OK', 'a malformed status line'],
  ['HTTP/1.1\t200 OK', 'a malformed status line'],
  ['HTTP/1.1 20 OK', 'a malformed status line'],
  ['HTTP/1.1 2000 OK', 'a malformed status line'],
  ['HTTP/1.1 +20 OK', 'a malformed status line'],
  ['HTTP/1.1 099 OK', 'a status code below 100'],
  ['HTTP/1.1 200 O\0K', 'a control character in the reason phrase'],
  ['HTTP/1.1 200 O\x7fK', 'a control character in the reason phrase'],
  ['HTTP/1.1 200 OK\rX: 1', 'a control character in the reason phrase'],
  ['HTTP/1.1 200 OK\nX: 1', 'a control character in the reason phrase'],
])('%j is none', (line, problem) => {
  expect(scanned(line)).toBe(problem)
})

test.each([
  ['a folded line', ['X: a', ' b']],
  ['a folded first line', [' X: a']],
  ['a blank before the colon', ['X : a']],
  ['a name that is no token', ['X[y]: a']],
  ['a name of other than ASCII', ['X\xe9: a']],
  ['no name', [': a']],
  ['no colon', ['X']],
  ['NUL', ['X: a\0b']],
  ['a control character', ['X: a\x01b']],
  ['DEL', ['X: a\x7fb']],
  ['a bare CR in a value', ['X: a\rb']],
  ['a bare LF in a value', ['X: a\nY: b']],
  ['a CR at the begin of a line', ['\rX: a']],
])('%s is refused', (_, lines) => {
  expect(refused(...lines)).toBe('a malformed header line')
})

describe('framing (RFC 9112 §6.3)', () => {
  test.each([
    [['Content-Length: 5'], 5],
    [['content-length:  007 '], 7],
    [['CONTENT-LENGTH: 999999999999999'], 999_999_999_999_999],
    [['Transfer-Encoding: chunked'], 'chunked'],
    [['transfer-encoding:  CHUNKED  '], 'chunked'],
    [[], 'until-close'],
    // Harmless to us; a server behind us does not read our answers.
    [['Content_Length: 5'], 'until-close'],
  ] as const)('%j', (lines, framing) => {
    expect(read(...lines).framing).toBe(framing)
  })

  test.each([
    [['Content-Length: 5', 'content-length: 5'], 'two Content-Lengths'],
    [['Content-Length: 5', 'Content-Length: 6'], 'two Content-Lengths'],
    [['Content-Length: 5, 5'], 'an invalid Content-Length'],
    [['Content-Length: +5'], 'an invalid Content-Length'],
    [['Content-Length: -5'], 'an invalid Content-Length'],
    [['Content-Length: 0x5'], 'an invalid Content-Length'],
    [['Content-Length: 5e1'], 'an invalid Content-Length'],
    [['Content-Length:'], 'an invalid Content-Length'],
    [['Content-Length: 5\t'], 'an invalid Content-Length'],
    [['Content-Length:\t5'], 'an invalid Content-Length'],
    [['Content-Length: 5\xa0'], 'an invalid Content-Length'],
    [['Content-Length: 9007199254740993'], 'an invalid Content-Length'],
    [['Transfer-Encoding: gzip, chunked'], 'a transfer coding other than chunked'],
    [['Transfer-Encoding: chunked, identity'], 'a transfer coding other than chunked'],
    [['Transfer-Encoding: xchunked'], 'a transfer coding other than chunked'],
    [['Transfer-Encoding:'], 'a transfer coding other than chunked'],
    [['Transfer-Encoding: chunked\t'], 'a transfer coding other than chunked'],
    [['Transfer-Encoding:\tchunked'], 'a transfer coding other than chunked'],
    [['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], 'a transfer coding other than chunked'],
    [['Content-Length: 5', 'Transfer-Encoding: chunked'], 'both Transfer-Encoding and Content-Length'],
    [['Transfer-Encoding: chunked', 'Content-Length: 5'], 'both Transfer-Encoding and Content-Length'],
  ])('%j is refused', (lines, problem) => {
    expect(refused(...lines)).toBe(problem)
  })

  test('chunks in HTTP/1.0 are refused', () => {
    expect(scanned('HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked')).toBe('Transfer-Encoding in HTTP/1.0')
  })
})

describe('whether the connection persists (RFC 9112 §9.3)', () => {
  test.each([
    ['HTTP/1.1 200 OK', true],
    ['HTTP/1.1 200 OK\r\nConnection: close', false],
    ['HTTP/1.1 200 OK\r\nConnection: x, Close', false],
    ['HTTP/1.1 200 OK\r\nConnection: x\r\nconnection: CLOSE', false],
    ['HTTP/1.1 200 OK\r\nConnection: closed', true],
    ['HTTP/1.0 200 OK', false],
    ['HTTP/1.0 200 OK\r\nConnection: Keep-Alive', true],
    ['HTTP/1.0 200 OK\r\nConnection: keep-alive, close', false],
  ])('%j', (head, persistent) => {
    expect(scanned(head)).toMatchObject({ persistent })
  })

  test.each([
    ['timeout=5', 5],
    ['max=100, Timeout=30', 30],
    ['max=100', undefined],
    ['timeout=-1', undefined],
    ['xtimeout=5', undefined],
    ['timeout=99999999', undefined],
  ])('Keep-Alive: %s', (value, keepAlive) => {
    expect(read(`Keep-Alive: ${value}`).keepAlive).toBe(keepAlive)
  })
})

describe('the end of a head', () => {
  const head = 'HTTP/1.1 200 OK\r\nA: b\r\n\r\n'

  test('is found whatever the pieces in which it comes, and not in older bytes behind them', () => {
    const bytes = Buffer.from(`${head}${head}`, 'latin1')
    for (let to = 1; to < head.length; to++) {
      for (let seen = 0; seen < to; seen++) expect(endOfAnswerHead(bytes, 0, to, seen)).toBe(-1)
    }
    for (let seen = 0; seen < head.length; seen++) {
      expect(endOfAnswerHead(bytes, 0, head.length, seen)).toBe(head.length)
    }
    expect(endOfAnswerHead(bytes, head.length, bytes.length)).toBe(bytes.length)
  })

  test('what cannot become one is refused with its first bytes', () => {
    for (const text of ['S', 'HTTP/0', 'SSH-2.0-OpenSSH\r\n']) {
      const bytes = Buffer.from(text)
      expect(endOfAnswerHead(bytes, 0, bytes.length)).toBe('it does not speak HTTP/1.1')
    }
  })

  test('comes within 32 KiB, or it is too long: neither less nor more', () => {
    const filled = (length: number): Buffer => Buffer.from(`HTTP/1.1 200 OK\r\nx: ${'a'.repeat(length - 24)}\r\n\r\n`)
    const fits = filled(MAX_ANSWER_HEAD)
    expect(endOfAnswerHead(fits, 0, fits.length)).toBe(MAX_ANSWER_HEAD)
    expect(endOfAnswerHead(fits, 0, fits.length - 1)).toBe(-1)
    const long = filled(MAX_ANSWER_HEAD + 1)
    const problem = 'the header of its answer is longer than 32768 bytes'
    expect(endOfAnswerHead(long, 0, long.length)).toBe(problem)
    expect(endOfAnswerHead(long, 0, MAX_ANSWER_HEAD)).toBe(-1)
    expect(endOfAnswerHead(long, 0, long.length - 4)).toBe(-1)
  })
})

test('a thousand lines are read, and no more', () => {
  const lines = Array.from({ length: 1000 }, () => 'a:')
  expect(read(...lines).lines.count).toBe(1000)
  expect(refused(...lines, 'a:')).toBe('more than 1000 header lines')
})
