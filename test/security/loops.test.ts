/**
 * An upstream address that leads back to Postern: without a mark one request becomes thousands, until sockets run out
 * (the reason for 508 in RFC 5842 §7.2 and for CDN-Loop in RFC 8586). The relay below is such an address: it hands every
 * connection to whichever Postern is told.
 */
import { createHash } from 'node:crypto'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { createGauntlet, only, request } from '../support/gauntlet.ts'
import { sendRaw } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean()
})

interface Relay {
  readonly url: string
  /** Requests that passed, as they came. */
  readonly requests: () => readonly string[]
  /** Where the next connections go, in turn. */
  to: readonly World[]
}

async function createRelay(): Promise<Relay> {
  const sockets = new Set<Socket>()
  let text = ''
  let turn = 0
  const server = createServer((from) => {
    const port = relay.to[turn++ % relay.to.length]?.port ?? 0
    const onward = connect({ port, host: '127.0.0.1' })
    for (const [socket, other] of [
      [from, onward],
      [onward, from],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => other.destroy())
    }
    from.on('data', (bytes: Buffer) => void (text += bytes.toString('latin1')))
    from.pipe(onward).pipe(from)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const relay: Relay = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => text.split(/(?=(?:GET|POST) \S+ HTTP\/1\.1\r\n)/).filter((part) => /^(?:GET|POST) /.test(part)),
    to: [],
  }
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return relay
}

type Routes = readonly Readonly<Record<string, unknown>>[]

async function createLoop(routes: Routes, config: Readonly<Record<string, unknown>> = {}, through?: Relay) {
  const relay = through ?? (await createRelay())
  const world = await createTestWorld({
    routes: routes.map((route) => ({
      from: 'http://app.localhost',
      to: relay.url,
      preserve_host_header: true,
      allow_public_unauthenticated_access: true,
      ...route,
    })),
    config,
  })
  cleanups.push(() => world.close())
  relay.to = [...relay.to, world]
  return { relay, world }
}

test.each<[string, Routes, number]>([
  ['one route', [{}], 1],
  ['a route that makes its path longer', [{ prefix: '/x', prefix_rewrite: '/x/x' }], 1],
  ['a wildcard', [{ from: 'http://*.localhost' }], 1],
  [
    'two routes that lead to each other',
    [
      { prefix: '/x', prefix_rewrite: '/y' },
      { prefix: '/y', prefix_rewrite: '/x' },
    ],
    2,
  ],
])('%s that leads to ourselves answers 508 when the request comes back', async (_, routes, passes) => {
  const { relay, world } = await createLoop(routes)
  const [answer] = await sendRaw(world.port, request('GET', '/x/1'))
  expect(answer?.status).toBe(508)
  expect(relay.requests()).toHaveLength(passes)
  expect(world.log()).toContainEqual(expect.objectContaining({ status: 508, error: 'ERR_LOOP' }))
})

test('a request with a body and an upgrade get 508, too', async () => {
  const { relay, world } = await createLoop([{}])
  const posted = await sendRaw(world.port, `${request('POST', '/', 'Content-Length: 5')}12345`)
  expect(posted.map(({ status }) => status)).toEqual([508])
  const upgrade = request(
    'GET',
    '/',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  )
  const answers = await sendRaw(world.port, upgrade.replace('Connection: close', 'Connection: Upgrade'))
  expect(answers.map(({ status }) => status)).toEqual([508])
  expect(relay.requests()).toHaveLength(2)
})

test('replicas recognize each other’s hop marks, also while the shared secret is rotated', async () => {
  const secret = (name: string) => createHash('sha256').update(name).digest('base64')
  const first = await createLoop([{}], { shared_secret: `${secret('new')}\n${secret('old')}` })
  await createLoop([{}], { shared_secret: secret('old') }, first.relay)
  first.relay.to = first.relay.to.toReversed()
  const answers = await sendRaw(first.world.port, request('GET', '/'))
  expect(answers.map(({ status }) => status)).toEqual([508])
  expect(first.relay.requests().length).toBeLessThanOrEqual(2)
})

test('a loop through another deployment ends at the first one that sees the request twice', async () => {
  const { relay, world } = await createLoop([{}])
  const other = await createLoop([{}], { shared_secret: createHash('sha256').update('other').digest('base64') }, relay)
  relay.to = [other.world, world]
  const answers = await sendRaw(world.port, request('GET', '/'))
  expect(answers.map(({ status }) => status)).toEqual([508])
  expect(relay.requests()).toHaveLength(2)
})

test('passing another deployment or another route is not a loop', async () => {
  const gauntlet = await createGauntlet({ people: [] })
  cleanups.push(() => gauntlet.close())
  const { relay, world } = await createLoop([{}], {
    shared_secret: createHash('sha256').update('other').digest('base64'),
  })
  relay.to = [gauntlet.world]
  const answers = await sendRaw(world.port, request('GET', '/public'))
  expect(answers.map(({ status }) => status)).toEqual([200])
  expect(only(gauntlet.echo.received).values('postern-hop')[0]?.split(',')).toHaveLength(2)
})

test('a hop mark that a client copies stops only its own requests and tells nothing about a route', async () => {
  const gauntlet = await createGauntlet({ people: ['alice'] })
  cleanups.push(() => gauntlet.close())
  const { received } = await gauntlet.get('/public')
  const mark = only(only(received).values('postern-hop'))
  expect(mark).toMatch(/^[\w-]{22}$/)

  const statuses = async (target: string, ...headers: string[]) => (await gauntlet.get(target, ...headers)).statuses
  expect(await statuses('/public', `Postern-Hop: ${mark}`)).toEqual([508])
  expect(await statuses('/public', 'Postern-Hop: x', `POSTERN-HOP:${mark} , x`)).toEqual([508])
  expect(await statuses('/public')).toEqual([200])
  expect(await statuses('/admin', `Postern-Hop: ${mark}`)).toEqual([401])
  expect(await statuses('/nothing', `Postern-Hop: ${mark}`)).toEqual([404])
  expect(await statuses('/user', `Postern-Hop: ${mark}`, `Cookie: ${gauntlet.cookies['alice']}`)).toEqual([200])
})

test('invalid hop marks are not sent upstream, and the list is bounded', async () => {
  const gauntlet = await createGauntlet({ people: [] })
  cleanups.push(() => gauntlet.close())
  const foreign = (count: number) => Array.from({ length: count }, (_, i) => String(i).padStart(22, 'A')).join(', ')

  const odd = await gauntlet.get(
    '/public',
    'Postern-Hop: evil',
    'Postern_Hop: evil',
    `Postern.Hop: ${foreign(3)}`,
    'Postern-Hop: ,,é',
  )
  expect(odd.statuses).toEqual([200])
  expect(JSON.stringify(only(odd.received).headers)).not.toMatch(/evil|AAAA/)
  expect(only(only(odd.received).values('postern-hop'))).toMatch(/^[\w-]{22}$/)
  expect((await gauntlet.get('/public', `Postern-Hop: ${foreign(15)}`)).statuses).toEqual([200])
  expect((await gauntlet.get('/public', `Postern-Hop: ${foreign(16)}`)).statuses).toEqual([508])
  // More than this cannot arrive: the header section is bounded before.
  const flood = await sendRaw(gauntlet.world.port, request('GET', '/public', `Postern-Hop: ${'A,'.repeat(15_000)}`))
  expect(flood.map(({ status }) => status)).toEqual([200])
})
