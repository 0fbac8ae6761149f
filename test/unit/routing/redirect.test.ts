import { expect, test } from 'vitest'
import { redirectLocation } from '../../../src/routing/redirect.ts'
import type { PathRewrite, Redirect, Route } from '../../../src/config/route-model.ts'

function located(
  from: Route['from'],
  action: Partial<Redirect>,
  asked = { host: from.host, path: '/a/b', query: '?q=%2F' },
): string {
  const redirect: Redirect = { kind: 'redirect', status: 302, ...action }
  return redirectLocation({ from, action: redirect }, asked)
}

const root: PathRewrite = { kind: 'whole', to: '/' }
const plain: Route['from'] = { scheme: 'http', host: 'old.test', wildcard: false }
const withPort: Route['from'] = { scheme: 'https', host: 'old.test', wildcard: false, port: 8443 }

test.each<[Route['from'], Partial<Redirect>, string]>([
  [plain, { scheme: 'https' }, 'https://old.test/a/b?q=%2F'],
  [plain, { scheme: 'https', port: 443 }, 'https://old.test/a/b?q=%2F'],
  [plain, { port: 8080 }, 'http://old.test:8080/a/b?q=%2F'],
  [plain, { host: 'new.test' }, 'http://new.test/a/b?q=%2F'],
  [plain, { path: root }, 'http://old.test/?q=%2F'],
  [plain, { path: root, query: '' }, 'http://old.test/'],
  [plain, { path: { kind: 'prefix', prefix: '/', to: '/v2', boundary: true } }, 'http://old.test/v2/a/b?q=%2F'],
  [withPort, { scheme: 'https', query: '' }, 'https://old.test:8443/a/b'],
  [withPort, { host: 'new.test' }, 'https://new.test/a/b?q=%2F'],
  [withPort, { scheme: 'http' }, 'http://old.test/a/b?q=%2F'],
  [withPort, { path: { kind: 'whole', to: '/x' }, query: '?y=1' }, 'https://old.test:8443/x?y=1'],
])('redirectLocation of a route from %j with %j is %s', (from, action, location) => {
  expect(located(from, action)).toBe(location)
})

test('redirectLocation replaces the matched prefix, and names the host that was asked for on a wildcard', () => {
  const path: PathRewrite = { kind: 'prefix', prefix: '/a', to: '/new', boundary: true }
  expect(located(plain, { path })).toBe('http://old.test/new/b?q=%2F')
  const wildcard: Route['from'] = { scheme: 'https', host: '*.old.test', wildcard: true }
  expect(located(wildcard, { path: root }, { host: 'x.old.test', path: '/y', query: '' })).toBe('https://x.old.test/')
})

test('redirectLocation sends nobody where they are', () => {
  for (const action of [
    {},
    { scheme: 'http' },
    { host: 'old.test' },
    { path: { kind: 'whole', to: '/a/b' } },
  ] as const) {
    expect(() => located(plain, action)).toThrow(expect.objectContaining({ code: 'ERR_LOOP' }))
  }
})
