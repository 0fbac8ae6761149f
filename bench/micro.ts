/** What one decision and one route lookup cost, in a process of their own. Prints JSON for main.ts. */
import { createHash } from 'node:crypto'
import { parseConfig } from '../src/config/load.ts'
import { formatIssue } from '../src/config/issues.ts'
import { personKey } from '../src/lib/person.ts'
import { FOREVER } from '../src/lib/time.ts'
import { createMembership } from '../src/policy/membership.ts'
import { createReview } from '../src/policy/access.ts'
import { createApplications } from '../src/policy/applications.ts'
import { decide } from '../src/policy/engine.ts'
import { RequestHeaders } from '../src/routing/header-view.ts'
import { createRouteTable } from '../src/routing/table.ts'
import { createMetrics } from '../src/server/metrics.ts'
import type { Config } from '../src/config/model.ts'
import type { Route } from '../src/config/route-model.ts'
import type { Group } from '../src/directory/model.ts'
import type { Principal } from '../src/policy/model.ts'
import { NO_LINES } from '../src/http/header-lines.ts'
import type { RequestFacts, RequestSample } from '../src/http/exchange.ts'
import { wallTime } from '../src/lib/time.ts'

export interface MicroResult {
  readonly name: string
  /** Nanoseconds a call, of each round. */
  readonly rounds: readonly number[]
  readonly budgetNs: number
}

const ROUTES = 10_000
const groups = Array.from(
  { length: 500 },
  (_, i): Group => ({ id: `00g${String(i).padStart(17, '0')}`, name: `Team ${i}`, type: 'OKTA_GROUP' }),
)
const alice: Principal = {
  identity: {
    issuer: 'https://idp.example',
    subject: '00u1',
    email: 'alice@corp.example',
    claims: { department: 'R&D' },
  },
  sessionId: 's',
  kind: 'session',
  provider: 'default',
  person: personKey({ issuer: 'https://idp.example', subject: '00u1' }),
  expiresAt: FOREVER,
  membership: createMembership(groups, wallTime(0), 'bench'),
  status: 'active',
}

function facts(host: string, path: string): RequestFacts {
  return {
    id: 'r',
    method: 'GET',
    host,
    port: undefined,
    path,
    query: '',
    clientIp: '203.0.113.7',
    scheme: 'https',
    wants: 'json',
    cookie: '',
    origin: undefined,
    userAgent: '',
    headers: new RequestHeaders(NO_LINES, new Set()),
  }
}

function configOf(routes: readonly object[]): Config {
  const loaded = parseConfig(
    JSON.stringify({
      authenticate_service_url: 'https://authenticate.corp.example',
      insecure_server: true,
      shared_secret: createHash('sha256').update('bench').digest('base64'),
      idp_provider: 'oidc',
      idp_provider_url: 'https://idp.example',
      idp_client_id: 'c',
      idp_client_secret: 's',
      storage: { type: 'memory' },
      routes: routes.map((route) => ({ to: 'http://127.0.0.1:1', allow_any_authenticated_user: true, ...route })),
    }),
    'bench',
    {},
    () => '',
  )
  if (loaded.kind === 'invalid') throw new Error(loaded.issues.map(formatIssue).join('\n'))
  return loaded.config
}

/** Twenty criteria; only the last group allows alice, so all of them are evaluated. */
function twentyCriteria(): Route {
  const others = Array.from({ length: 19 }, (_, i) => ({ groups: { has: `Other ${i}` } }))
  const [route] = configOf([
    {
      from: 'https://app.corp.example',
      allow_any_authenticated_user: false,
      policy: [{ allow: { or: [...others, { groups: { has: 'Team 499' } }] } }],
    },
  ]).live.routes
  if (!route) throw new Error('no route')
  return route
}

/** Of 500 routes alice may open 250: each second one asks for a group that she is in. */
function portalOf500() {
  const { fixed, live } = configOf(
    Array.from({ length: 500 }, (_, i) => ({
      name: `Application ${i}`,
      from: `https://app${i}.corp.example`,
      allow_any_authenticated_user: false,
      allowed_groups: [i % 2 === 0 ? `Team ${i}` : `Other ${i}`],
    })),
  )
  return createApplications(live.routes, createRouteTable(fixed, live))
}

