import { NO_LINES } from '../../../src/http/header-lines.ts'
import { beforeEach, expect, test } from 'vitest'
import { AppError, ERRORS } from '../../../src/errors.ts'
import { createLogger } from '../../../src/lib/log.ts'
import { sessionTag } from '../../../src/lib/audit.ts'
import { type AccessLog, createAccessLog, type Progress } from '../../../src/proxy/access-log.ts'
import type { Finished, RequestFacts } from '../../../src/http/exchange.ts'
import type { Route } from '../../../src/config/route-model.ts'
import { RequestHeaders } from '../../../src/routing/header-view.ts'
import type { Principal, ServicePrincipal, SessionPrincipal, TokenPrincipal } from '../../../src/policy/model.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'

let clock: ManualClock
let accessLog: AccessLog
let written: string
/** The last line as it was written. */
let raw: string
beforeEach(() => {
  clock = manualClock()
  written = ''
  const logger = createLogger('debug', { write: (line: string) => void (written += line) })
  accessLog = createAccessLog(logger, clock, () => {})
})

const facts: RequestFacts = {
  id: 'request-1',
  method: 'GET',
  host: 'app.example.com',
  port: undefined,
  path: '/reports',
  query: '?token=hidden',
  clientIp: '192.0.2.1',
  scheme: 'https',
  wants: 'html',
  cookie: 'secret=hidden',
  origin: undefined,
  userAgent: 'wrk',
  headers: new RequestHeaders(NO_LINES, new Set()),
}
const route = { name: 'reports', id: 'r-1' } as Route
const who = {
  kind: 'session',
  provider: 'default',
  sessionId: 'session-1',
  identity: { subject: '00u1', email: 'ann@example.com' },
} as SessionPrincipal
const finished: Finished = {
  status: 200,
  bytesOut: 1024,
  forwarded: { status: 200, upstream: 'http://127.0.0.1:9', upstreamMs: 3, bytesIn: 7, bytesOut: 1024 },
}

function lineOf(progress: Omit<Progress, 'startedAt'>, ...outcome: [Finished?, AppError?]): Record<string, unknown> {
  const startedAt = clock.now()
  clock.advance(5)
  accessLog({ startedAt, ...progress }, ...outcome)
  const { time: _, ...fields } = JSON.parse(written) as Record<string, unknown>
  raw = written
  written = ''
  return fields
}

const basics = {
  level: 'info',
  msg: 'request',
  request_id: 'request-1',
  client_ip: '192.0.2.1',
  method: 'GET',
  host: 'app.example.com',
  path: '/reports',
  duration_ms: 5,
  user_agent: 'wrk',
}

test('the line of a forwarded request has person, request, reasons and duration', () => {
  const decision = { outcome: 'allow', grant: {}, reasons: ['group-ok'] } as unknown as NonNullable<
    Progress['decision']
  >
  const expected = {
    ...basics,
    status: 200,
    bytes_out: 1024,
    bytes_in: 7,
    upstream: 'http://127.0.0.1:9',
    upstream_ms: 3,
    route: 'reports',
    route_id: 'r-1',
    decision: 'allow',
    reasons: ['group-ok'],
    auth: 'session',
    user_id: '00u1',
    email: 'ann@example.com',
    session: sessionTag('session-1'),
  }
  expect(lineOf({ facts, route, who, decision }, finished)).toEqual(expected)
  expect(lineOf({ facts, route, who, decision }, finished)).toEqual(expected)
})

test.each(['HTTP/1.0', 'HTTP/1.1', 'HTTP/2.0'])('the line of a request of %s says so', (protocol) => {
  expect(lineOf({ facts, protocol }, finished)).toMatchObject({ method: 'GET', path: '/reports', protocol })
  const bad = { kind: 'bad-request', id: 'b', status: 400, detail: 'x', clientIp: '192.0.2.1', wants: 'json' } as const
  expect(lineOf({ facts: bad, protocol }, { status: 400, bytesOut: 3 })).toMatchObject({ detail: 'x', protocol })
})

