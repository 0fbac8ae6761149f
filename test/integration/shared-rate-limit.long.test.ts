/** Several processes over a real store count what one address asks together, and each alone while the store is away. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { flood } from '../support/flood.ts'
import { hasPostgres, startPostgres } from '../support/postgres.ts'
import { askRedis, startRedis } from '../support/redis.ts'
import { createTestWorld, type World } from '../support/world.ts'

const HOST = 'open.localhost'
const PER_SECOND = 50
const RATE = { per_client: PER_SECOND, burst: '1s' }

async function worldOf(storage: object, others = 1): Promise<{ readonly world: World; readonly ports: number[] }> {
  const upstream = createServer((_, res) => res.setHeader('content-length', 2).end('ok'))
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const to = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  const world = await createTestWorld({
    config: { storage, log_level: 'warn' },
    routes: [{ from: `http://${HOST}`, to, allow_public_unauthenticated_access: true, rate_limit: RATE }],
  })
  onTestFinished(async () => {
    await world.close()
    upstream.close()
    upstream.closeAllConnections()
  })
  const ports = [world.port]
  for (let i = 0; i < others; i++) ports.push((await world.another()).app.listener.address.port)
  return { world, ports }
}

async function redisWorld(others?: number) {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const storage = { type: 'redis', url: `redis://127.0.0.1:${redis.port}` }
  return { redis, ...(await worldOf(storage, others)) }
}

/** Until the burst is gone. */
async function spend(ports: readonly number[]): Promise<void> {
  for (let refused = 0; refused === 0; ) refused = (await flood(ports, HOST, 500)).get(429) ?? 0
}

/** What passed in so many seconds, once the burst is gone. */
async function passed(ports: readonly number[], seconds: number): Promise<number> {
  const counts = await flood(ports, HOST, seconds * 1000)
  expect([...counts.keys()].filter((status) => status !== 200 && status !== 429)).toEqual([])
  expect(counts.get(429) ?? 0).toBeGreaterThan(0)
  return counts.get(200) ?? 0
}

describe('over Redis', () => {
  test.each([2, 4])('%i processes let through what one would, and ask for little', async (count) => {
    const { redis, ports } = await redisWorld(count - 1)
    const calls = async (): Promise<number> =>
      Number(/cmdstat_evalsha:calls=(\d+)/.exec(await askRedis(redis.port, 'INFO', 'commandstats'))?.[1] ?? 0)
    const before = await calls()
    const through = await passed(ports, 5)
    // And one burst, which is PER_SECOND; what came of a burst of each is waited for.
    expect(through).toBeLessThanOrEqual(1.3 * PER_SECOND * 5 + PER_SECOND)
    expect(through).toBeGreaterThanOrEqual(0.7 * PER_SECOND * 5)
    // Ten a second of each, and some of the rest of Postern.
    expect((await calls()) - before).toBeLessThanOrEqual(15 * 5 * count)
  })

  test('who has spent all at one is refused by the other, and a reload forgives nothing', async () => {
    const { world, ports } = await redisWorld()
    const [one = 0, other = 0] = ports
    await spend([one])
    const soon = await flood([other], HOST, 300)
    // What it lets through before it has heard of the rest is waited for.
    expect((soon.get(200) ?? 0) + (await passed([other], 2))).toBeLessThanOrEqual(PER_SECOND + 1.3 * PER_SECOND * 2.3)
    await spend(ports)
    world.reload({ log_level: 'error' })
    expect((await flood([one], HOST, 100)).get(200) ?? 0).toBeLessThanOrEqual(0.3 * PER_SECOND)
  })

  test('a store that is killed in the middle of a flood opens nothing and shuts nobody out', async () => {
    const { redis, world, ports } = await redisWorld()
    await spend(ports)
    const during = passed(ports, 3)
    await redis.kill()
    const alone = await during
    expect(alone).toBeGreaterThanOrEqual(0.7 * PER_SECOND * 3)
    expect(alone).toBeLessThanOrEqual(2 * 1.2 * PER_SECOND * 3 + 2 * PER_SECOND)
    const said = (text: string): number => world.log().filter(({ msg }) => String(msg).includes(text)).length
    expect(said('rate limits count for this process alone')).toBeGreaterThanOrEqual(1)
    await redis.start()
    await expect
      .poll(() => said('rate limits count for all processes again'), { timeout: 20_000 })
      .toBeGreaterThanOrEqual(1)
  })

  test('one that stands still delays no request', async () => {
    const { redis, ports } = await redisWorld()
    await spend(ports)
    redis.pause()
    const counts = await flood(ports, HOST, 2000)
    redis.resume()
    expect(counts.get(200) ?? 0).toBeGreaterThanOrEqual(0.7 * PER_SECOND * 2)
    expect(counts.get(429) ?? 0).toBeGreaterThan(100)
  })
})

test.skipIf(!hasPostgres)('over PostgreSQL, too', async () => {
  const postgres = await startPostgres()
  onTestFinished(() => postgres.close())
  const storage = { type: 'postgres', url: `postgres://postern@127.0.0.1:${postgres.port}/postgres` }
  const { ports } = await worldOf(storage)
  await spend(ports)
  expect(await passed(ports, 3)).toBeLessThanOrEqual(1.3 * PER_SECOND * 3)
})
