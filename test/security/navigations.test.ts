/** A person in a browser window never sees JSON, and a program never sees a page. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'

const ACCEPT = 'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
const NAVIGATION = [ACCEPT, 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document']
const FORM = [...NAVIGATION, 'Content-Type: application/x-www-form-urlencoded', 'Content-Length: 3']

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet({
    moreRoutes: [
      {
        name: 'office only',
        prefix: '/office',
        policy: [{ allow: { and: [{ accept: true }, { source_ip: '192.0.2.0/24' }] } }],
      },
      { name: 'down', prefix: '/down', to: 'http://127.0.0.1:9', allow_public_unauthenticated_access: true },
    ],
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

const cases: readonly (readonly [what: string, status: number, bytes: (...headers: readonly string[]) => string])[] = [
  ['a path with hidden dots', 400, (...headers) => request('GET', '/public/..%2fadmin', ...headers)],
  ['an escaped slash', 400, (...headers) => request('GET', '/public/a%2Fb', ...headers)],
  ['a method that is not passed on', 405, (...headers) => request('TRACE', '/public', ...headers)],
  ['two hosts', 400, (...headers) => request('GET', '/public', 'Host: a', 'Host: b', ...headers)],
  ['a form without a session', 401, (...headers) => `${request('POST', '/user', 'Content-Length: 3', ...headers)}a=1`],
  ['a network that may not', 403, (...headers) => request('GET', '/office', ...headers)],
  ['nothing there', 404, (...headers) => request('GET', '/nothing', ...headers)],
  [
    'a form to a page of ours',
    405,
    (...headers) => `${request('POST', '/.postern/', 'Content-Length: 3', ...headers)}a=1`,
  ],
  ['an upstream that is down', 502, (...headers) => request('GET', '/down', ...headers)],
  ['too many cookies', 431, (...headers) => request('GET', '/public', ...headers, `Cookie: a=${'x'.repeat(40_000)}`)],
  ['too many headers', 431, (...headers) => request('GET', '/public', ...headers, ...Array(1001).fill('X: 1'))],
]

describe('in a browser window', () => {
  // Of two hosts and of too many headers nothing is read: no browser sends either.
  const shown = cases.filter(([what]) => what !== 'two hosts' && what !== 'too many headers')
  test.each(shown)('%s is a page (%d)', async (_, status, bytes) => {
    const answer = only((await gauntlet.send(bytes(...NAVIGATION))).answers)
    expect(answer.status).toBe(status)
    expect(answer.header('content-type')).toBe('text/html; charset=utf-8')
    expect(answer.header('content-security-policy')).toContain("default-src 'none'")
    expect(answer.body).toMatch(/^<!doctype html>/)
    expect(answer.complete).toBe(true)
  })
})

describe('of a program', () => {
  test.each(cases)('%s is no page (%d)', async (_, status, bytes) => {
    for (const headers of [[], [ACCEPT, 'Sec-Fetch-Mode: cors'], [ACCEPT, 'X-Requested-With: XMLHttpRequest']]) {
      // The head of too many cookies is not read: what it accepts is all that is known.
      if (status === 431 && headers.length > 0) continue
      const answer = only((await gauntlet.send(bytes(...headers))).answers)
      expect(answer.status).toBe(status)
      expect(answer.header('content-type') ?? '').not.toContain('html')
    }
  })
})

describe('a form that is sent after the session ended', () => {
  test('gets a page that says so, and no redirect', async () => {
    const { answers, received } = await gauntlet.send(`${request('POST', '/user', ...FORM)}a=1`)
    const answer = only(answers)
    expect(answer.status).toBe(401)
    expect(answer.header('location')).toBeUndefined()
    expect(answer.header('www-authenticate')).toMatch(/^Bearer realm=/)
    expect(answer.body).toContain('Your session is over')
    expect(answer.body).toContain('href="http://app.localhost/.postern/sign_in"')
    expect(received).toEqual([])
  })

  test('an older browser, without Sec-Fetch-Mode, gets it too', async () => {
    const { answers } = await gauntlet.send(`${request('POST', '/user', ACCEPT, 'Content-Length: 3')}a=1`)
    expect(only(answers).body).toContain('Your session is over')
  })

  test('a refusal offers no link that would drop the input', async () => {
    const { answers } = await gauntlet.send(
      `${request('POST', '/admin', ...FORM, `Cookie: ${gauntlet.cookies['bob']}`)}a=1`,
    )
    expect(only(answers).status).toBe(403)
    expect(only(answers).body).not.toContain('Try again')
  })
})

test('the log line of a request that could not be understood has method, host and path, and no query', async () => {
  const { lines } = await gauntlet.get('/public/..%2fadmin?token=secret', ...NAVIGATION)
  expect(only(lines)).toMatchObject({
    status: 400,
    method: 'GET',
    host: 'app.localhost',
    path: '/public/..%2fadmin',
    detail: 'invalid path',
  })
  expect(JSON.stringify(lines)).not.toContain('secret')
})
