/** What `explain` and `test` say of a request is what the running program does, for routes and requests made at random. */
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { makeIdentity, makePrincipal } from '../../cmd/postern/judge.ts'
import { parseConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/model.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { describeOutgoing } from '../../src/outgoing.ts'
import { createMembership } from '../../src/policy/membership.ts'
import type { Principal } from '../../src/policy/model.ts'
import { createJudge, type Judgement, outcomeOf } from '../../src/policy/question.ts'
import { APP, createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet()
})
afterAll(() => gauntlet.close())

/** So many tables of routes at random; without it, always the same ones, so that each outcome is among them. */
const RUNS = process.env.EXPLAIN_RUNS
const runs = RUNS === undefined ? { numRuns: 12, seed: 12 } : { numRuns: Number(RUNS) }
const rarely = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value })
const segment = fc.constantFrom(
  ...Array.from({ length: 12 }, () => 'a'),
  'b',
  'aa',
  'A',
  'a.b',
  '%41',
  'a%20b',
  '..',
  '.',
  '',
  'a%2Fb',
  '%2e',
  'a;x',
  'é',
  'admin',
)
const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join('/')}`)
const plainPath = fc.constantFrom('/', '/a', '/a/', '/a/b', '/aa', '/admin', '/b')
const host = fc.constantFrom(
  APP,
  APP,
  APP,
  APP,
  APP,
  APP,
  'other.localhost',
  'x.wild.localhost',
  'a.b.wild.localhost',
  'none.localhost',
)
const from = fc.constantFrom(
  ...Array.from({ length: 8 }, () => `http://${APP}`),
  `http://${APP}:8080`,
  'http://other.localhost',
  'http://*.wild.localhost',
  'http://a.*.localhost',
)
const criterion = fc.constantFrom<unknown>(
  { groups: { has: 'Engineering' } },
  { groups: { exclude: 'Sales' } },
  { groups: { is: 'Sales' } },
  { email: { ends_with: '@example.com' } },
  { email: 'BOB@example.com' },
  { email: { not: 'bob@example.com' } },
  { domain: 'example.com' },
  { 'claim/email': 'alice@example.com' },
  { authenticated_user: true },
  { accept: true },
  { reject: true },
  { http_method: { in: ['POST', 'PUT'] } },
  { http_path: { starts_with: '/a' } },
  { http_path: { not: '/a/b' } },
  { http_path: '/a/b' },
  { source_ip: '127.0.0.0/8' },
  { source_ip: '10.0.0.0/8' },
  { 'http_header/X-Env': 'beta' },
  { 'http_header/X-Env': { not: 'beta' } },
  { 'http_query/q': '1' },
  { cors_preflight: true },
)
const body = fc.dictionary(fc.constantFrom('and', 'or', 'not', 'nor'), fc.array(criterion, { maxLength: 3 }), {
  maxKeys: 2,
})
const policy = fc.array(fc.record({ allow: body, deny: body }, { requiredKeys: [] }), { minLength: 1, maxLength: 2 })
const access = fc.oneof(
  fc.record({ policy }),
  fc.record({
    allowed_groups: fc.constant(['Engineering']),
    policy: rarely(policy),
    cors_allow_preflight: fc.boolean(),
  }),
  fc.record({ allowed_users: fc.constant(['bob@example.com']) }),
  fc.record({ allowed_domains: fc.constant(['example.com']), policy: rarely(policy) }),
  fc.record({ allow_any_authenticated_user: fc.constant(true), policy: rarely(policy) }),
  fc.record({ allow_public_unauthenticated_access: fc.constant(true), identity: fc.constantFrom('none', 'optional') }),
  fc.constant({ allowed_idp_claims: { email: ['alice@example.com'], groups: ['Sales'] } }),
)
const match = fc.oneof(
  fc.constant({}),
  fc.constant({}),
  fc.constant({ prefix: '/a' }),
  fc.record({ prefix: plainPath }),
  fc.record({ path: plainPath }),
  fc.constantFrom({ regex: '/[ab]+' }, { regex: '/a/.*' }, { regex: '/(?i)A' }),
)
const route = fc
  .tuple(
    fc.record({
      from,
      methods: rarely(fc.constantFrom(['GET'], ['POST', 'OPTIONS'])),
      headers: rarely(fc.constant({ 'X-Env': 'beta' })),
    }),
    match,
    access,
    fc.oneof(
      fc.constant({}),
      fc.record({ prefix_rewrite: fc.constantFrom('/', '/new', '/new/') }),
      fc.constant({ regex_rewrite_pattern: '^/(\\w+)', regex_rewrite_substitution: '/r/\\1' }),
      fc.constantFrom(
        { host_rewrite: 'h.internal' },
        { preserve_host_header: false },
        { host_rewrite_header: 'X-Env' },
      ),
      fc.constantFrom<object>({ to: '/base' }, { to: '/base/' }),
    ),
    fc.constantFrom<object>(
      {},
      {},
      { path_with_escaped_slashes_action: 'keep' },
      { merge_slashes: false },
      { set_request_headers: { 'X-A': '${user.email}' }, remove_request_headers: ['X-Env'] },
      { pass_identity_headers: false },
    ),
  )
  .map((parts) => Object.assign({}, ...parts) as Readonly<Record<string, unknown>>)
