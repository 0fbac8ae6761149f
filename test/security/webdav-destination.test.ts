/** COPY and MOVE write to a second address: it is judged like the first, and forwarded as it was judged (RFC 4918 §10.3). */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { APP, createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet({
    people: [],
    moreRoutes: [
      {
        name: 'files',
        prefix: '/public/dav',
        policy: [
          { allow: { or: [{ accept: true }] } },
          { deny: { or: [{ http_path: { starts_with: '/public/dav/secret' } }] } },
        ],
      },
      { name: 'old files', prefix: '/public/old', prefix_rewrite: '/new', allow_public_unauthenticated_access: true },
    ],
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

const copy = (destination: string, from = '/public/dav/a', method = 'COPY') =>
  gauntlet.send(request(method, from, `Destination: ${destination}`), { methods: [method] })

test.each([
  [`http://${APP}/public/dav/b`, '/public/dav/b'],
  [`https://${APP}/public/dav/b`, '/public/dav/b'],
  [`HTTP://${APP.toUpperCase()}/public/dav/b%20c`, '/public/dav/b%20c'],
  ['/public/dav/b', '/public/dav/b'],
  [`http://${APP}/public/dav/%61/./x/../b`, '/public/dav/a/b'],
])('%s is forwarded as it was judged', async (destination, path) => {
  for (const method of ['COPY', 'MOVE']) {
    const { statuses, received } = await copy(destination, '/public/dav/a', method)
    expect(statuses).toEqual([200])
    expect(only(received).values('destination')).toEqual([`http://${APP}${path}`])
  }
})

test.each([
  ['a path that the policy denies', `http://${APP}/public/dav/secret/x`],
  ['the same by dot segments', `http://${APP}/public/dav/x/../secret/x`],
  ['the same escaped', `http://${APP}/public/dav/%73ecret`],
  ['another route', `http://${APP}/public/x`],
  ['another host', 'http://elsewhere.test/public/dav/b'],
  ['another port', `http://${APP}:8081/public/dav/b`],
  ['our own paths', `http://${APP}/.postern/sign_out`],
  ['an escaped slash', `http://${APP}/public/dav/a%2fb`],
  ['a protocol-relative address', '//elsewhere.test/public/dav/b'],
  ['a user name', `http://user@${APP}/public/dav/b`],
  ['a query', `http://${APP}/public/dav/b?x`],
  ['a host alone', `http://${APP}`],
  ['nothing', ''],
  ['another scheme', `ftp://${APP}/public/dav/b`],
])('%s is refused', async (_what, destination) => {
  const { statuses, received } = await copy(destination)
  expect(statuses).toEqual([403])
  expect(received).toEqual([])
})

test('two destinations are refused, and a spelling that CGI takes for one', async () => {
  const twice = [`Destination: http://${APP}/public/dav/b`, `Destination: http://${APP}/public/dav/secret`]
  for (const lines of [
    twice,
    [`Destination: /public/dav/b`, 'Destination_: x'],
    ['Destination: /public/dav/b', 'DESTINATION: /public/x'],
  ]) {
    const { statuses } = await gauntlet.send(request('MOVE', '/public/dav/a', ...lines), { methods: ['MOVE'] })
    if (lines[1] === 'Destination_: x') expect(statuses).toEqual([200])
    else expect(statuses).toEqual([403])
  }
})

test('a rewritten prefix is rewritten in the destination, too', async () => {
  const { received } = await copy(`http://${APP}/public/old/b`, '/public/old/a', 'MOVE')
  expect(only(received)).toMatchObject({ target: '/new/a' })
  expect(only(received).values('destination')).toEqual([`http://${APP}/new/b`])
})

test('other methods and requests without a destination are as before', async () => {
  const { received } = await gauntlet.send(request('GET', '/public/dav/a', 'Destination: https://elsewhere.test/'))
  expect(only(received).values('destination')).toEqual(['https://elsewhere.test/'])
  expect((await gauntlet.send(request('COPY', '/public/dav/a'), { methods: ['COPY'] })).statuses).toEqual([200])
})
