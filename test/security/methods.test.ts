/** Methods are passed on as they are, with their bodies: what may be done is for policies to say. */
import { METHODS } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { APP, createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet({
    people: [],
    moreRoutes: [
      {
        name: 'read only',
        prefix: '/public/svn',
        policy: [{ allow: { and: [{ accept: true }, { http_method: { in: ['GET', 'PROPFIND', 'REPORT'] } }] } }],
      },
    ],
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

const passed = METHODS.filter((method) => method !== 'CONNECT' && method !== 'TRACE')

test.each(passed)('%s reaches the upstream, with a body and without', async (method) => {
  const bare = await gauntlet.send(request(method, '/public/x'), { methods: [method] })
  expect(bare.statuses).toEqual([200])
  expect(only(bare.received)).toMatchObject({ method, target: '/public/x', body: '' })
  expect(only(bare.lines)).toMatchObject({ method, path: '/public/x', decision: 'allow' })

  const withBody = await gauntlet.send(`${request(method, '/public/x', 'Content-Length: 4')}body`, {
    methods: [method],
  })
  expect(withBody.statuses).toEqual([200])
  expect(only(withBody.received)).toMatchObject({ method, body: 'body', complete: true })
})

test.each(['MERGE', 'MKACTIVITY', 'CHECKOUT', 'PURGE', 'QUERY'])(
  '%s is refused where a policy names others',
  async (method) => {
    const { statuses, received, lines } = await gauntlet.send(request(method, '/public/svn/x'))
    expect(statuses).toEqual([403])
    expect(received).toEqual([])
    expect(only(lines)).toMatchObject({ method, decision: 'deny' })
  },
)

test.each(['CONNECT', 'TRACE'])('%s is 405 and reaches nobody', async (method) => {
  const target = method === 'CONNECT' ? `${APP}:80` : '/public/x'
  const { statuses, received } = await gauntlet.send(`${method} ${target} HTTP/1.1\r\nHost: ${APP}\r\n\r\n`)
  expect(statuses).toEqual([405])
  expect(received).toEqual([])
})

test('a method that no parser knows is refused', async () => {
  const { statuses, received } = await gauntlet.send(request('BREW', '/public/pot'))
  expect(statuses).toEqual([400])
  expect(received).toEqual([])
})
