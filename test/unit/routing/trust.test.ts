import { describe, expect, test } from 'vitest'
import { clientOf, compileTrust } from '../../../src/routing/trust.ts'

/** The client's address for a peer and a chain. */
function client(peer: string, chain: string, proxies: readonly string[], hops: number): string {
  return clientOf(peer, false, chain, '', compileTrust({ proxies, hops })).clientIp
}

describe('the client behind a chain of proxies', () => {
  test.each<[what: string, peer: string, chain: string, proxies: readonly string[], hops: number, expected: string]>([
    ['nobody is trusted by default', '192.0.2.1', '198.51.100.1', [], 0, '192.0.2.1'],
    ['an untrusted peer says nothing', '192.0.2.1', '198.51.100.1', ['10.0.0.0/8'], 0, '192.0.2.1'],
    ['an untrusted peer says nothing, whatever the hops', '192.0.2.1', '198.51.100.1', ['10.0.0.0/8'], 1, '192.0.2.1'],
    ['the last entry of a trusted peer', '10.0.0.1', '6.6.6.6, 198.51.100.1', ['10.0.0.0/8'], 0, '198.51.100.1'],
    ['past trusted hops', '10.0.0.1', '6.6.6.6, 198.51.100.1, 10.0.0.9', ['10.0.0.0/8'], 0, '198.51.100.1'],
    ['all trusted: the farthest', '10.0.0.1', '10.0.0.3, 10.0.0.2', ['10.0.0.0/8'], 0, '10.0.0.3'],
    ['no chain: the peer', '10.0.0.1', '', ['10.0.0.0/8'], 0, '10.0.0.1'],
    ['garbage ends the walk', '10.0.0.1', '6.6.6.6, unknown', ['10.0.0.0/8'], 0, '10.0.0.1'],
    [
      'garbage ends the walk at the nearest known hop',
      '10.0.0.1',
      '6.6.6.6, _x, 10.0.0.9',
      ['10.0.0.0/8'],
      0,
      '10.0.0.9',
    ],
    ['an empty entry is garbage', '10.0.0.1', '6.6.6.6,,', ['10.0.0.0/8'], 0, '10.0.0.1'],
    ['one hop', '192.0.2.1', '6.6.6.6, 198.51.100.1', [], 1, '198.51.100.1'],
    ['two hops', '192.0.2.1', '6.6.6.6, 198.51.100.1, 192.0.2.5', [], 2, '198.51.100.1'],
    ['a chain that is too short', '192.0.2.1', '198.51.100.1', [], 2, '192.0.2.1'],
    ['a hop that is no address', '192.0.2.1', '198.51.100.1, nonsense', [], 1, '192.0.2.1'],
    ['hops behind a trusted peer', '10.0.0.1', '198.51.100.1, 10.0.0.9', ['10.0.0.0/8'], 2, '198.51.100.1'],
    ['with a port', '192.0.2.1', '198.51.100.1:4711', [], 1, '198.51.100.1'],
    ['IPv6 with a port', '192.0.2.1', '[2001:DB8::1]:4711', [], 1, '2001:db8::1'],
    ['IPv6 without', '192.0.2.1', '2001:db8::1', [], 1, '2001:db8::1'],
    ['IPv4-mapped', '192.0.2.1', '::ffff:198.51.100.1', [], 1, '198.51.100.1'],
  ])('%s', (_, peer, chain, proxies, hops, expected) => {
    expect(client(peer, chain, proxies, hops)).toBe(expected)
  })
})

describe('the scheme', () => {
  test.each<[what: string, encrypted: boolean, proto: string, hops: number, expected: string]>([
    ['is that of the connection', false, '', 0, 'http'],
    ['is that of the connection with TLS', true, '', 0, 'https'],
    ['cannot be claimed', false, 'https', 0, 'http'],
    ['cannot be played down', true, 'http', 0, 'https'],
    ['is what a trusted hop says', false, 'HTTPS', 1, 'https'],
    ['is what the outermost trusted hop says', false, 'http, https, http', 2, 'https'],
    ['is not what somebody before it says', false, 'https, http', 1, 'http'],
    ['is not garbage', false, 'wss', 1, 'http'],
  ])('%s', (_, encrypted, proto, hops, expected) => {
    expect(clientOf('192.0.2.1', encrypted, '', proto, compileTrust({ proxies: [], hops })).scheme).toBe(expected)
  })
})

test('what is no network cannot be trusted', () => {
  expect(() => compileTrust({ proxies: ['10.0.0.0/8', 'everyone'], hops: 0 })).toThrow(
    expect.objectContaining({
      code: 'ERR_CONFIG_INVALID',
      message: 'trusted_proxies: "everyone" is not an address or a network',
    }),
  )
})
