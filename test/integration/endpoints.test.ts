/** docs/endpoints.md is what the program answers, path by path, method by method, host by host. */
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestWorld, type World } from '../support/world.ts'

const page = readFileSync(new URL('../../docs/endpoints.md', import.meta.url), 'utf8')
const rows = [...page.matchAll(/^\| `(\/[^`]*)` \| ([a-z-]+) \| ([A-Z, ]+) \| (.+?) \| (.+) \|$/gm)].map(
  ([, path = '', where = '', methods = '']) => ({ path, where, methods: methods.split(', ') }),
)
const HOSTS = { 'sign-in': 'authenticate.localhost', applications: 'app.localhost', nobody: 'other.localhost' }
const ON: Readonly<Record<string, readonly string[]>> = {
  'sign-in': [HOSTS['sign-in']],
  applications: [HOSTS.applications],
  every: [HOSTS['sign-in'], HOSTS.applications],
  any: [HOSTS['sign-in'], HOSTS.applications, HOSTS.nobody],
}
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

let world: World
beforeAll(async () => {
  world = await createTestWorld({
    routes: [{ from: 'http://app.localhost', allow_any_authenticated_user: true, service_tokens: true }],
    config: {
      admin: { allow: { or: [{ accept: true }] } },
      allow_device_login: true,
      directory: {
        scim_token: 'a-token-for-scim-of-a-fair-length',
        okta: { event_hook_secret: 'a-secret-for-hooks-of-a-fair-length' },
      },
      shared_signals: { authorization: 'Bearer a-secret-of-a-fair-length' },
      rate_limit: { per_client: 1_000_000 },
    },
  })
}, 60_000)
afterAll(() => world.close())

function statusOf(method: string, host: string, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ port: world.port, method, path, headers: { host }, agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
    sent.on('error', reject)
    sent.end()
  })
}

describe('docs/endpoints.md', () => {
  test('has every path that the route table knows', () => {
    const source = readFileSync(new URL('../../src/routing/table.ts', import.meta.url), 'utf8')
    const known = [
      ...source.matchAll(
        /\[(?:'(\/[^']*)'|`\$\{(controlPrefix|wellKnown)\}([^`]*)`|(wellKnown|controlPrefix|callbackPath)), '/g,
      ),
    ].map(
      ([, plain, prefix, rest = '', name]) =>
        plain ??
        (name === 'callbackPath'
          ? '/oauth2/callback'
          : ((prefix ?? name) === 'wellKnown' ? '/.well-known/postern' : '/.postern') + rest),
    )
    expect(known.length).toBeGreaterThan(25)
    const listed = new Set(rows.map(({ path }) => path.replace(/(?<=.)\/$/, '')))
    expect(known.filter((path) => !listed.has(path.replace(/(?<=.)\/$/, '')))).toEqual([])
  })

  test.each(rows.map((row) => [row.path, row] as const))(
    '%s takes its methods, where it is, and no other',
    async (_, row) => {
      for (const host of Object.values(HOSTS)) {
        const here = (ON[row.where] ?? []).includes(host)
        for (const method of METHODS) {
          const status = await statusOf(method, host, row.path)
          const at = `${method} ${host}${row.path}: ${status}`
          if (!here)
            expect(at).toMatch(
              host === HOSTS.applications && !row.path.startsWith('/.')
                ? /: (?:401|302|200|403)$/
                : /: (?:404|405|200|421)$/,
            )
          else if (row.methods.includes(method)) expect(at).not.toMatch(/: (?:404|405|5\d\d)$/)
          else expect(at).toMatch(/: (?:405|403|401)$/)
        }
      }
    },
  )
})
