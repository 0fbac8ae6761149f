/**
 * Bytes that look like requests of HTTP/1.1: from a grammar, from the families of published probes (Http11Probe, the
 * Transfer-Encoding list of smuggler, CL.TE, TE.CL, CL.0, Expect), and damaged. Latin-1, one character an octet.
 */
import type { Random } from './random.ts'

const METHODS = [
  'GET',
  'GET',
  'POST',
  'POST',
  'HEAD',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'PROPFIND',
  'M-SEARCH',
  'TRACE',
  'CONNECT',
  'get',
  'FOO',
  'PRI',
  '',
] as const
const TARGETS = [
  '/',
  '/',
  '/a/b?c=d',
  '/%2e%2e/x',
  '//a',
  '*',
  'http://a/',
  'http://a',
  'https://a/',
  'a:80',
  '/#x',
  '/\\x',
  '/\x80',
  '/a b',
  '',
  '/{}|^`"<>',
] as const
const VERSIONS = [
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/0.9',
  'HTTP/2.0',
  'HTTP/1.1 ',
  'http/1.1',
  'HTTP/01.1',
  'HTTP/1.10',
  'HTTP/1,1',
] as const
const ORDINARY = [
  'Accept: */*',
  'Cookie: a=1; b=2',
  'X-A: b',
  'x-b:c',
  'X: \t y \t',
  'X:',
  'Accept: text/html, */*;q=0.1',
  'X: \xe9\xff',
  'TE: trailers',
  'Trailer: x',
  'User-Agent: x',
  '__proto__: x',
  'X_U: 1',
  'Connection: keep-alive',
] as const
const ODD = [
  'X : y',
  ' X: y',
  '\tX: y',
  'X',
  ': y',
  '',
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
  '"X": y',
  'Host: b',
  'Host:',
  'Connection: close',
  'Connection: x, close',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Upgrade: h2c',
  'Upgrade: websocket\r\nConnection: Upgrade',
  'Expect: 100-continue',
  'Expect: 100-Continue',
  'Expect: tea',
  'Expect:',
  'Expect: 100-continue, x',
  'Proxy-Connection: close',
  'Keep-Alive: 1',
] as const
const LENGTHS = [
  '5',
  '5',
  '0',
  '3',
  '05',
  '+5',
  '-5',
  ' 5',
  '5 ',
  '5,5',
  '5, 5',
  '0x5',
  '5.0',
  '5e0',
  '',
  '5\t',
  '5\x0b',
  '\x855',
  '18446744073709551621',
  '999999999999999',
  '5\r\nContent-Length: 5',
  '5\r\nContent-Length: 6',
  '\xd9\xa5',
] as const
const LENGTH_NAMES = [
  'Content-Length',
  'Content-Length',
  'Content-Length',
  'content-length',
  'CONTENT-LENGTH',
  'Content_Length',
  'Content-Length ',
  ' Content-Length',
  'Content.Length',
  'Content-\r\nLength',
] as const
const CODINGS = [
  'chunked',
  'chunked',
  'chunked',
  'Chunked',
  'CHUNKED',
  'xchunked',
  'chunked ',
  'chunked\t',
  ' chunked',
  '\tchunked',
  '\x0bchunked',
  '\x0cchunked',
  'chunked\x0b',
  'chunked, identity',
  'identity, chunked',
  'identity',
  'gzip, chunked',
  'chunked, chunked',
  'chunked;q=1',
  '"chunked"',
  "'chunked'",
  'chunk',
  'chunkedx',
  '',
  ',chunked',
  'chunked,',
  'x chunked',
  'chunked\0',
  '\x00chunked',
  '\xffchunked',
  'chunked\r\nTransfer-Encoding: identity',
  'identity\r\nTransfer-Encoding: chunked',
  'chunked\nX: y',
  '\r\n chunked',
  'chu\r\n nked',
  'chu\0nked',
] as const
const CODING_NAMES = [
  'Transfer-Encoding',
  'Transfer-Encoding',
  'Transfer-Encoding',
  'transfer-encoding',
  'TRANSFER-ENCODING',
  'Transfer_Encoding',
  'Transfer-Encoding ',
  ' Transfer-Encoding',
  'Transfer Encoding',
  'Transfer.Encoding',
  'X: y\rTransfer-Encoding',
  'X: y\nTransfer-Encoding',
  'Transfer-Encoding\0',
  'Content-Encoding',
] as const
const EXTENSIONS = [
  '',
  '',
  '',
  '',
  '',
  ';a',
  ';a=b',
  ';a="b\\"c; d"',
  ';a="\xe9"',
  ' ',
  '\t',
  ';',
  ' ;a',
  '; a',
  ';a=',
  ';a b',
  ';a="b',
  ';a\0',
  ';a\n',
  ';a\r',
  ';a;b=c',
  ';=b',
] as const
const TRAILERS = [
  '',
  '',
  '',
  'X: y\r\n',
  'X:\r\nY: z\r\n',
  'Content-Length: 9\r\n',
  'X y\r\n',
  ' X: y\r\n',
  'X: a\0\r\n',
  'X: a\n',
  ': y\r\n',
] as const
const DATA = [
  'a',
  'hello',
  '\r\n',
  '0\r\n\r\n',
  'GET /x HTTP/1.1\r\nHost: a\r\n\r\n',
  'x'.repeat(17),
  '\0\xff',
] as const
const SIZES = ['', '', '', '', '0', '000', '0x', '+', '-', ' ', '00000000000000000', '_'] as const
const LINE_ENDS = ['\n', '\r', '\r\r\n', '\n\r', '\r\n\r'] as const
const BEFORE = ['', '', '', '', '', '', '\r\n', '\r\n\r\n', '\n', '\r', ' ', '\0'] as const
const PUT = [
  '',
  '',
  '\r',
  '\n',
  '\0',
  ' ',
  '\t',
  ':',
  '\r\n',
  '\r\n\r\n',
  '\x0b',
  '\x7f',
  '\x85',
  '\xa0',
  '_',
  ',',
  ';',
  '0',
  '5',
  'f',
  '\r\n ',
  '=',
  '"',
  '\x1f',
  '%',
] as const
const PROBES: readonly [string, ...string[]] = [
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 34\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello',
  'POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00',
]

