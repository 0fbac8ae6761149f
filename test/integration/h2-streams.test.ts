/** Answers over HTTP/2 that do not end by themselves: events and messages as they come, however rarely, and no longer than they may. */
import type { ServerResponse } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { manualClock, type ManualClock } from '../support/clock.ts'
import { DATA, END_STREAM, h2Wire, type H2Wire, HEADERS, headers, RST_STREAM, END_HEADERS } from '../support/h2-wire.ts'
import { timePasses } from '../support/passing-time.ts'
import { createTestWorld, type World } from '../support/world.ts'

const MINUTE = 60_000
const APP = 'http://app.localhost/'

let clock: ManualClock
let world: World
let wire: H2Wire
const open: ServerResponse[] = []

afterEach(async () => {
  wire.socket.destroy()
  open.splice(0)
  await world.close()
})

/** Asks for the path as alice; `type` is that of the answer. */
async function asking(
  type: string,
  path = '/events',
): Promise<{ readonly upstream: ServerResponse; readonly browser: ReturnType<World['browser']> }> {
  clock = manualClock()
  world = await createTestWorld({
    clock,
    config: { cookie_expire: '7d' },
    routes: [
      // Nothing that is known of anybody gets too old meanwhile.
      { from: 'http://app.localhost', prefix: '/public', allow_public_unauthenticated_access: true },
      { from: 'http://app.localhost', allowed_groups: ['Engineering'] },
    ],
    upstream: (_, res) => {
      res.writeHead(200, { 'content-type': type })
      res.flushHeaders()
      open.push(res)
    },
  })
  const browser = world.browser()
  // The answer to the sign-in's own request does not end, either.
  void world.signIn(browser, APP, 'alice@example.com').catch(() => {})
  await expect.poll(() => open.length).toBe(1)
  open.pop()?.end()
  const other = await world.another({ codec_type: 'http2' })
  wire = await h2Wire(other.app.listener.address.port)
  wire.send(
    headers(1, [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':authority', 'app.localhost'],
      [':path', path],
      ['cookie', `postern=${browser.cookies.get('app.localhost')?.get('postern')}`],
    ]),
  )
  await wire.frame(({ type: kind, flags }) => kind === HEADERS && (flags & END_HEADERS) !== 0)
  const [upstream] = open
  if (!upstream) throw new Error('the upstream was not asked')
  return { upstream, browser }
}

const text = (): string =>
  wire.frames
    .filter(({ type }) => type === DATA)
    .map(({ payload }) => payload.toString())
    .join('')

test.each(['text/event-stream', 'application/grpc'])(
  '%s: each piece at once, and any time between two',
  async (type) => {
    const { upstream } = await asking(type, '/public/events')
    for (const piece of ['one', 'two', 'three']) {
      upstream.write(piece)
      await wire.frame(() => text().endsWith(piece))
      clock.advance(20 * MINUTE)
    }
    upstream.end()
    const { body, complete } = await wire.answer(1)
    expect([body, complete]).toEqual(['onetwothree', true])
  },
)

test('another answer is cut when it stops for too long, and visibly', async () => {
  const { upstream } = await asking('text/plain', '/public/page')
  upstream.write('one')
  await wire.frame(() => text() === 'one')
  await timePasses(clock, () => wire.frames.some(({ type }) => type === RST_STREAM))
  expect((await wire.answer(1)).complete).toBe(false)
})

test('events end when the group is taken away, and the rest of the connection goes on', async () => {
  const { upstream } = await asking('text/event-stream')
  upstream.write('one')
  await wire.frame(() => text() === 'one')
  world.okta.removeMember('Engineering', 'alice@example.com')
  await timePasses(clock, () => wire.frames.some(({ type, stream }) => type === RST_STREAM && stream === 1), 2000)
  expect(wire.frames.filter(({ type, flags, stream }) => stream === 1 && type === DATA && flags & END_STREAM)).toEqual(
    [],
  )
  expect(world.log()).toContainEqual(expect.objectContaining({ path: '/events', cut: 'no-longer-allowed' }))
  wire.send(
    headers(3, [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':authority', 'app.localhost'],
      [':path', '/events'],
    ]),
  )
  expect((await wire.answer(3)).status).toBe(401)
})