test('times are whole milliseconds', () => {
  const startedAt = clock.monotonic()
  clock.advance(4.6)
  accessLog({ startedAt, facts }, { ...finished, forwarded: { ...finished.forwarded!, upstreamMs: 2.6 } })
  expect(JSON.parse(written)).toMatchObject({ duration_ms: 5, upstream_ms: 3 })
  written = ''
})

test('two sessions with one identity are told apart', () => {
  expect(lineOf({ facts, who })).toMatchObject({ session: sessionTag('session-1') })
  expect(lineOf({ facts, who: { ...who, sessionId: 'session-2' } })).toMatchObject({ session: sessionTag('session-2') })
  expect(lineOf({ facts, who })).toMatchObject({ session: sessionTag('session-1') })
})

test('a token is told by its kind, and a program by its account', () => {
  const identity = { issuer: 'https://ci.test', subject: 'repo:a', claims: {} }
  const token = { identity, kind: 'token', tokenId: 't1', scopes: [] } as unknown as TokenPrincipal
  const service = { identity, kind: 'service', tokenId: 't2', account: 'ci' } as ServicePrincipal
  const auth = (principal: Principal) => {
    const { auth, user_id, email, session, service_account, issuer, token } = lineOf({ facts, who: principal })
    return { auth, user_id, email, session, service_account, issuer, token }
  }
  expect(auth(service)).toEqual({ auth: 'service', service_account: 'ci', token: 't2' })
  expect(auth(token)).toEqual({ auth: 'token', user_id: 'repo:a', token: 't1' })
  expect(auth({ ...token, identity: { ...identity }, account: 'repo:a' })).toEqual({
    auth: 'token',
    service_account: 'repo:a',
    issuer: 'https://ci.test',
    token: 't1',
  })
})

test('unknown fields are left out', () => {
  expect(lineOf({ facts }, { status: 404, bytesOut: 10 })).toEqual({ ...basics, status: 404, bytes_out: 10 })
  expect(lineOf({ facts })).toEqual(basics)
})

test('the line of a cut exchange has the reason', () => {
  const cut: Finished = { ...finished, forwarded: { ...finished.forwarded!, cut: 'signed-out' } }
  expect(lineOf({ facts }, cut)).toMatchObject({ level: 'info', cut: 'signed-out' })
})

test('an answer that its upstream broke off is a warning: its status does not tell', () => {
  const cut: Finished = { ...finished, forwarded: { ...finished.forwarded!, cut: 'ERR_UPSTREAM_RESET' } }
  expect(lineOf({ facts }, cut)).toMatchObject({ level: 'warn', status: 200, cut: 'ERR_UPSTREAM_RESET' })
})

test('a time limit is named, whether it gave an answer or cut one', () => {
  const forwarded = { ...finished.forwarded!, cut: 'ERR_UPSTREAM_TIMEOUT', limit: 'idle_timeout (5m)' } as const
  expect(lineOf({ facts }, { ...finished, forwarded })).toMatchObject({ limit: 'idle_timeout (5m)' })
  const late = new AppError('ERR_CLIENT_TIMEOUT', 'late', { details: { limit: 'client_body_timeout (1m)' } })
  expect(lineOf({ facts }, undefined, late)).toMatchObject({ level: 'info', limit: 'client_body_timeout (1m)' })
})

test('the line of an error has its cause; from 500 on its level is error', () => {
  const refused = new AppError('ERR_UPSTREAM_TIMEOUT', 'upstream: no answer in time', { cause: new Error('"slow"') })
  expect(lineOf({ facts }, undefined, refused)).toEqual({
    ...basics,
    level: 'error',
    error: 'ERR_UPSTREAM_TIMEOUT',
    error_message: 'upstream: no answer in time',
    cause: '"slow"',
    remedy: ERRORS.ERR_UPSTREAM_TIMEOUT.remedy,
  })
  expect(lineOf({ facts }, undefined, new AppError('ERR_CLIENT_CLOSED', 'gone'))).toMatchObject({ level: 'info' })
})

