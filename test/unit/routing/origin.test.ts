import { expect, test } from 'vitest'
import { websocketOriginAllowed } from '../../../src/routing/origin.ts'

// attack-cases.md F02.
test.each([
  ['https://app.test', true],
  ['https://partner.test:8443', true],
  [undefined, true],
  ['null', false],
  ['', false],
  ['https://evil.test', false],
  ['https://app.test.evil.test', false],
  ['http://app.test', false],
  ['https://app.test:8443', false],
  ['https://APP.test', false],
])('a WebSocket opened by a page of %j: %s', (origin, allowed) => {
  const route = { allowOrigins: ['https://partner.test:8443'] }
  expect(websocketOriginAllowed(route, { origin }, 'https://app.test')).toBe(allowed)
})

test('a host without a configured origin allows no origin', () => {
  expect(websocketOriginAllowed({ allowOrigins: [] }, { origin: 'undefined' }, undefined)).toBe(false)
})
