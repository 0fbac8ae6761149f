/** `postern tokens`, in another process, beside a running Postern. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startRedis } from '../support/redis.ts'
import { startTokenMaker, type TokenMaker } from '../support/service-tokens.ts'
import { createTestWorld, type World } from '../support/world.ts'

let world: World
let maker: TokenMaker
beforeAll(async () => {
  world = await createTestWorld({
    routes: [
      { name: 'packages', from: 'http://packages.localhost', allowed_groups: ['Deployers'], service_tokens: true },
      { name: 'people', from: 'http://people.localhost', allow_any_authenticated_user: true },
    ],
  })
  maker = await startTokenMaker(world)
})
afterAll(async () => {
  await maker.close()
  await world.close()
})

const ask = async (token: string): Promise<number> => {
  const headers = { authorization: `Bearer ${token}`, accept: '*/*' }
  return (await world.browser().ask('http://packages.localhost/', { headers })).status
}

const FULL = [
  '--name',
  'ci',
  '--route',
  'packages',
  '--method',
  'get,post',
  '--group',
  'Deployers,Ops',
  '--expires',
  '30d',
]

test('a token is printed alone, opens what it is for, is listed, and is out when it is revoked', async () => {
  expect(await maker.run('list')).toEqual({ exitCode: 0, out: '', err: 'there are no service tokens' })
  const made = await maker.run('create', ...FULL)
  expect(made).toMatchObject({ exitCode: 0, out: expect.stringMatching(/^pst_[\w-]{32}$/) })
  expect(made.err).toMatch(/^token [0-9a-f]{12} of ci, until \S+; it is not shown again$/)
  expect(await ask(made.out)).toBe(200)

  const { out } = await maker.run('list', '--json')
  const [listed, ...more] = JSON.parse(out) as readonly { readonly token: string }[]
  expect(more).toEqual([])
  expect(listed).toMatchObject({
    name: 'ci',
    routes: ['packages'],
    methods: ['GET', 'POST'],
    groups: ['Deployers', 'Ops'],
  })
  expect(out).not.toContain(made.out.slice(4))
  await expect
    .poll(async () => (await maker.run('list')).out, { timeout: 30_000 })
    .toMatch(/less than a second ago|second/)

  const id = listed?.token ?? ''
  expect(await maker.run('revoke', id)).toEqual({ exitCode: 0, out: `ended ${id} of ci`, err: '' })
  await expect.poll(() => ask(made.out), { timeout: 30_000 }).toBe(401)
  expect((await maker.run('revoke', id)).exitCode).toBe(1)
  const events = () => world.log().filter(({ token, event }) => token === id && event !== undefined)
  await expect.poll(events, { timeout: 30_000 }).toHaveLength(2)
  const line = {
    service_account: 'ci',
    token_routes: ['packages'],
    methods: ['GET', 'POST'],
    groups: ['Deployers', 'Ops'],
  }
  expect(events()).toMatchObject([
    { event: 'token-create', ...line },
    { event: 'token-revoke', ...line },
  ])
  expect(world.logText()).not.toContain(made.out.slice(4))
})

test('a token that was found is revoked by itself, and all of a name by the name', async () => {
  const [found, first, second] = [
    await maker.create(...FULL),
    await maker.create(...FULL.with(1, 'deploy')),
    await maker.create(...FULL.with(1, 'deploy')),
  ]
  expect((await maker.run('revoke', found)).exitCode).toBe(0)
  expect((await maker.run('revoke', '--name', 'deploy')).out.split('\n')).toHaveLength(2)
  for (const token of [found, first, second]) await expect.poll(() => ask(token), { timeout: 30_000 }).toBe(401)
  expect((await maker.run('revoke', '--name', 'deploy')).exitCode).toBe(1)
})

test('as JSON the token is `secret`', async () => {
  const { out } = await maker.run('create', ...FULL, '--json')
  const { secret, name, last_used_at } = JSON.parse(out) as Record<string, string | null>
  expect({ name, last_used_at }).toEqual({ name: 'ci', last_used_at: null })
  expect(await ask(secret ?? '')).toBe(200)
})

test.each<[what: string, args: readonly string[], message: RegExp]>([
  ['no name', ['create'], /required option '--name/],
  ['a name with a space', ['create', '--name', 'a b'], /--name: expected letters/],
  ['a name with a line break', ['create', '--name', 'a\nb'], /--name: expected letters/],
  ['no end', ['create', '--name', 'a', '--expires', '0'], /--expires: expected a duration from 1m to 366d/],
  ['too long', ['create', '--name', 'a', '--expires', '367d'], /--expires: expected a duration from 1m to 366d/],
  ['no such route', ['create', '--name', 'a', '--route', 'pakages'], /no route is called "pakages"/],
  ['a route that takes none', ['create', '--name', 'a', '--route', 'people'], /"people" takes no service tokens/],
  ['no method', ['create', '--name', 'a', '--method', 'FETCH'], /--method: expected a method such as GET/],
  ['CONNECT', ['create', '--name', 'a', '--method', 'CONNECT'], /--method: expected a method such as GET/],
  ['a group with a line break', ['create', '--name', 'a', '--group', 'a\nb'], /--group: expected the name/],
  ['nothing to revoke', ['revoke'], /expected one of: a token/],
])('%s: exit code 2, a message, and no token', async (_, args, message) => {
  const before = (await maker.run('list', '--json')).out
  const { exitCode, out, err } = await maker.run(...args)
  expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' })
  expect(err).toMatch(message)
  expect((await maker.run('list', '--json')).out).toBe(before)
})

test('on a shared store: good in every process, and out in every process within a second, open WebSockets included', async () => {
  const redis = await startRedis()
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(sockets, 'listening')
  const shared = await createTestWorld({
    config: { storage: { type: 'redis', url: `redis://127.0.0.1:${redis.port}` } },
    routes: [
      { name: 'packages', from: 'http://packages.localhost', allowed_groups: ['Deployers'], service_tokens: true },
      {
        from: 'http://sockets.localhost',
        to: `http://127.0.0.1:${(sockets.address() as AddressInfo).port}`,
        allowed_groups: ['Deployers'],
        service_tokens: true,
      },
    ],
  })
  const other = await shared.another()
  const operator = await startTokenMaker(shared)
  const token = await operator.create('--name', 'ci', '--group', 'Deployers')
  const headers = { authorization: `Bearer ${token}`, accept: '*/*' }
  const statuses = () =>
    Promise.all(
      [shared, other].map(async (at) => (await at.browser().ask('http://packages.localhost/', { headers })).status),
    )
  for (let i = 0; i < 3; i++) expect(await statuses()).toEqual([200, 200])
  const socket = new WebSocket(`ws://127.0.0.1:${other.app.listener.address.port}/`, {
    headers: { host: 'sockets.localhost', authorization: headers.authorization },
  })
  await once(socket, 'open')
  const closed = once(socket, 'close')
  expect((await operator.run('revoke', '--name', 'ci')).exitCode).toBe(0)
  // The bound is a second; the machine may be busy.
  await expect.poll(statuses, { interval: 20, timeout: 30_000 }).toEqual([401, 401])
  await closed
  await operator.close()
  await shared.close()
  sockets.close()
  await redis.close()
})