test.each(['\x9b31m\x85\x7f\u202e\u200b', '"}\n{"level":"fatal"', '\\', '\u2028\u0000\x7f', 'Grüße \ud800', 'x"y'])(
  'a client that says %j cannot write a line or a field of its own',
  (evil) => {
    const told = lineOf({ facts: { ...facts, path: evil, host: evil, method: evil, userAgent: evil, id: evil } })
    expect(told).toEqual({ ...basics, path: evil, host: evil, method: evil, user_agent: evil, request_id: evil })
    expect(raw).toMatch(/^[^\x7f-\x9f\u200b-\u200f\u2028-\u202e]*$/)
  },
)

test('the line of a refused request has the reason and no facts', () => {
  const bad = {
    kind: 'bad-request',
    id: 'b',
    status: 400,
    detail: 'invalid Host',
    clientIp: '192.0.2.1',
    wants: 'json',
  } as const
  expect(lineOf({ facts: bad }, { status: 400, bytesOut: 3 })).toEqual({
    level: 'info',
    msg: 'request',
    request_id: 'b',
    client_ip: '192.0.2.1',
    status: 400,
    detail: 'invalid Host',
    duration_ms: 5,
  })
})

test('what a client chooses is bounded and says how much is left out', () => {
  const long = 'x'.repeat(30_000)
  const told = lineOf({ facts: { ...facts, path: `/${long}`, userAgent: long, host: long, method: long } })
  expect(told).toMatchObject({
    path: `/${'x'.repeat(1023)}… (28977 more)`,
    user_agent: `${'x'.repeat(512)}… (29488 more)`,
    host: `${'x'.repeat(512)}… (29488 more)`,
    method: `${'x'.repeat(512)}… (29488 more)`,
  })
  const error = new AppError('ERR_UPSTREAM_PROTOCOL', long, { cause: new Error(long) })
  expect(JSON.stringify(lineOf({ facts }, undefined, error)).length).toBeLessThan(6000)
})

test('redirects to the sign-in and our own paths are for those who look for them, unless they were refused', () => {
  const decision = { outcome: 'sign-in', reasons: ['user-unauthenticated'] } as const
  const level = (progress: Omit<Progress, 'startedAt'>, status: number, error?: AppError) =>
    lineOf({ facts, ...progress }, { status, bytesOut: 0 }, error)['level']
  expect(level({ decision }, 302)).toBe('debug')
  expect(level({ decision }, 401)).toBe('info')
  expect(level({ kind: 'control' }, 200)).toBe('debug')
  expect(level({ kind: 'control' }, 302)).toBe('debug')
  expect(level({ kind: 'control' }, 403)).toBe('info')
  expect(level({ kind: 'control' }, 400, new AppError('ERR_SIGN_IN_STATE', 'used'))).toBe('info')
  expect(level({ kind: 'control' }, 503, new AppError('ERR_IDP_UNREACHABLE', 'down'))).toBe('error')
  expect(level({}, 302)).toBe('info')
})

test('what goes on failing is an error once, and again every ten minutes with how often', () => {
  const away = new AppError('ERR_UPSTREAM_CONNECT', 'upstream: refused')
  const said = (of: Route, error: AppError) => {
    const { level, repeated } = lineOf({ facts, route: of }, { status: 502, bytesOut: 0 }, error)
    return [level, repeated]
  }
  expect(said(route, away)).toEqual(['error', undefined])
  expect(said(route, away)).toEqual(['info', undefined])
  expect(said(route, away)).toEqual(['info', undefined])
  expect(said({ ...route, id: 'r-2' }, away)).toEqual(['error', undefined])
  clock.advance(600_000)
  expect(said(route, away)).toEqual(['error', 2])
  expect(said(route, away)).toEqual(['info', undefined])
  // Something else is wrong now.
  expect(said(route, new AppError('ERR_UPSTREAM_TLS', 'upstream: expired'))).toEqual(['error', undefined])
  expect(said(route, away)).toEqual(['error', undefined])
})

test('the faults of any number of routes take no more room than a thousand', () => {
  const away = new AppError('ERR_UPSTREAM_CONNECT', 'upstream: refused')
  for (let i = 0; i < 1001; i++) {
    expect(lineOf({ facts, route: { ...route, id: `r-${i}` } }, undefined, away)['level']).toBe('error')
  }
  expect(lineOf({ facts, route: { ...route, id: 'r-0' } }, undefined, away)['level']).toBe('error')
})
