import { expect, test } from 'vitest'
import { pageHeaders } from '../../../src/pages/headers.ts'

test('pages run no script, load one stylesheet, cannot be framed and are not stored', () => {
  expect(Object.fromEntries(pageHeaders())).toEqual({
    'content-security-policy':
      "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'cross-origin-opener-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  })
})

test('a form may redirect to the given origins and posts with its own origin', () => {
  const headers = Object.fromEntries(
    pageHeaders({
      formActionOrigins: ['https://org.okta.com', 'https://org.okta.com/oauth2/default', 'http://a.localhost:8080'],
    }),
  )
  expect(headers['content-security-policy']).toContain(
    "form-action 'self' https://org.okta.com http://a.localhost:8080; frame-ancestors",
  )
  expect(headers['referrer-policy']).toBe('strict-origin')
})

test('images may come from the given origins, each named once', () => {
  const headers = Object.fromEntries(pageHeaders({ imageOrigins: ['https://img.example', 'https://img.example'] }))
  expect(headers['content-security-policy']).toContain("img-src 'self' data: https://img.example; form-action 'self'")
})

test('an origin cannot add directives to the policy', () => {
  const directive = "x; script-src 'unsafe-inline'"
  expect(() => pageHeaders({ formActionOrigins: [directive] })).toThrow(TypeError)
  expect(() => pageHeaders({ imageOrigins: [directive] })).toThrow(TypeError)
})
