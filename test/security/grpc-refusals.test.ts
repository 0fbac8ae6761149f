/**
 * A client of gRPC is refused with status 200 and `grpc-status`. So nobody who reads the status as the verdict may ever get
 * such an answer: not another proxy that asks (forward-auth), not a client of HTTP/1.1, and not gRPC-Web.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet, request } from '../support/gauntlet.ts'
import { END_HEADERS, END_STREAM, type Fields, h2Wire, type H2Wire, headers } from '../support/h2-wire.ts'

let gauntlet: Gauntlet
let port: number
let wire: H2Wire

beforeAll(async () => {
  gauntlet = await createGauntlet({
    config: { trusted_proxies: ['127.0.0.1'] },
    people: ['alice', 'bob'],
    moreRoutes: [
      { name: 'dead', prefix: '/dead', to: 'http://127.0.0.1:1', allow_public_unauthenticated_access: true },
      {
        name: 'condition',
        prefix: '/condition',
        headers: { 'x-env': 'prod' },
        allow_any_authenticated_user: true,
      },
    ],
  })
  const other = await gauntlet.world.another({ codec_type: 'http2' })
  port = other.app.listener.address.port
})
afterEach(() => wire.socket.destroy())
afterAll(() => gauntlet.close())

const call = (path: string, ...more: Fields): Fields => [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':authority', 'app.localhost'],
  [':path', path],
  ['content-type', 'application/grpc+proto'],
  ['te', 'trailers'],
  ...more,
]

async function ask(fields: Fields) {
  wire = await h2Wire(port)
  wire.send(headers(1, fields, END_HEADERS | END_STREAM))
  return wire.answer(1)
}

test.each<[name: string, fields: () => Fields, code: string, message: RegExp]>([
  ['nobody', () => call('/user'), '16', /^unauthenticated: user-unauthenticated \(request \S+\)$/],
  ['somebody who may not', () => call('/admin', ['cookie', gauntlet.cookies['bob'] ?? '']), '7', /^denied: /],
  ['a path of nobody', () => call('/nothing'), '12', /^not-found \(request \S+\)$/],
  ['an upstream that is down', () => call('/dead'), '14', /^ERR_UPSTREAM_CONNECT: /],
  ['a client that would like a page', () => call('/user', ['accept', 'text/html']), '16', /^status 401$/],
  ['a token that is none', () => call('/user', ['authorization', 'Bearer pst_none']), '16', /./],
])('%s gets an answer of gRPC', async (_, fields, code, message) => {
  const answer = await ask(fields())
  expect([answer.status, answer.header('grpc-status'), answer.body, answer.complete]).toEqual([200, code, '', true])
  expect(answer.header('content-type')).toBe('application/grpc')
  expect(answer.header('grpc-message')).toMatch(message)
  expect(answer.header('cache-control')).toBe('no-store')
})

test('the log has the status of HTTP', async () => {
  await ask(call('/user'))
  await expect
    .poll(() => gauntlet.world.log().findLast(({ path }) => path === '/user'))
    .toMatchObject({ status: 401, decision: 'sign-in' })
})

test.each<[name: string, fields: () => Fields, status: number]>([
  [
    'gRPC-Web',
    () => call('/user').map(([name, value]) => [name, name === 'content-type' ? 'application/grpc-web' : value]),
    401,
  ],
  ['another method', () => call('/user').map(([name, value]) => [name, name === ':method' ? 'PUT' : value]), 401],
  [
    'another type that begins so',
    () => call('/user').map(([name, value]) => [name, name === 'content-type' ? 'application/grpcx' : value]),
    401,
  ],
])('%s gets an answer of HTTP', async (_, fields, status) => {
  const answer = await ask(fields())
  expect([answer.status, answer.header('grpc-status')]).toEqual([status, undefined])
})

test('a client of HTTP/1.1 gets an answer of HTTP', async () => {
  const { statuses } = await gauntlet.send(
    request('POST', '/user', 'Content-Type: application/grpc', 'TE: trailers', 'Content-Length: 0'),
  )
  expect(statuses).toEqual([401])
  wire = await h2Wire(port)
})

const asked = (uri: string, ...more: Fields): Fields =>
  call(
    '/.postern/forward-auth',
    ['x-forwarded-for', '192.0.2.1'],
    ['x-forwarded-method', 'POST'],
    ['x-forwarded-proto', 'http'],
    ['x-forwarded-host', 'app.localhost'],
    ['x-forwarded-uri', uri],
    ...more,
  )

test.each<[name: string, fields: () => Fields, status: number]>([
  ['nobody', () => asked('/user'), 401],
  ['somebody who may not', () => asked('/admin', ['cookie', gauntlet.cookies['bob'] ?? '']), 403],
  ['a path of nobody', () => asked('/nothing'), 404],
  ['a path that can be read in two ways', () => asked('/user/%2e%2e/admin'), 400],
  ['a path that cannot be read', () => asked('/%zz'), 400],
  ['a header in two spellings, of which a route wants to know', () => asked('/condition', ['x_env', 'prod']), 400],
  ['a question that says nothing', () => call('/.postern/forward-auth', ['x-forwarded-for', '192.0.2.1']), 400],
])('another proxy that asks about %s never gets a 2xx, whatever it passes on', async (_, fields, status) => {
  const answer = await ask(fields())
  expect([answer.status, answer.header('grpc-status')]).toEqual([status, undefined])
})