/** Some requests, one behind the other; at least every third is damaged somewhere. */
export function requestBytes(random: Random): string {
  let text = ''
  for (let count = 1 + random.below(3); count > 0; count--)
    text += random.once(8) ? random.pick(PROBES) : request(random)
  for (let cuts = random.pick([0, 0, 1, 1, 2, 3]); cuts > 0; cuts--) text = damaged(text, random)
  return text
}

function request(random: Random): string {
  const ordinary = random.below(3) > 0
  const lines = [`${random.pick(METHODS)} ${random.pick(TARGETS)} ${random.pick(VERSIONS)}`, 'Host: a']
  for (let count = random.below(5); count > 0; count--)
    lines.push(random.pick(ordinary ? ORDINARY : [...ORDINARY, ...ODD]))
  let body = ''
  const framing = random.below(ordinary ? 4 : 6)
  if (framing === 1) {
    lines.push(`Content-Length: 5`)
    body = 'hello'
  } else if (framing === 2) {
    lines.push('Transfer-Encoding: chunked')
    body = chunks(random, true)
  } else if (framing === 4) {
    lines.push(`${random.pick(LENGTH_NAMES)}: ${random.pick(LENGTHS)}`)
    body = 'hello'
  } else if (framing === 5) {
    lines.push(`${random.pick(CODING_NAMES)}: ${random.pick(CODINGS)}`)
    if (random.once(6)) lines.push(`${random.pick(LENGTH_NAMES)}: ${random.pick(LENGTHS)}`)
    body = chunks(random, false)
  }
  const end = random.once(30) ? random.pick(LINE_ENDS) : '\r\n'
  return `${random.pick(BEFORE)}${lines.join(end)}${end}${random.once(60) ? random.pick(LINE_ENDS) : '\r\n'}${body}`
}

function chunks(random: Random, ordinary: boolean): string {
  let text = ''
  for (let count = random.below(4); count > 0; count--) {
    const data = random.pick(DATA)
    const size = data.length.toString(16)
    text += `${ordinary ? '' : random.pick(SIZES)}${random.once(2) ? size : size.toUpperCase()}`
    text += `${ordinary ? '' : random.pick(EXTENSIONS)}\r\n${data}\r\n`
  }
  return `${text}0${ordinary ? '' : random.pick(EXTENSIONS)}\r\n${ordinary ? '' : random.pick(TRAILERS)}\r\n`
}

function damaged(text: string, random: Random): string {
  const at = random.below(text.length + 1)
  const length = random.below(4)
  switch (random.below(6)) {
    case 0:
      return text.slice(0, at) + text.slice(at + length)
    case 1:
      return text.slice(0, at) + text.slice(at, at + 1 + random.below(20)) + text.slice(at)
    case 2: {
      const lines = text.split('\r\n')
      const [one, other] = [random.below(lines.length), random.below(lines.length)]
      ;[lines[one], lines[other]] = [lines[other] ?? '', lines[one] ?? '']
      return lines.join('\r\n')
    }
    case 3:
      return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1)
    default:
      return text.slice(0, at) + random.pick(PUT) + text.slice(at + length)
  }
}
