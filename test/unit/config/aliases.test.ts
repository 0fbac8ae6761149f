import { describe, expect, test } from 'vitest'
import { parseServiceAccount } from '../../../src/config/aliases.ts'

const token = '00abcDEF-ghiJKL_mnoPQRstuVWXyz0123456789AB'
const base64 = (text: string): string => Buffer.from(text).toString('base64')

describe('a service account is read from', () => {
  const long = base64(JSON.stringify({ api_key: token, note: 'x'.repeat(80) }))
  for (const [form, value] of [
    ['base64 of JSON', base64(`{"api_key":"${token}"}`)],
    ['base64 of JSON with spaces and a newline', base64(`{ "api_key": "${token}" }\n`)],
    ['base64 in lines of 76 characters, as `base64` prints it', long.replace(/.{76}/g, '$&\n')],
    ['JSON', `{"api_key": "${token}"}`],
    ['JSON that YAML has read', { api_key: token }],
    ['base64 of the token', base64(token)],
    ['base64 of the token and a newline', base64(`${token}\n`)],
    ['base64url without padding', Buffer.from(token).toString('base64url')],
    ['the token', token],
    ['the token and a newline', `${token}\n`],
  ] as const) {
    test(form, () => expect(parseServiceAccount(value)).toEqual({ token }))
  }
  test('a token that happens to be base64 stays what it is', () => {
    expect(parseServiceAccount('00dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRl')).toEqual({
      token: '00dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRl',
    })
    expect(parseServiceAccount('test-token')).toEqual({ token: 'test-token' })
  })
})

describe('a service account is refused', () => {
  for (const [form, value, problem] of [
    [
      'with an empty key',
      '{"api_key": ""}',
      'the api_key is empty; create a token in Okta under Security, API, Tokens',
    ],
    [
      'with an empty key in base64',
      base64('{"api_key": " "}'),
      'the api_key is empty; create a token in Okta under Security, API, Tokens',
    ],
    ['without the key', base64('{"apikey": "x"}'), 'has no "api_key"; expected {"api_key": "…"}'],
    ['with a key that is no text', '{"api_key": 5}', 'has no "api_key"; expected {"api_key": "…"}'],
    ['in broken JSON', base64(`{"api_key": "${token}`), 'begins like JSON and is not; expected {"api_key": "…"}'],
    ['with a key in another alphabet', '{"api_key": "ключ"}', 'the api_key has characters that no Okta token has'],
  ] as const) {
    test(form, () => expect(parseServiceAccount(value)).toEqual({ problem }))
  }
})
