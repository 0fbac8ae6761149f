/** Clients that drip a request body hold no places at an upstream; clients that are honestly slow are served. */
import { beforeEach, expect, test } from 'vitest'
import { type ManualClock, manualClock } from '../support/clock.ts'
import {
  client,
  forwarder,
  forwarderConfig,
  front,
  OK,
  rawUpstream,
  route,
  type Wire,
} from '../unit/upstream/support.ts'

const PLACES = 2
const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'

let clock: ManualClock
beforeEach(() => {
  clock = manualClock()
})

/** An upstream with two places; it answers a GET, and a body that ends with a dot. */
async function world() {
  const upstream = await rawUpstream(({ socket }) => {
    socket.on('data', (piece) => {
      if (/^GET|\.$/.test(piece.toString('latin1'))) socket.write(OK)
    })
  })
  const { config, ...rest } = forwarderConfig()
  const limits = { ...config, upstreamMaxConnections: PLACES, upstreamMaxPending: 0 }
  const to = route(upstream.origin, { requestTimeout: 60_000 })
  const made = forwarder(clock, { ...rest, config: limits })
  return { upstream, ...(await front(to, made, { clock, timeouts: { clientBodyMinRate: 240 } })) }
}

async function begin({ upstream, port }: Awaited<ReturnType<typeof world>>, length: number) {
  const wire = await client(port)
  wire.send(`POST / HTTP/1.1\r\nHost: app.test\r\ncontent-length: ${length}\r\n\r\nx`)
  const connection = await upstream.connections.next()
  await connection.seen(/\r\n\r\nx$/)
  return { wire, connection }
}

/** One piece after a while; resolves when it has come through, or was answered. */
async function send({ wire, connection }: { wire: Wire; connection: Wire }, piece: string, after: number) {
  const before = connection.received().length
  clock.advance(after)
  wire.send(piece)
  const arrived = (): boolean => connection.received().length >= before + piece.length || wire.received() !== ''
  await expect.poll(arrived, { interval: 1 }).toBe(true)
}

test('bodies of one byte in 29 s are ended with 408, and their places go to others', async () => {
  const at = await world()
  const slow = [await begin(at, 1000), await begin(at, 1000)]
  expect(slow).toHaveLength(PLACES)
  const refused = await client(at.port)
  refused.send(GET)
  await refused.seen(/^HTTP\/1\.1 503 /)
  for (let sent = 0; sent < 10 && at.ended.all.length < 3; sent++) {
    for (const [i, each] of slow.entries()) await send(each, '1', i === 0 ? 29_000 : 0)
  }
  for (const { wire, connection } of slow) {
    await wire.seen(/^HTTP\/1\.1 408 /)
    await connection.closed
  }
  expect(at.ended.all[1]).toMatchObject({
    code: 'ERR_CLIENT_TIMEOUT',
    message: 'the client sent its request body too slowly; the limit is client_body_min_rate (240 bytes a second)',
    details: { limit: 'client_body_min_rate (240 bytes a second)' },
  })
  const served = await client(at.port)
  served.send(GET)
  await served.seen(/^HTTP\/1\.1 200 /)
})

test('an upload of 300 bytes a second goes on for an hour, with pauses of less than client_body_timeout', async () => {
  const at = await world()
  const pieces = 360
  const upload = await begin(at, pieces * 3000 + 2)
  for (let sent = 0; sent < pieces; sent++) await send(upload, 'x'.repeat(3000), sent % 120 === 60 ? 45_000 : 10_000)
  expect(at.ended.all).toEqual([])
  upload.wire.send('.')
  await upload.wire.seen(/^HTTP\/1\.1 200 /)
})

test('ten bytes, 32 s of nothing, ten bytes: served', async () => {
  const at = await world()
  const upload = await begin(at, 20)
  await send(upload, '123456789', 0)
  await send(upload, '012345678.', 32_000)
  await upload.wire.seen(/^HTTP\/1\.1 200 /)
})
