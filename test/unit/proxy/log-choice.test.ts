import { describe, expect, test } from 'vitest'
import { ACCESS_FIELDS, AUTHORIZE_FIELDS, POMERIUM_FIELDS } from '../../../src/lib/request-log-fields.ts'
import { LOG_GROUPS } from '../../../src/lib/log-fields.ts'
import type { RequestFacts, RequestHead } from '../../../src/http/exchange.ts'
import { headerLines } from '../../../src/http/header-lines.ts'
import { createChoose, type LogChoice } from '../../../src/proxy/log-choice.ts'

const LINE = {
  request_id: 'r1',
  client_ip: '192.0.2.1',
  method: 'GET',
  host: 'app.test',
  path: '/a',
  status: 200,
  duration_ms: 3,
  route: 'app',
  route_id: 'r-1',
  email: 'ann@corp.example',
  user_id: '00u1',
  decision: 'allow',
  reasons: ['email-ok'],
  error: 'ERR_UPSTREAM_RESET',
  user_agent: 'wrk',
}
const headers = headerLines(
  [
    ['Referer', 'https://other.test/page?token=hidden#x'],
    ['X-Forwarded-For', '203.0.113.9'],
    ['X-Tenant', 'one'],
    ['x-tenant', 'two'],
    ['Cookie', 'hidden'],
  ].flat(),
)
const asked = (control = false) => ({
  facts: { query: '?q=1', clientCertificate: { fingerprint: 'ab12' } } as RequestFacts,
  head: { headers } as RequestHead,
  control,
})
const chosen = (choice: LogChoice, control?: boolean) => createChoose(choice)?.(LINE, asked(control))
const ALWAYS = { decision: 'allow', reasons: ['email-ok'], error: 'ERR_UPSTREAM_RESET' }

test('without a choice there is nothing to choose', () => {
  expect(createChoose({})).toBeUndefined()
})

test('each key replaces its half of the line; decision, reasons and faults stay', () => {
  const { route, route_id, email, user_id, ...rest } = LINE
  expect(chosen({ accessLogFields: ['status'] })).toEqual({ status: 200, route, route_id, email, user_id, ...ALWAYS })
  expect(chosen({ authorizeLogFields: ['email'] })).toEqual({ ...rest, email })
  expect(chosen({ accessLogFields: [], authorizeLogFields: [] })).toEqual(ALWAYS)
  expect(chosen({ accessLogFields: ['email'], authorizeLogFields: ['status'] })).toEqual({
    email,
    status: 200,
    ...ALWAYS,
  })
})

test("Pomerium's names are names of ours in the line", () => {
  const choice = { accessLogFields: ['authority', 'response-code'], authorizeLogFields: ['user', 'route-id'] }
  expect(chosen(choice)).toEqual({ host: 'app.test', status: 200, user_id: '00u1', route_id: 'r-1', ...ALWAYS })
})

describe('what is asked for alone', () => {
  const accessLogFields = [
    'query',
    'referer',
    'forwarded-for',
    'client-certificate',
    'headers.X-Tenant',
    'headers.X-None',
  ]
  test('is there, the referer without its query, and all values of a header', () => {
    expect(chosen({ accessLogFields, authorizeLogFields: [] })).toEqual({
      query: '?q=1',
      referer: 'https://other.test/page',
      forwarded_for: '203.0.113.9',
      client_certificate: 'ab12',
      headers: { 'X-Tenant': 'one, two' },
      ...ALWAYS,
    })
  })

  test('but never the query of our own paths: codes and states are in it', () => {
    expect(chosen({ accessLogFields: ['query'] }, true)).not.toHaveProperty('query')
  })
})

test('every name is a field of the log', () => {
  const fields = new Set(Object.values(LOG_GROUPS).flatMap((group) => Object.keys(group)))
  for (const name of [...ACCESS_FIELDS, ...AUTHORIZE_FIELDS, ...Object.values(POMERIUM_FIELDS)]) {
    expect(fields).toContain(name)
  }
})
