import { BlockList, isIPv6 } from 'node:net'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalAddress, isInside, parseNetwork } from '../../../src/routing/address.ts'

function inside(network: string, address: string): boolean {
  const parsed = parseNetwork(network)
  if (!parsed) throw new Error(`not a network: ${network}`)
  return isInside([parsed], address)
}

describe('networks', () => {
  test.each<[string, string, boolean]>([
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.1.2.3/8', '10.9.9.9', true],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['0.0.0.0/0', '::1', false],
    ['::/0', '192.0.2.1', false],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1/32', '192.0.2.2', false],
    ['255.255.255.255/32', '255.255.255.255', true],
    ['128.0.0.0/1', '200.0.0.1', true],
    ['::1', '::1', true],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['::ffff:10.0.0.0/104', '10.3.2.1', true],
    ['::ffff:10.0.0.0/104', '11.3.2.1', false],
  ])('%s holds %s: %s', (network, address, expected) => {
    expect(inside(network, address)).toBe(expected)
  })

  test.each([
    '',
    '10.0.0.0/33',
    '10.0.0/8',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/08x',
    '10.0.0.0/08',
    '10.0.0.0/00',
    '10.1/16',
    '0x0a000000/8',
    '2001:db8::/129',
    'fe80::1%eth0/64',
    'localhost',
    '010.0.0.0/8',
    '10.0.0.0/8/8',
  ])('%j is not a network', (text) => {
    expect(parseNetwork(text)).toBeUndefined()
  })

  test.each([
    '',
    'unknown',
    '10.0.0.256',
    '10.0.0',
    '10.0.0.1.1',
    '1234.0.0.1',
    '10..0.1',
    '.10.0.0.1',
    '10.0.0.1.',
    '10.0.0.1 ',
  ])('%j is in no network', (address) => {
    expect(inside('0.0.0.0/0', address) || inside('::/0', address)).toBe(false)
  })

  test('gives the same answers as BlockList of Node', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.ipV4(), (base, length, address) => {
        fc.pre(!/(?:^|\.)0\d/.test(`${base} ${address}`))
        const list = new BlockList()
        list.addSubnet(base, length)
        expect(inside(`${base}/${length}`, address)).toBe(list.check(address))
      }),
    )
  })
})

test.each<[string, string | undefined]>([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:C000:0201', '192.0.2.1'],
  ['2001:DB8:0:0::1', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['', undefined],
  ['unknown', undefined],
  ['192.0.2.1:80', undefined],
  ['1.2.3', undefined],
  ['::10.0.0.1', '::a00:1'],
  ['::a00:1', '::a00:1'],
  ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'],
])('canonicalAddress(%j) is %j', (text, address) => {
  expect(canonicalAddress(text)).toBe(address)
})

test('an address that ends in dotted digits is the one that the WHATWG URL parser reads', () => {
  const prefix = fc.constantFrom('::', '::ffff:', '::ffff:0:', '64:ff9b::', '1:2:3:4:5:6:', '0:0:0:0:0:ffff:')
  fc.assert(
    fc.property(prefix, fc.ipV4(), (start, end) => {
      fc.pre(isIPv6(start + end))
      const read = new URL(`http://[${start}${end}]`).hostname.slice(1, -1)
      expect(canonicalAddress(start + end)).toBe(canonicalAddress(read))
    }),
  )
})