const asked = fc.record({
  host,
  port: fc.constantFrom('', '', ':8080'),
  method: fc.constantFrom('GET', 'GET', 'POST', 'OPTIONS', 'DELETE'),
  target: fc.tuple(path, fc.constantFrom('', '', '?q=1', '?q=1&q=2', '?')).map((parts) => parts.join('')),
  who: fc.constantFrom(undefined, 'alice', 'bob'),
  headers: fc.subarray([
    'X-Env: beta',
    'Origin: http://o.localhost',
    'Access-Control-Request-Method: GET',
    'X_Env: beta',
    'X-Postern-Claim-Email: x',
  ]),
})

function principal(config: Config, login: string): Principal {
  const [idp] = config.fixed.idps
  const [subject, id, name] =
    login === 'alice'
      ? [DEMO.people.alice, DEMO.groups.engineering, 'Engineering']
      : [DEMO.people.bob, DEMO.groups.sales, 'Sales']
  const identity = makeIdentity(idp, { subject, email: `${login}@example.com` })
  const membership = createMembership([{ id, name, type: 'OKTA_GROUP' }], systemClock.now(), 'a test')
  return makePrincipal(idp.name, identity, membership, 'active')
}

/** What each outcome looks like from outside, for a request that asks for JSON. */
const STATUS: Readonly<Record<ReturnType<typeof outcomeOf>, readonly number[]>> = {
  allow: [200],
  'sign-in': [401],
  deny: [403],
  unavailable: [503],
  'bad-token': [401, 403],
  'bad-request': [400],
  control: [],
  'not-found': [404],
}

test('of any request', { timeout: 600_000 }, async () => {
  const seen = new Map<string, number>()
  const { world, echo, cookies } = gauntlet
  await fc.assert(
    fc.asyncProperty(
      fc.array(route, { minLength: 1, maxLength: 4 }),
      fc.array(asked, { minLength: 12, maxLength: 12 }),
      async (routes, requests) => {
        const whole = routes.map((one) => ({
          ...one,
          to: `${echo.url}${typeof one['to'] === 'string' ? one['to'] : ''}`,
        }))
        try {
          world.reload({ routes: whole })
        } catch {
          // Never reached, and the like: `check` says so.
          fc.pre(false)
        }
        const loaded = parseConfig(world.configText(), 'config.yaml', {}, () => '')
        if (loaded.kind === 'invalid') throw new Error('valid for the program alone')
        const judge = createJudge(loaded.config)
        for (const { host, port, method, target, who, headers } of requests) {
          const isKnown = who !== undefined && host === APP
          const cookie = who === undefined ? [] : [`Cookie: ${cookies[who]}`]
          const lines = [`Host: ${host}${port}`, 'Accept: application/json', ...headers]
          const { answers, received } = await gauntlet.send(
            Buffer.from(
              request(method, target, ...lines, ...cookie, ...(method === 'POST' ? ['Content-Length: 0'] : [])),
            ),
          )
          const judgement: Judgement = judge({
            method,
            url: `http://${host}${port}${Buffer.from(target).toString('latin1')}`,
            ip: '127.0.0.1',
            who: isKnown ? principal(loaded.config, who) : undefined,
            now: systemClock.now(),
            headers: lines.slice(1).flatMap((line) => line.split(': ')),
          })
          const outcome = outcomeOf(judgement)
          seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
          expect({ method, target, lines, who, outcome, status: only(answers).status }).toMatchObject({
            status: expect.toSatisfy((status: number) => STATUS[outcome].includes(status)),
          })
          const grant = judgement.kind === 'route' ? judgement.grant : undefined
          if (!grant || judgement.kind !== 'route') {
            expect(received).toEqual([])
            continue
          }
          const outgoing = await describeOutgoing(loaded.config, grant, judgement.headers, {
            clock: systemClock,
            logger: silentLogger,
          })
          const one = only(received)
          expect(`${one.method} ${one.target} HTTP/1.1`).toBe(outgoing?.requestLine)
          const names = (list: readonly (readonly [string, string])[]) =>
            list
              .map(([name]) => name.toLowerCase())
              .filter((name) => !UNSAID.has(name))
              .toSorted()
          expect(names(one.headers)).toEqual(names(outgoing?.headers ?? []))
          expect(one.values('host')).toEqual([outgoing?.headers[0]?.[1]])
        }
      },
    ),
    { ...runs, endOnFailure: true },
  )
  for (const outcome of ['allow', 'sign-in', 'deny', 'bad-request', 'not-found'])
    expect(seen.get(outcome)).toBeGreaterThan(2)
})

/** Of the way, and of the client's other credentials. */
const UNSAID: ReadonlySet<string> = new Set(['connection', 'content-length', 'cookie'])
