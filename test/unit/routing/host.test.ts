import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseFrom, parseHost } from '../../../src/routing/host.ts'

describe('parseHost: one spelling', () => {
  test.each<[string, string, number | undefined]>([
    ['app.test', 'app.test', undefined],
    ['APP.TEST', 'app.test', undefined],
    ['app.test.', 'app.test', undefined],
    ['app.test:443', 'app.test', 443],
    ['app.test.:443', 'app.test', 443],
    ['app.test:0443', 'app.test', 443],
    ['app.test:', 'app.test', undefined],
    ['X.EXAMPLE.:443', 'x.example', 443],
    ['localhost', 'localhost', undefined],
    ['my_app.internal', 'my_app.internal', undefined],
    ['xn--mnchen-3ya.test', 'xn--mnchen-3ya.test', undefined],
    ['127.0.0.1:8080', '127.0.0.1', 8080],
    ['[::1]', '[::1]', undefined],
    ['[0:0:0:0:0:0:0:1]:80', '[::1]', 80],
    ['[2001:DB8::A]', '[2001:db8::a]', undefined],
    ['a:65535', 'a', 65535],
  ])('%s', (authority, host, port) => {
    expect(parseHost(authority)).toEqual({ host, port })
  })
})

describe('parseHost: not a host', () => {
  test.each([
    '',
    ' ',
    '.',
    '..',
    'a..b',
    '.a',
    'a..',
    'app.test@evil.test',
    'a@b',
    'app.test/evil',
    'app.test#.evil',
    'app.test?x',
    'app.test\\evil',
    'app.test, admin.test',
    'app.test admin.test',
    'app.test\t',
    ' app.test',
    'app.test:99999',
    'app.test:65536',
    'app.test:0',
    'app.test:-1',
    'app.test:+80',
    'app.test:80a',
    'app.test:80:80',
    'app.test:000000443',
    ':80',
    '[::1',
    '::1',
    '[::1]x',
    '[::1%25eth0]',
    '[fe80::1%eth0]',
    '[127.0.0.1]',
    '[]',
    '*.test',
    '-a.test',
    'a-.test',
    'm\u00fcnchen.test',
    'app%2etest',
    'a\u0000b',
    `${'a'.repeat(64)}.test`,
    `${'a.'.repeat(127)}aa`,
    'a'.repeat(8192),
  ])('%j', (authority) => {
    expect(parseHost(authority)).toBeUndefined()
  })

  test('what parseHost returns parses to itself', () => {
    const authority = fc.oneof(
      fc.domain(),
      fc.ipV4(),
      fc.ipV6().map((address) => `[${address}]`),
      fc.string(),
    )
    fc.assert(
      fc.property(authority, (text) => {
        const parsed = parseHost(text)
        fc.pre(parsed !== undefined)
        expect(parseHost(parsed?.host ?? '')).toEqual({ host: parsed?.host, port: undefined })
      }),
    )
  })
})

describe('parseFrom', () => {
  test.each<[string, object]>([
    ['https://app.corp.example', { scheme: 'https', host: 'app.corp.example', wildcard: false }],
    ['HTTPS://App.Corp.Example./', { scheme: 'https', host: 'app.corp.example', wildcard: false }],
    [
      'http://engineering.localhost:8080',
      { scheme: 'http', host: 'engineering.localhost', wildcard: false, port: 8080 },
    ],
    ['https://app.corp.example:443', { scheme: 'https', host: 'app.corp.example', wildcard: false, port: 443 }],
    ['https://*.corp.example', { scheme: 'https', host: '*.corp.example', wildcard: true }],
    [
      'https://app-*.*.Corp.example:8443',
      { scheme: 'https', host: 'app-*.*.corp.example', wildcard: true, port: 8443 },
    ],
    ['https://*', { scheme: 'https', host: '*', wildcard: true }],
    ['https://m\u00fcnchen.example', { scheme: 'https', host: 'xn--mnchen-3ya.example', wildcard: false }],
    ['https://*.m\u00fcnchen.example', { scheme: 'https', host: '*.xn--mnchen-3ya.example', wildcard: true }],
    ['https://[::1]:8443', { scheme: 'https', host: '[::1]', wildcard: false, port: 8443 }],
  ])('%s', (text, from) => {
    expect(parseFrom(text)).toEqual(from)
  })

  test.each<[string, string]>([
    ['', 'expected a URL such as https://app.corp.example'],
    ['app.corp.example', 'expected a URL such as https://app.corp.example'],
    ['//app.corp.example', 'expected a URL such as https://app.corp.example'],
    ['tcp+https://app.corp.example', 'expected the scheme https or http, not "tcp+https"'],
    ['ssh://app', 'expected the scheme https or http, not "ssh"'],
    ['https://app/x', 'expected scheme, host and port only; a path belongs in "prefix", "path" or "regex"'],
    ['https://app?x', 'expected scheme, host and port only; a path belongs in "prefix", "path" or "regex"'],
    ['https://app#x', 'expected scheme, host and port only; a path belongs in "prefix", "path" or "regex"'],
    ['https://app\\x', 'expected scheme, host and port only; a path belongs in "prefix", "path" or "regex"'],
    ['https://ann:pw@app', 'expected no user name or password'],
    ['https://', 'expected a host name, not ""'],
    ['https://app:99999', 'expected a host name, not "app:99999"'],
    ['https://a b', 'expected a host name, not "a b"'],
    ['https://*:*', 'expected a host name, not "*:*"'],
    ['https://..', 'expected a host name, not ".."'],
  ])('%j is a problem', (text, problem) => {
    expect(parseFrom(text)).toEqual({ problem })
  })
})
