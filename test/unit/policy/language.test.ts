/** The policy language against a naive reader of it: documents with real criteria, and requests that come near to them. */
import { headerLines } from '../../../src/http/header-lines.ts'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { decide } from '../../../src/policy/engine.ts'
import { personKey } from '../../../src/lib/person.ts'
import { FOREVER, wallTime } from '../../../src/lib/time.ts'
import { createMembership } from '../../../src/policy/membership.ts'
import { parsePolicy } from '../../../src/policy/parse.ts'
import { RequestHeaders } from '../../../src/routing/header-view.ts'
import type { Principal } from '../../../src/policy/model.ts'
import type { ClientCertificate } from '../../../src/http/request.ts'
import type { RequestFacts } from '../../../src/http/exchange.ts'
import type { Route } from '../../../src/config/route-model.ts'

interface Asked {
  readonly method: 'GET' | 'OPTIONS'
  readonly header: string | undefined
  readonly origin: string | undefined
  readonly query: string | undefined
  /** Hours since the begin of 2026, a Thursday. */
  readonly hour: number
  /** With a valid client certificate. */
  readonly certified: boolean
  readonly who: 'nobody' | { readonly groups: readonly string[] | 'unknown'; readonly tokenGroups: readonly string[] }
}

const NEW_YEAR = Date.UTC(2026, 0, 1)
const HOUR = 3_600_000
const words = fc.constantFrom('a', 'b', '')
const groupNames = fc.subarray(['A', 'B'])
const asked: fc.Arbitrary<Asked> = fc.record({
  method: fc.constantFrom('GET', 'OPTIONS'),
  header: fc.option(words, { nil: undefined }),
  origin: fc.constantFrom('https://a.example', undefined),
  query: fc.option(words, { nil: undefined }),
  hour: fc.nat(24 * 14),
  certified: fc.boolean(),
  who: fc.oneof(
    fc.constant('nobody' as const),
    fc.record({ groups: fc.oneof(groupNames, fc.constant('unknown' as const)), tokenGroups: groupNames }),
  ),
})

type Truth = boolean | 'open'
interface Drawn {
  readonly written: Readonly<Record<string, unknown>>
  readonly truth: (asked: Asked) => Truth
}

const DAYS = ['thu', 'fri', 'sat', 'sun', 'mon', 'tue', 'wed']
const inGroup =
  (test: (groups: readonly string[]) => boolean) =>
  ({ who }: Asked): Truth =>
    who === 'nobody' || who.groups === 'unknown' ? 'open' : test(who.groups)

const criteria: fc.Arbitrary<Drawn> = fc.oneof(
  words
    .filter(Boolean)
    .map((is) => ({ written: { 'http_header/X-Kind': is }, truth: ({ header }: Asked) => header === is })),
  words.map((not) => ({
    written: { 'http_header/x-kind': { not } },
    truth: ({ header = '' }: Asked) => header !== not,
  })),
  words.filter(Boolean).map((is) => ({ written: { 'http_query/q': is }, truth: ({ query }: Asked) => query === is })),
  fc.constant({
    written: { 'http_query/q': { not_in: ['a', 'b'] } },
    truth: ({ query = '' }: Asked) => !['a', 'b'].includes(query),
  }),
  fc
    .tuple(fc.nat(23), fc.nat(23))
    .filter(([from, to]) => from !== to)
    .map(([from, to]) => ({
      written: { time_of_day: { timezone: 'UTC', after: `${from}:00`, before: `${to}:00` } },
      truth: ({ hour }: Asked) => {
        for (let at = from; at !== to; at = (at + 1) % 24) if (hour % 24 === at) return true
        return false
      },
    })),
  fc.tuple(fc.nat(6), fc.nat(6)).map(([from, to]) => ({
    written: { day_of_week: `${DAYS[from]}-${DAYS[to]}` },
    truth: ({ hour }: Asked) => {
      const day = Math.floor(hour / 24) % 7
      return from <= to ? day >= from && day <= to : day >= from || day <= to
    },
  })),
  fc.nat(24 * 14).map((until) => ({
    written: { date: { before: new Date(NEW_YEAR + until * HOUR).toISOString() } },
    truth: ({ hour }: Asked) => hour < until,
  })),
  fc.constant({
    written: { cors_preflight: true },
    truth: ({ method, origin }: Asked) => method === 'OPTIONS' && origin !== undefined,
  }),
  fc.constantFrom('A', 'B').map((name) => ({
    written: { 'claim/groups': name },
    truth: inGroup((groups) => groups.includes(name)),
  })),
  fc.constantFrom('A', 'B').map((name) => ({
    written: { 'claim/groups': { exclude: name } },
    truth: inGroup((groups) => !groups.includes(name)),
  })),
  fc.constant({ written: { invalid_client_certificate: true }, truth: ({ certified }: Asked) => !certified }),
)
const clause = fc.record({
  op: fc.constantFrom('and', 'or', 'not', 'nor'),
  members: fc.array(criteria, { minLength: 1, maxLength: 3 }),
})
type DrawnClause = { readonly op: string; readonly members: readonly Drawn[] }
const clauses = fc.array(clause, { maxLength: 3 })

