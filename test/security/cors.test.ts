/** Preflights pass where a route lets them, nothing else does; pages of `allow_origins` can read our refusals, no others. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'

const PARTNER = 'https://partner.corp.example'
const ORIGIN = `Origin: ${PARTNER}`
const METHOD = 'Access-Control-Request-Method: PUT'

let gauntlet: Gauntlet
beforeAll(async () => {
  const api = { cors_allow_preflight: true, allow_origins: [PARTNER, 'https://second.corp.example'] }
  gauntlet = await createGauntlet({
    moreRoutes: [
      { name: 'api', prefix: '/api2', allowed_groups: ['Engineering'], ...api },
      { name: 'any', prefix: '/any', allow_any_authenticated_user: true, ...api },
      {
        name: 'denied',
        prefix: '/denied',
        ...api,
        policy: [{ allow: { or: [{ authenticated_user: true }] }, deny: { or: [{ source_ip: '127.0.0.0/8' }] } }],
      },
      { name: 'down', prefix: '/down', to: 'http://127.0.0.1:9', allow_public_unauthenticated_access: true, ...api },
    ],
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

const ask = (method: string, target: string, ...headers: readonly string[]) =>
  gauntlet.send(request(method, target, ...headers))

describe('cors_allow_preflight', () => {
  test.each(['/api2/x', '/any/x'])('a preflight of %s reaches the application without a session', async (target) => {
    const { statuses, received, lines } = await ask('OPTIONS', target, ORIGIN, METHOD)
    expect(statuses).toEqual([200])
    expect(only(received)).toMatchObject({ method: 'OPTIONS', target })
    expect(only(received).values('origin')).toEqual([PARTNER])
    expect(only(lines)).toMatchObject({ decision: 'allow', reasons: ['cors-request'] })
  })

  test.each<[what: string, method: string, headers: readonly string[]]>([
    ['OPTIONS without Origin', 'OPTIONS', [METHOD]],
    ['OPTIONS without a requested method', 'OPTIONS', [ORIGIN]],
    ['another method', 'PUT', [ORIGIN, METHOD]],
    ['GET', 'GET', [ORIGIN, METHOD]],
    ['a requested method in another spelling', 'OPTIONS', [ORIGIN, 'Access_Control_Request_Method: PUT']],
    [
      'a requested method that is dropped on the way',
      'OPTIONS',
      [ORIGIN, METHOD, 'Connection: access-control-request-method'],
    ],
    ['an Origin that is dropped on the way', 'OPTIONS', [ORIGIN, METHOD, 'Connection: origin']],
  ])('%s is no preflight', async (_, method, headers) => {
    const { statuses, received } = await ask(method, '/any/x', ...headers)
    expect(received).toEqual([])
    expect(statuses[0]).toBeGreaterThanOrEqual(400)
  })

  test('a route without the key answers 401', async () => {
    const { statuses, received } = await ask('OPTIONS', '/user', ORIGIN, METHOD)
    expect({ statuses, received }).toEqual({ statuses: [401], received: [] })
  })

  test('a deny rule wins', async () => {
    const { statuses, received } = await ask('OPTIONS', '/denied', ORIGIN, METHOD)
    expect({ statuses, received }).toEqual({ statuses: [403], received: [] })
  })
})

describe('answers of ours to pages of allow_origins', () => {
  test.each<[what: string, status: number, target: string, people: readonly string[]]>([
    ['401', 401, '/api2', []],
    ['403', 403, '/api2', ['bob']],
    ['502', 502, '/down', []],
  ])('a %s can be read', async (_, status, target, people) => {
    const cookies = people.map((login) => `Cookie: ${gauntlet.cookies[login]}`)
    const answer = only((await ask('PUT', target, ORIGIN, ...cookies)).answers)
    expect(answer.status).toBe(status)
    expect(answer.header('access-control-allow-origin')).toBe(PARTNER)
    expect(answer.header('access-control-allow-credentials')).toBe('true')
    expect(answer.header('vary')).toBe('Origin')
  })

  test.each(['https://evil.example', 'null', `${PARTNER}.evil.example`, `${PARTNER}:444`, PARTNER.toUpperCase(), ''])(
    'Origin %j reads nothing, and caches are told that it depends',
    async (origin) => {
      const answer = only((await ask('GET', '/api2', `Origin: ${origin}`)).answers)
      expect(answer.status).toBe(401)
      expect(answer.header('access-control-allow-origin')).toBeUndefined()
      expect(answer.header('access-control-allow-credentials')).toBeUndefined()
      expect(answer.header('vary')).toBe('Origin')
    },
  )

  test("an application's own answer is left as it is", async () => {
    const answer = only((await ask('GET', '/api2', ORIGIN, `Cookie: ${gauntlet.cookies['alice']}`)).answers)
    expect(answer.status).toBe(200)
    expect(answer.header('access-control-allow-origin')).toBeUndefined()
  })
})
