/** Health paths are the application's on its host; ours are for load balancers, which name any host or none. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { APP, createGauntlet, type Gauntlet, request } from '../support/gauntlet.ts'

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet({
    people: [],
    moreRoutes: [
      { name: 'health', regex: '/ping|/healthz/.*', allow_public_unauthenticated_access: true },
      { name: 'protected', path: '/healthz', allow_any_authenticated_user: true },
      {
        name: 'wild',
        from: 'http://*.wild.localhost',
        prefix: '/ping',
        allow_public_unauthenticated_access: true,
      },
    ],
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

/** `<status> <body>` of our own answer, which leaves no line in the log. */
async function probe(bytes: string, method = 'GET'): Promise<string> {
  const { answers, received } = await gauntlet.send(bytes, { moreLines: -1, methods: [method] })
  expect(received).toEqual([])
  return answers.map(({ status, body }) => `${status} ${body}`.trim()).join()
}

test.each([APP, 'a.wild.localhost'])(
  '/ping of %s reaches the application, and its line is in the log',
  async (host) => {
    for (const method of ['GET', 'OPTIONS', 'POST']) {
      const { statuses, received, lines } = await gauntlet.send(request(method, '/ping?x', `Host: ${host}`))
      expect(statuses).toEqual([200])
      expect(received).toMatchObject([{ method, target: '/ping?x' }])
      expect(lines).toMatchObject([{ host, path: '/ping', decision: 'allow' }])
    }
  },
)

test("a route's policy is asked for /healthz as for any path", async () => {
  const { statuses, received } = await gauntlet.get('/healthz')
  expect({ statuses, received }).toEqual({ statuses: [401], received: [] })
})

test('on the host of a route we answer no health path, not even one that no route serves', async () => {
  const { statuses, received } = await gauntlet.get('/healthz', 'Host: a.wild.localhost')
  expect({ statuses, received }).toEqual({ statuses: [404], received: [] })
})

test.each(['authenticate.localhost', 'authenticate.localhost:9', '10.0.0.7', '10.0.0.7:8080', 'nowhere.example'])(
  'the host %s has ours',
  async (host) => {
    for (const path of ['/ping', '/healthz']) {
      expect(await probe(request('GET', path, `Host: ${host}`))).toBe('200 OK')
      expect(await probe(request('HEAD', path, `Host: ${host}`), 'HEAD')).toBe('200')
      expect(await probe(request('OPTIONS', path, `Host: ${host}`))).toBe('200 OK')
    }
  },
)

test.each(['GET', 'OPTIONS'])('%s of HTTP/1.0 without a Host has ours', async (method) => {
  expect(await probe(`${method} /ping HTTP/1.0\r\n\r\n`)).toBe('200 OK')
})

test('without a Host nothing else is served, and HTTP/1.1 needs one', async () => {
  expect((await gauntlet.send('GET /public HTTP/1.0\r\n\r\n')).statuses).toEqual([404])
  expect((await gauntlet.send('GET http://app.localhost/public HTTP/1.0\r\n\r\n')).statuses).toEqual([400])
  expect((await gauntlet.send('GET /ping HTTP/1.0\r\nHost:\r\n\r\n')).statuses).toEqual([400])
  expect((await gauntlet.send('GET /ping HTTP/1.1\r\n\r\n')).statuses).toEqual([400])
})

test('public_health_paths names others, or none', async () => {
  const { world } = gauntlet
  const status = async (path: string): Promise<number> =>
    (await world.browser().ask(`http://nowhere.example${path}`)).status
  world.reload({ public_health_paths: ['/alive'] })
  expect([await status('/alive'), await status('/ping')]).toEqual([200, 404])
  world.reload({ public_health_paths: [] })
  expect([await status('/alive'), await status('/ping'), await status('/healthz')]).toEqual([404, 404, 404])
  await gauntlet.skip()
})
