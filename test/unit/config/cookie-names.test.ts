import { expect, test } from 'vitest'
import { cookieNames, ownCookieNames } from '../../../src/config/cookie-names.ts'
import { NAMING } from '../upstream/support.ts'

test.each([
  [undefined, '__Host-postern', 'postern'],
  ['mine', '__Host-mine', 'mine'],
  ['__Host-mine', '__Host-mine', 'mine'],
  ['__host-mine', '__Host-mine', 'mine'],
  ['__Secure-mine', '__Host-mine', 'mine'],
])('cookie_name %s: %s on https, %s on http', (name, https, http) => {
  const config = { naming: NAMING, ...(name !== undefined && { cookieName: name }) }
  expect(cookieNames(config, 'https')).toEqual({
    session: https,
    provided: `${https}-of.`,
    nonce: `${https}-nonce.`,
    pending: `${https}-sign-in.`,
  })
  expect(cookieNames(config, 'http')).toEqual({
    session: http,
    provided: `${http}-of.`,
    nonce: `${http}-nonce.`,
    pending: `${http}-sign-in.`,
  })
  expect(ownCookieNames(config)).toHaveLength(8)
})
