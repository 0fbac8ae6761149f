import { describe, expect, test } from 'vitest'
import { clientOf, compileTrust, UNKNOWN_CLIENT } from '../../../src/routing/trust.ts'

/** The client's address for a peer and a chain. */
function client(peer: string, chain: string | undefined, proxies: readonly string[], hops: number): string {
  return clientOf(peer, false, chain, undefined, compileTrust({ proxies, hops })).clientIp
}

describe('the client behind a chain of proxies', () => {
  test.each<
    [what: string, peer: string, chain: string | undefined, proxies: readonly string[], hops: number, expected: string]
  >([
    ['nobody is trusted by default', '192.0.2.1', '198.51.100.1', [], 0, '192.0.2.1'],
    ['an untrusted peer says nothing', '192.0.2.1', '198.51.100.1', ['10.0.0.0/8'], 0, '192.0.2.1'],
    ['an untrusted peer says nothing, whatever the hops', '192.0.2.1', '198.51.100.1', ['10.0.0.0/8'], 1, '192.0.2.1'],
    ['the last entry of a trusted peer', '10.0.0.1', '6.6.6.6, 198.51.100.1', ['10.0.0.0/8'], 0, '198.51.100.1'],
    ['past trusted hops', '10.0.0.1', '6.6.6.6, 198.51.100.1, 10.0.0.9', ['10.0.0.0/8'], 0, '198.51.100.1'],
    ['all trusted: the farthest', '10.0.0.1', '10.0.0.3, 10.0.0.2', ['10.0.0.0/8'], 0, '10.0.0.3'],
    ['no header: the peer', '10.0.0.1', undefined, ['10.0.0.0/8'], 0, '10.0.0.1'],
    ['what is left of the client is not read', '10.0.0.1', 'unknown,, 198.51.100.1', ['10.0.0.0/8'], 0, '198.51.100.1'],
    ['one hop', '192.0.2.1', '6.6.6.6, 198.51.100.1', [], 1, '198.51.100.1'],
    ['two hops', '192.0.2.1', '6.6.6.6, 198.51.100.1, 192.0.2.5', [], 2, '198.51.100.1'],
    ['hops behind a trusted peer', '10.0.0.1', '198.51.100.1, 10.0.0.9', ['10.0.0.0/8'], 2, '198.51.100.1'],
    ['with a port', '192.0.2.1', '198.51.100.1:4711', [], 1, '198.51.100.1'],
    ['IPv6 with a port', '192.0.2.1', '[2001:DB8::1]:4711', [], 1, '2001:db8::1'],
    ['IPv6 without', '192.0.2.1', '2001:db8::1', [], 1, '2001:db8::1'],
    ['IPv4-mapped', '192.0.2.1', '::ffff:198.51.100.1', [], 1, '198.51.100.1'],
  ])('%s', (_, peer, chain, proxies, hops, expected) => {
    expect(client(peer, chain, proxies, hops)).toBe(expected)
  })

  test.each([
    'unknown',
    '_hidden',
    '',
    ' ',
    '10.1',
    '167772161',
    '0x0a000001',
    '0xa.0.0.1',
    '010.0.0.1',
    '10.0.0.01',
    '10.0.0.1.',
    '10.0.0.256',
    '10.0.0.1/32',
    '10.0.0.1:',
    '10.0.0.1:0',
    '10.0.0.1:080',
    '10.0.0.1:65536',
    '10.0.0.1:_port',
    '[10.0.0.1]',
    '[10.0.0.1]:80',
    '[2001:db8::1',
    '2001:db8::1]',
    '[2001:db8::1]80',
    'fe80::1%eth0',
    '[fe80::1%25eth0]:80',
    '::ffff:010.0.0.1',
    '"10.0.0.1"',
    'for=10.0.0.1',
    '\u00a010.0.0.1',
    '10.0.0.1 10.0.0.2',
    '１0.0.0.1',
  ])('an entry %j that decides gives no client', (entry) => {
    expect(client('10.0.0.1', entry, ['10.0.0.0/8'], 0)).toBe(UNKNOWN_CLIENT)
    expect(client('10.0.0.1', `6.6.6.6, ${entry}, 10.0.0.9`, ['10.0.0.0/8'], 0)).toBe(UNKNOWN_CLIENT)
    expect(client('192.0.2.1', `6.6.6.6,${entry}`, [], 1)).toBe(UNKNOWN_CLIENT)
    expect(client('192.0.2.1', `${entry},192.0.2.5`, [], 2)).toBe(UNKNOWN_CLIENT)
  })

  test('fewer entries than trusted hops give no client', () => {
    expect(client('192.0.2.1', '198.51.100.1', [], 2)).toBe(UNKNOWN_CLIENT)
  })
})

describe('the scheme', () => {
  test.each<[what: string, encrypted: boolean, proto: string | undefined, hops: number, expected: string | undefined]>([
    ['is that of the connection', false, undefined, 1, 'http'],
    ['is that of the connection with TLS', true, undefined, 1, 'https'],
    ['cannot be claimed', false, 'https', 0, 'http'],
    ['cannot be played down', true, 'http', 0, 'https'],
    ['is what a trusted hop says', false, 'HTTPS', 1, 'https'],
    ['is what the outermost trusted hop says', false, 'http, https, http', 2, 'https'],
    ['is not what somebody before it says', false, 'https, http', 1, 'http'],
    ['of a WebSocket is that of its handshake', false, 'wss', 1, 'https'],
    ['is unknown when a trusted hop names another', false, 'gopher', 1, undefined],
    ['is unknown when a trusted hop names none', false, '', 1, undefined],
    ['is unknown when the deciding entry is empty', true, 'https,', 1, undefined],
  ])('%s', (_, encrypted, proto, hops, expected) => {
    expect(clientOf('192.0.2.1', encrypted, undefined, proto, compileTrust({ proxies: [], hops })).scheme).toBe(
      expected,
    )
  })
})

test('an invalid network in trusted_proxies is an error', () => {
  expect(() => compileTrust({ proxies: ['10.0.0.0/8', 'everyone'], hops: 0 })).toThrow(
    expect.objectContaining({
      code: 'ERR_CONFIG_INVALID',
      message: 'trusted_proxies: "everyone" is not an address or a network',
    }),
  )
})
