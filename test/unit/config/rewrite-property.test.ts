/** From the file to the path that is sent: every kind of match with every path of `to` and every `prefix_rewrite`. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatIssue, parseConfig } from '../../../src/config/load.ts'
import type { Config } from '../../../src/config/model.ts'
import { canonicalPath } from '../../../src/routing/path.ts'
import { rewrittenPath } from '../../../src/routing/rewrite.ts'
import { createRouteTable } from '../../../src/routing/table.ts'
import { facts } from '../upstream/support.ts'

const MATCHES = [
  {},
  { prefix: '/foo' },
  { prefix: '/foo/' },
  { path: '/foo' },
  { path: '/foo/' },
  { regex: '/foo(/.*)?' },
]
const TO = ['', '/', '/mcp', '/mcp/', '/a.b/c']
const REWRITES = [undefined, '/', '/bar', '/bar/']

/** One route for each combination, on a host of its own. */
const combinations = MATCHES.flatMap((match) => TO.flatMap((to) => REWRITES.map((rewrite) => ({ match, to, rewrite }))))

function configOf(compatibility: 'postern' | 'pomerium'): Config {
  const loaded = parseConfig(
    JSON.stringify({
      compatibility,
      authenticate_service_url: 'https://authenticate.corp.example',
      idp_provider_url: 'https://dev-1.okta.com',
      idp_client_id: '0oa1',
      idp_client_secret: 'client-secret-of-the-test',
      shared_secret: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
      insecure_server: true,
      routes: combinations.map(({ match, to, rewrite }, i) => ({
        from: `https://h${i}.corp.example`,
        to: `http://up${to}`,
        ...match,
        ...(rewrite !== undefined && { prefix_rewrite: rewrite }),
        allow_any_authenticated_user: true,
      })),
    }),
    'config.yaml',
    {},
    () => '',
  )
  if (loaded.kind === 'invalid') throw new Error(loaded.issues.map(formatIssue).join('\n'))
  return loaded.config
}

const segment = fc.oneof(
  fc.constantFrom('', '.', '..', '%2e%2e', '..;', ';a', '%252e', 'a'),
  fc.stringMatching(/^[a-z%.;]{1,4}$/),
)
const asked = fc
  .tuple(fc.constantFrom('/', '/foo', '/foo/', '/food'), fc.array(segment, { maxLength: 4 }))
  .map(([start, segments]) => canonicalPath(start + segments.join('/')))
  .filter((path) => path !== undefined)

test.each(['postern', 'pomerium'] as const)(
  'compatibility: %s: what is sent is canonical and below what is written, or refused',
  (compatibility) => {
    const { fixed, live } = configOf(compatibility)
    const table = createRouteTable(fixed, live)
    fc.assert(
      fc.property(fc.nat(combinations.length - 1), asked, (i, path = '') => {
        const match = table.match(facts({ host: `h${i}.corp.example`, path }))
        if (match.kind !== 'route') return
        const { action } = match.route
        if (action.kind !== 'forward') throw new Error('expected a route that forwards')
        let sent: string
        try {
          sent = rewrittenPath(action.rewrite.path, path)
        } catch (error) {
          // On a segment boundary nothing can go wrong.
          expect(compatibility).toBe('pomerium')
          expect(error).toMatchObject({ code: 'ERR_BAD_REQUEST' })
          return
        }
        expect(canonicalPath(sent)).toBe(sent)
        const written = combinations[i]
        const base = (written?.rewrite ?? written?.to ?? '').replace(/\/$/, '')
        expect(sent.startsWith(base)).toBe(true)
        if (compatibility === 'postern') expect(['', '/']).toContain(sent.charAt(base.length))
      }),
      { numRuns: 3000 },
    )
  },
)
