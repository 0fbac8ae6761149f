import { expect, test } from 'vitest'
import { readProxyHeader } from '../../../src/server/proxy-protocol.ts'
import { proxyV2 } from '../../support/proxy-protocol.ts'

const CLIENT = { source: '203.0.113.7', destination: '192.0.2.1' }
const CLIENT6 = { source: '2001:db8::7', destination: '2001:db8::1' }
const header = (bytes: Buffer, source: string | undefined) => ({ kind: 'header', length: bytes.length, source })
const line = (text: string): Buffer => Buffer.from(text, 'latin1')

test.each([
  ['TCP4', line('PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n'), '203.0.113.7'],
  ['TCP6', line('PROXY TCP6 2001:DB8:0::7 2001:db8::1 1 65535\r\n'), '2001:db8::7'],
  ['TCP6 that carries IPv4', line('PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n'), '203.0.113.7'],
  ['UNKNOWN', line('PROXY UNKNOWN\r\n'), undefined],
  ['UNKNOWN with what nobody reads', line('PROXY UNKNOWN ffff:f...f:ffff 1 65535 x\r\n'), undefined],
  ['version 2, IPv4', proxyV2(CLIENT), '203.0.113.7'],
  ['version 2, IPv6', proxyV2(CLIENT6), '2001:db8::7'],
  ['version 2 with TLVs', proxyV2({ ...CLIENT, tlvs: Buffer.alloc(4000, 3) }), '203.0.113.7'],
  ['version 2, LOCAL', proxyV2({ ...CLIENT, command: 0 }), undefined],
  [
    'version 2, LOCAL of a family that nobody knows',
    proxyV2({ command: 0, family: 0x77, addresses: line('??') }),
    undefined,
  ],
  ['version 2, UNSPEC', proxyV2({ family: 0, addresses: Buffer.alloc(0) }), undefined],
  ['version 2, a Unix socket', proxyV2({ family: 0x31, addresses: Buffer.alloc(216) }), undefined],
])('%s is read, however its bytes come, and nothing behind it', (_, bytes, source) => {
  expect(readProxyHeader(bytes)).toEqual(header(bytes, source))
  expect(readProxyHeader(Buffer.concat([bytes, line('GET / HTTP/1.1\r\n')]))).toEqual(header(bytes, source))
  for (let i = 0; i < bytes.length; i++) expect(readProxyHeader(bytes.subarray(0, i))).toEqual({ kind: 'more' })
})

test.each([
  ['a request', line('GET / HTTP/1.1\r\n')],
  ['the first byte of TLS', Buffer.from([22])],
  ['lower case', line('proxy TCP4 203.0.113.7 192.0.2.1 1 2\r\n')],
  ['two spaces', line('PROXY  TCP4 203.0.113.7 192.0.2.1 1 2\r\n')],
  ['a line that ends with LF', line(`PROXY TCP4 203.0.113.7 192.0.2.1 1 2\n${'x'.repeat(107)}`)],
  ['a line without an end', line(`PROXY UNKNOWN ${'x'.repeat(100)}`)],
  ['control characters', line('PROXY UNKNOWN \0\r\n')],
  ['an address that is none', line('PROXY TCP4 203.0.113.256 192.0.2.1 1 2\r\n')],
  ['an address that others read as another', line('PROXY TCP4 010.0.0.1 192.0.2.1 1 2\r\n')],
  ['the wrong family', line('PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n')],
  ['two families', line('PROXY TCP6 2001:db8::7 192.0.2.1 1 2\r\n')],
  ['a zone', line('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n')],
  ['a port that is none', line('PROXY TCP4 203.0.113.7 192.0.2.1 65536 2\r\n')],
  ['a port with a zero in front', line('PROXY TCP4 203.0.113.7 192.0.2.1 01 2\r\n')],
  ['no port', line('PROXY TCP4 203.0.113.7 192.0.2.1 1\r\n')],
  ['something behind the ports', line('PROXY TCP4 203.0.113.7 192.0.2.1 1 2 3\r\n')],
  ['another signature', line('\r\n\r\n\0\r\nQUIT\r')],
  ['version 1 in the form of version 2', proxyV2({ ...CLIENT, version: 1 })],
  ['a command that nobody knows', proxyV2({ ...CLIENT, command: 2 })],
  ['UDP', proxyV2({ ...CLIENT, family: 0x12 })],
  ['addresses that are too short', proxyV2({ family: 0x11, addresses: Buffer.alloc(11) })],
  ['IPv6 addresses that are too short', proxyV2({ family: 0x21, addresses: Buffer.alloc(12) })],
  ['more than anybody needs', proxyV2({ ...CLIENT, tlvs: Buffer.alloc(5000) }).subarray(0, 16)],
])('no header: %s', (_, bytes) => {
  expect(readProxyHeader(bytes)).toEqual({ kind: 'invalid' })
})