const write = (list: readonly DrawnClause[]): Readonly<Record<string, unknown>>[] =>
  list.map(({ op, members }) => ({ [op]: members.map(({ written }) => written) }))

function judgeNaively(allow: readonly DrawnClause[], deny: readonly DrawnClause[], request: Asked): string {
  const valueOf = ({ op, members }: DrawnClause): Truth => {
    const flipped = op === 'not' || op === 'nor'
    const values = members.map(({ truth }) => truth(request)).map((one) => (one === 'open' ? one : one !== flipped))
    const decisive = op === 'or' || op === 'nor'
    return values.includes(decisive) ? decisive : values.includes('open') ? 'open' : !decisive
  }
  const any = (list: readonly DrawnClause[]): Truth => {
    const values = list.map(valueOf)
    return values.includes(true) ? true : values.includes('open') ? 'open' : false
  }
  const [allowed, denied] = [any(allow), any(deny)]
  if (allowed === true && denied === false) return 'allow'
  // No sign-in gives anybody a certificate.
  const isForWantOfOne = deny.some(
    (each) =>
      (each.op === 'and' || each.op === 'or') &&
      valueOf(each) === true &&
      !request.certified &&
      each.members.some(({ written }) => 'invalid_client_certificate' in written),
  )
  if (isForWantOfOne) return 'deny'
  const asks = (list: readonly DrawnClause[], value: Truth): boolean =>
    value !== true && list.some(({ members }) => members.some(({ truth }) => truth(request) === 'open'))
  if (request.who === 'nobody' && (asks(allow, allowed) || asks(deny, denied))) return 'sign-in'
  return denied === true || allowed === false ? 'deny' : 'unavailable'
}

test('the language is judged as it reads, whoever asks for whatever at whatever time', () => {
  fc.assert(
    fc.property(clauses, clauses, asked, (allow, deny, request) => {
      const parsed = parsePolicy([
        ...write(allow).map((body) => ({ allow: body })),
        ...write(deny).map((body) => ({ deny: body })),
      ])
      if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.issues))
      const route = { name: 'app', policy: { kind: 'rules', allow: parsed.allow, deny: parsed.deny } } as Route
      const decision = decide(route, principalOf(request), factsOf(request), wallTime(NEW_YEAR + request.hour * HOUR))
      expect(decision.outcome).toBe(judgeNaively(allow, deny, request))
    }),
    { numRuns: 3000 },
  )
})

function principalOf({ who }: Asked): Principal | undefined {
  if (who === 'nobody') return undefined
  const { groups, tokenGroups } = who
  const named = groups === 'unknown' ? [] : groups.map((name) => ({ id: name, name, type: 'OKTA_GROUP' as const }))
  return {
    kind: 'session',
    provider: 'default',
    person: personKey({ issuer: 'i', subject: 's' }),
    identity: { issuer: 'i', subject: 's', claims: { groups: tokenGroups } },
    sessionId: 's',
    expiresAt: FOREVER,
    membership: groups === 'unknown' ? 'unknown' : createMembership(named, 0, 'test'),
    status: 'active',
  }
}

const CERTIFICATE: ClientCertificate = {
  fingerprint: 'a',
  spkiHash: 'a',
  names: { dns: [], email: [], ipAddress: [], uri: [], userPrincipalName: [] },
  notAfter: FOREVER,
  fault: undefined,
  checkedBy: '1',
}

function factsOf({ method, header, origin, query, certified }: Asked): RequestFacts {
  const raw = [
    ...(header === undefined ? [] : ['X-Kind', header]),
    ...(origin === undefined ? [] : ['Origin', origin, 'Access-Control-Request-Method', 'PUT']),
  ]
  return {
    id: 'r',
    method,
    host: 'app.corp.example',
    port: undefined,
    path: '/',
    query: query === undefined ? '' : `?q=${query}&r=1`,
    clientIp: '192.0.2.1',
    clientCertificate: certified ? CERTIFICATE : undefined,
    scheme: 'https',
    wants: 'html',
    cookie: '',
    origin,
    userAgent: '',
    headers: new RequestHeaders(headerLines(raw), new Set()),
  }
}