function tableOf(from: (i: number) => string) {
  return tableOfRoutes((i) => ({ from: from(i) }), ROUTES)
}

function tableOfRoutes(route: (i: number) => object, length: number) {
  const { fixed, live } = configOf(Array.from({ length }, (_, i) => route(i)))
  return createRouteTable(fixed, live)
}

function measure(name: string, budgetNs: number, run: (i: number) => unknown, calls = 200_000): MicroResult {
  const rounds: number[] = []
  for (let round = 0; round < 12; round++) {
    const before = process.hrtime.bigint()
    for (let i = 0; i < calls; i++) if (run(i) === undefined) throw new Error(`${name}: nothing found`)
    if (round >= 3) rounds.push(Number(process.hrtime.bigint() - before) / calls)
  }
  return { name, budgetNs, rounds }
}

const route = twentyCriteria()
const review = createReview()
const applications = portalOf500()
const request = facts('app.corp.example', '/')
const exact = tableOf((i) => `https://app${i}.corp.example`)
const wildcard = tableOf((i) => `https://*.team${i}.corp.example`)
const prefixes = tableOfRoutes((i) => ({ from: 'https://one.corp.example', prefix: `/team-${i}/` }), ROUTES)
const regexes = tableOfRoutes((i) => ({ from: 'https://re.corp.example', regex: `/(?:api|v1)/[a-z]+-${i}` }), 1000)
const exactFacts = Array.from({ length: 1024 }, (_, i) => facts(`app${(i * 7919) % ROUTES}.corp.example`, '/a/b'))
const prefixFacts = Array.from({ length: 1024 }, (_, i) =>
  facts('one.corp.example', `/team-${(i * 7919) % ROUTES}/a/b`),
)
const regexFacts = Array.from({ length: 1024 }, (_, i) => facts('re.corp.example', `/api/x-${(i * 7919) % 1000}`))
const wildcardFacts = Array.from({ length: 1024 }, (_, i) => facts(`x.team${(i * 7919) % ROUTES}.corp.example`, '/a/b'))
const found = (table: typeof exact, asked: RequestFacts): true | undefined =>
  table.match(asked).kind === 'route' ? true : undefined

const metrics = createMetrics({ version: 'bench', node: process.version })
const sample: RequestSample = {
  facts: request,
  who: alice,
  route,
  decision: decide(route, alice, request, wallTime(0)),
  shadow: undefined,
  finished: {
    status: 200,
    bytesOut: 1024,
    forwarded: { status: 200, upstream: 'http://127.0.0.1:1', upstreamMs: 3, bytesIn: 0, bytesOut: 1024 },
  },
  error: undefined,
  seconds: 0.004,
}

const results: readonly MicroResult[] = [
  measure('decision: 20 criteria, 500 groups', 2000, () =>
    decide(route, alice, request, wallTime(0)).outcome === 'allow' ? true : undefined,
  ),
  measure(`route lookup: exact, ${ROUTES} hosts`, 1000, (i) => found(exact, exactFacts[i & 1023] as RequestFacts)),
  measure(`route lookup: wildcard, ${ROUTES} hosts`, 3000, (i) =>
    found(wildcard, wildcardFacts[i & 1023] as RequestFacts),
  ),
  measure(`route lookup: ${ROUTES} prefixes of one host`, 2000, (i) =>
    found(prefixes, prefixFacts[i & 1023] as RequestFacts),
  ),
  measure(
    'route lookup: 1000 regexes of one host',
    500_000,
    (i) => found(regexes, regexFacts[i & 1023] as RequestFacts),
    500,
  ),
  // 20,000 people and 500 routes within ten seconds.
  measure('access review: one person, one route', 1000, () => review(route, alice)),
  measure(
    'portal: 500 routes judged for one person',
    5_000_000,
    () => (applications([alice], request, wallTime(0)).list.length === 250 ? true : undefined),
    50,
  ),
  measure('metrics: every series of one request', 2000, () => {
    metrics.request(sample)
    return true
  }),
]
console.log(JSON.stringify(results))
