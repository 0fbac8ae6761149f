import { expect, test } from 'vitest'
import { nextPage } from '../../../src/directory/okta/link.ts'

const ORIGIN = 'https://org.okta.com'

test.each<[string, string | string[] | undefined, string | undefined]>([
  ['no header', undefined, undefined],
  ['self only', `<${ORIGIN}/api/v1/groups?limit=200>; rel="self"`, undefined],
  [
    'several lines',
    [`<${ORIGIN}/api/v1/groups?limit=200>; rel="self"`, `<${ORIGIN}/api/v1/groups?after=a,b&limit=200>; rel="next"`],
    '/api/v1/groups?after=a,b&limit=200',
  ],
  [
    'joined by commas',
    `<${ORIGIN}/api/v1/groups?limit=200>; rel="self", <${ORIGIN}/api/v1/groups?after=00g%2F1&limit=200>; rel="next"`,
    '/api/v1/groups?after=00g%2F1&limit=200',
  ],
  ['relation without quotes, in capitals', `<${ORIGIN}/api/v1/users?after=1>; REL=NEXT`, '/api/v1/users?after=1'],
  ['several relations', `<${ORIGIN}/api/v1/users?after=1>; title="x"; rel="last next"`, '/api/v1/users?after=1'],
  ['relative', '</api/v1/users?after=1>; rel="next"', '/api/v1/users?after=1'],
  ['a title that says next', `<${ORIGIN}/api/v1/users?after=1>; rel="self"; title="rel=next"`, undefined],
  [
    'the same page twice',
    [`<${ORIGIN}/api/v1/users?a=1>; rel="next"`, '</api/v1/users?a=1>; rel="next"'],
    '/api/v1/users?a=1',
  ],
])('%s', (_name, header, expected) => {
  expect(nextPage(header, ORIGIN)).toBe(expected)
})

test.each([
  ['another host', 'https://evil.example/api/v1/groups?after=1', 'not on https://evil.example'],
  ['another scheme', 'http://org.okta.com/api/v1/groups?after=1', 'not on http://org.okta.com'],
  ['another port', 'https://org.okta.com:8443/api/v1/groups?after=1', 'not on https://org.okta.com:8443'],
  ['protocol-relative', '//evil.example/api/v1/groups', 'not on https://evil.example'],
  ['a look-alike', 'https://org.okta.com.evil.example/api/v1/', 'not on https://org.okta.com.evil.example'],
  ['credentials', 'https://user:pass@org.okta.com/api/v1/groups', 'not on https://org.okta.com'],
  ['not the API', 'https://org.okta.com/login', 'not on https://org.okta.com'],
  ['out of the API', 'https://org.okta.com/api/v1/../../login', 'not on https://org.okta.com'],
  ['no address', 'https://', 'an address that cannot be read'],
])('a next page on %s is refused', (_name, target, message) => {
  expect(() => nextPage(`<${target}>; rel="next"`, ORIGIN)).toThrow(
    expect.objectContaining({ code: 'ERR_DIRECTORY_BAD_ANSWER', message: expect.stringContaining(message) as string }),
  )
})

test('two different next pages are refused', () => {
  expect(() => nextPage(['</api/v1/a>; rel="next"', '</api/v1/b>; rel="next"'], ORIGIN)).toThrow(
    expect.objectContaining({ message: 'okta: the answer names two different next pages' }),
  )
})
