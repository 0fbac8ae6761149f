/** What a hop in front says of a request is kept when it is trusted, and nobody else can say it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet, only } from '../support/gauntlet.ts'

const TRACE = 'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const SAID = ['X-Request-Id: lb-7f3a', 'X-Forwarded-Prefix: /team', TRACE, 'tracestate: a=b', 'X-Forwarded-Uri: /admin']
const names = ['x-forwarded-prefix', 'traceparent', 'tracestate', 'x-forwarded-uri']

let behind: Gauntlet
let open: Gauntlet
beforeAll(async () => {
  behind = await createGauntlet({ people: [], config: { trusted_proxies: ['127.0.0.1'] } })
  open = await createGauntlet({ people: [] })
})
afterAll(async () => {
  for (const gauntlet of [behind, open]) await gauntlet.close()
})

describe('a trusted hop', () => {
  test('its request id is in the log, the request to the upstream and the answer', async () => {
    const { answers, received, lines } = await behind.get('/public', ...SAID)
    expect(only(answers).headers.filter(([name]) => name === 'x-request-id')).toEqual([['x-request-id', 'lb-7f3a']])
    expect(only(received).values('x-request-id')).toEqual(['lb-7f3a'])
    expect(only(lines)['request_id']).toBe('lb-7f3a')
  })

  test('its id is in answers of ours, also to what could not be understood', async () => {
    expect(JSON.parse(only((await behind.get('/user', ...SAID)).answers).body)).toMatchObject({ request_id: 'lb-7f3a' })
    const bad = await behind.get('/public/..%2f', ...SAID)
    expect(JSON.parse(only(bad.answers).body)).toMatchObject({ request_id: 'lb-7f3a' })
    expect(only(bad.lines)['request_id']).toBe('lb-7f3a')
  })

  test('its prefix and its trace reach the application, and nothing else that it writes', async () => {
    const upstream = only((await behind.get('/public', ...SAID)).received)
    expect(names.map((name) => upstream.values(name))).toEqual([['/team'], [TRACE.slice(13)], ['a=b'], []])
  })

  test.each([
    'X-Request-Id:',
    `X-Request-Id: ${'a'.repeat(129)}`,
    'X-Request-Id: a b',
    'X-Request-Id: a"b',
    'X-Request-Id: -x',
    'X-Request-Id: ${jndi:x}',
    'X-Request-Id: caf\u00e9',
    'X-Request-Id: a\r\nX-Request-Id: b',
    'X_Request_Id: a',
  ])('%j is no id', async (header) => {
    const { received, lines } = await behind.get('/public', header)
    const id = only(lines)['request_id']
    expect(id).toMatch(/^[\w-]{11}-[0-9a-z]+$/)
    expect(only(received).values('x-request-id')).toEqual([id])
  })
})

test('of anybody else none of it counts', async () => {
  const { answers, received, lines } = await open.get('/public', ...SAID)
  const id = only(lines)['request_id']
  expect(id).not.toBe('lb-7f3a')
  expect(only(answers).header('x-request-id')).toBe(id)
  const upstream = only(received)
  expect(upstream.values('x-request-id')).toEqual([id])
  expect(names.flatMap((name) => upstream.values(name))).toEqual([])
})
