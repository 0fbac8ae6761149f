/** What a request began with is what it ends with, whatever is reloaded meanwhile. */
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createReloadWorld, type ReloadWorld, type Running, type Settings } from '../support/reload-world.ts'

let world: ReloadWorld
beforeAll(async () => {
  world = await createReloadWorld()
})
afterAll(() => world.close())

function ask(port: number, path: string): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.write(`GET ${path} HTTP/1.1\r\nhost: public.localhost\r\n\r\n`)
  return socket.resume()
}

/** The clock moves second by second, and what became due has happened, until a line for `path` is in the log. */
async function logged({ clock, lines }: Running, path: string): Promise<Record<string, unknown>> {
  for (let second = 0; second < 400; second++) {
    const line = lines().find((each) => each['path'] === path)
    if (line) return line
    await clock.advanceAsync(1000)
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error(`no line for ${path}`)
}

test('a request that waits when the time-out changes has the time that it began with; the next one has the new', async () => {
  const running = await world.start({ ...world.base, default_upstream_timeout: '30s' })
  const sockets = [ask(running.port, '/never-before')]
  // Answered later than it was asked: the first one has begun by then.
  await running.browser().ask('http://public.localhost/')
  running.app.reload(world.compile({ ...world.base, default_upstream_timeout: '90s' }))
  expect(Math.round(Number((await logged(running, '/never-before'))['duration_ms']) / 30_000)).toBe(1)
  sockets.push(ask(running.port, '/never-after'))
  expect(Math.round(Number((await logged(running, '/never-after'))['duration_ms']) / 30_000)).toBe(3)
  for (const socket of sockets) socket.destroy()
})

test('a request goes on with its upstream when its route leads elsewhere; the next one goes there', async () => {
  const running = await world.start(world.base)
  const socket = ask(running.port, '/stall')
  await new Promise((resolve) => socket.once('data', resolve))
  const routes = (world.base['routes'] as readonly Settings[]).map((route) => ({ ...route, to: world.upstreams.other }))
  running.app.reload(world.compile({ ...world.base, routes }))
  const next = await running.browser().ask('http://public.localhost/')
  expect(JSON.parse(next.body)).toMatchObject({ upstream: 'other' })
  expect(socket.destroyed).toBe(false)
  // Cut by the body time-out of its own generation, five minutes after the last piece, and not by the reload.
  expect(await logged(running, '/stall')).toMatchObject({ status: 200, cut: 'ERR_UPSTREAM_TIMEOUT' })
})

test('a request that the new rules do not allow is cut at once', async () => {
  const running = await world.start(world.base)
  const socket = ask(running.port, '/stall')
  await new Promise((resolve) => socket.once('data', resolve))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  const routes = (world.base['routes'] as readonly Settings[]).filter(({ from }) => from !== 'http://public.localhost')
  running.app.reload(world.compile({ ...world.base, routes }))
  await closed
  expect((await running.browser().ask('http://public.localhost/')).status).toBe(404)
})

test('an earlier configuration ends with its last request', async () => {
  const running = await world.start({ ...world.base, metrics_address: '127.0.0.1:0' })
  const generations = async (): Promise<string | undefined> => {
    const { port } = running.app.operations.metrics?.address ?? {}
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    return /^postern_config_generations (\d+)$/m.exec(text)?.[1]
  }
  const next = world.compile({ ...world.base, metrics_address: '127.0.0.1:0', cookie_expire: '20m' })
  expect(await generations()).toBe('1')
  running.app.reload(next)
  // Nobody used it.
  expect(await generations()).toBe('1')
  const socket = ask(running.port, '/stall')
  await new Promise((resolve) => socket.once('data', resolve))
  running.app.reload(next)
  running.app.reload(next)
  expect(await generations()).toBe('2')
  socket.destroy()
  await expect.poll(generations).toBe('1')
})
