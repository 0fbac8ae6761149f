/** Bytes that look like answers of HTTP/1.1: from a grammar, with the framings that readers have disagreed about, and damaged. Latin-1, one character an octet. */
import type { Random } from './random.ts'

const HINTS = [
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n',
  'HTTP/1.1 102 \r\nConnection: close\r\n\r\n',
  'HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n',
  'HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n',
  'HTTP/1.0 100 Continue\r\n\r\n',
] as const
const STATUS_LINES = [
  'HTTP/1.1 200 OK',
  'HTTP/1.1 200 OK',
  'HTTP/1.1 200 OK',
  'HTTP/1.1 200 OK',
  'HTTP/1.1 404 Not Found',
  'HTTP/1.0 200 OK',
  'HTTP/1.1 200 ',
  'HTTP/1.1 200',
  'HTTP/1.1 204 No Content',
  'HTTP/1.1 304 Not Modified',
  'HTTP/1.1 999 caf\xe9\tau lait',
  'HTTP/1.1 101 Switching Protocols',
  'HTTP/1.1 099 x',
  'HTTP/1.1 20 OK',
  'HTTP/1.1 2000 OK',
  'HTTP/1.1  200 OK',
  'HTTP/1.1\t200 OK',
  'HTTP/1.1 200 O\0K',
  'HTTP/1.2 200 OK',
  'HTTP/2.0 200 OK',
  'HTTP/0.9 200 OK',
  'HTTP/1.1 +20 OK',
  'http/1.1 200 OK',
  'ICY 200 OK',
  '\r\nHTTP/1.1 200 OK',
] as const
const ORDINARY = [
  'Server: x',
  'Content-Type: text/html; charset=utf-8',
  'Set-Cookie: a=1',
  'set-cookie: b=2',
  'X-A: b',
  'x-b:c',
  'X: \t y \t',
  'X:',
  'X: \xe9\xff',
  'Trailer: x',
  'Connection: keep-alive',
  'Keep-Alive: timeout=5, max=100',
  'Upgrade: h2c',
  '__proto__: x',
] as const
const ODD = [
  'X : y',
  ' X: y',
  '\tX: y',
  'X',
  ': y',
  'X\xe9: y',
  'X(: y',
  'X: a\0b',
  'X: a\x0bb',
  'X: a\x7fb',
  'X: a\rb',
  'X: a\nb',
  'X: a\r\n b',
  'X: a\r\n\tb',
  'X:: y',
  'Connection: close',
  'Connection: x, close',
  'Connection: upgrade',
  'Content_Length: 9',
] as const
const LENGTHS = [
  '5',
  '5',
  '5',
  '0',
  '3',
  '05',
  '+5',
  '-5',
  ' 5 ',
  '5,5',
  '5, 5',
  '0x5',
  '5.0',
  '5e0',
  '',
  '5\x0b',
  '\x855',
  '18446744073709551621',
  '5\r\nContent-Length: 5',
  '5\r\nContent-Length: 6',
  '5\r\nTransfer-Encoding: chunked',
] as const
const CODINGS = [
  'chunked',
  'chunked',
  'chunked',
  'Chunked',
  'xchunked',
  ' chunked ',
  'chunked\t',
  '\x0bchunked',
  'chunked\x0b',
  'chunked, identity',
  'identity, chunked',
  'identity',
  'gzip, chunked',
  'chunked, chunked',
  'chunked;q=1',
  '',
  ',chunked',
  'chunked,',
  'chunked\0',
  'chunked\r\nTransfer-Encoding: chunked',
  'chunked\r\nContent-Length: 3',
  '\r\n chunked',
] as const
const EXTENSIONS = ['', '', '', '', ';a', ';a=b', ';a="b;c"', ' ;a', '; a', ';a\nb', ';a\0b', ';', ';=', '\t'] as const
const SIZE_ENDS = ['\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '\r\r\n'] as const
const TRAILERS = [
  '',
  '',
  '',
  'X: y\r\n',
  'Set-Cookie: a=b\r\n',
  'X : y\r\n',
  ' X: y\r\n',
  'X: a\nb\r\n',
  'X\r\n',
] as const
const BEHIND = ['', '', '', 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison', 'x', '\r\n', '0\r\n\r\n'] as const
const BYTES = [
  '\r',
  '\n',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '\x7f',
  '\x80',
  '\xff',
  '0',
  'a',
  'A',
  '\x0b',
  '\r\n',
] as const

export function answerBytes(random: Random): string {
  let text = ''
  while (random.once(12)) text += random.pick(HINTS)
  text += answer(random) + random.pick(BEHIND)
  return random.once(3) ? damaged(text, random) : text
}

function answer(random: Random): string {
  const lines: string[] = [random.once(3) ? random.pick(STATUS_LINES) : 'HTTP/1.1 200 OK']
  for (let count = random.below(4); count > 0; count--) lines.push(random.pick(random.once(8) ? ODD : ORDINARY))
  const framing = random.below(3)
  const at = 1 + random.below(lines.length)
  if (framing === 1) lines.splice(at, 0, `Content-Length: ${random.pick(LENGTHS)}`)
  if (framing === 2) lines.splice(at, 0, `Transfer-Encoding: ${random.pick(CODINGS)}`)
  const body = framing === 2 ? chunks(random) : 'abcde'.slice(0, random.once(3) ? random.below(6) : 5)
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

function chunks(random: Random): string {
  let text = ''
  for (let count = random.below(4); count > 0; count--) {
    const data = random.pick(['a', 'abc', '0\r\n\r\n', 'x'.repeat(17), '\r\n'])
    const size = random.pick([
      (n: number) => n.toString(16),
      (n: number) => n.toString(16).toUpperCase(),
      (n: number) => `0${n.toString(16)}`,
    ])
    const written = random.once(20)
      ? random.pick(['', '0x1', '-1', '+1', 'g', '1 ', '100000000000000000'])
      : size(data.length)
    text += `${written}${random.pick(EXTENSIONS)}${random.pick(SIZE_ENDS)}${data}${random.once(20) ? random.pick(['', '\n', 'x\r\n']) : '\r\n'}`
  }
  return `${text}${random.pick(['0', '0', '0', '00', ''])}${random.pick(EXTENSIONS)}\r\n${random.pick(TRAILERS)}\r\n`
}

function damaged(text: string, random: Random): string {
  let damagedText = text
  for (let count = 1 + random.below(3); count > 0; count--) {
    const at = random.below(damagedText.length + 1)
    const until = at + random.below(4)
    const [before, behind] = [damagedText.slice(0, at), damagedText.slice(at)]
    switch (random.below(4)) {
      case 0:
        damagedText = before + random.pick(BYTES) + behind
        break
      case 1:
        damagedText = before + damagedText.slice(until)
        break
      case 2:
        damagedText = before + random.pick(BYTES) + behind.slice(1)
        break
      default:
        damagedText = before + damagedText.slice(at, until) + behind
    }
  }
  return damagedText
}
