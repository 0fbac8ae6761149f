/** Two Posterns that share a store. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fingerprint } from '../../src/store/record.ts'
import type { Browser } from '../support/browser.ts'
import { hasPostgres, startPostgres } from '../support/postgres.ts'
import { askRedis, startRedis } from '../support/redis.ts'
import { createTestWorld, SHARED_SECRET, type World } from '../support/world.ts'

const APP = 'http://engineering.localhost/'

/** The answer to a script that has the cookie of this browser. */
const statusAt = async (at: { browser(): Browser }, cookie: string): Promise<number> =>
  (await at.browser().ask(APP, { headers: { cookie, accept: 'application/json' } })).status

const cookieOf = (browser: Browser): string =>
  [...(browser.cookies.get('engineering.localhost') ?? [])].map(([name, value]) => `${name}=${value}`).join('; ')

interface Server {
  readonly storage: object
  /** All that it holds. */
  contents(): Promise<string>
  close(): Promise<void>
}

async function redis(): Promise<Server> {
  const server = await startRedis()
  return {
    storage: { type: 'redis', url: `redis://127.0.0.1:${server.port}`, prefix: 'gate' },
    async contents() {
      const keys = (await askRedis(server.port, 'KEYS', '*')).split('\r\n').filter((line) => /^[^*$]/.test(line))
      expect(keys.length).toBeGreaterThan(5)
      // In one slot.
      for (const key of keys) expect(key).toMatch(/^\{gate\}(?:changes|x|[rtil]:)/)
      const values = await Promise.all(
        keys.filter((key) => key.startsWith('{gate}r:')).map((key) => askRedis(server.port, 'GET', key)),
      )
      return [...values, await askRedis(server.port, 'XRANGE', '{gate}changes', '-', '+'), ...keys].join('\n')
    },
    close: () => server.close(),
  }
}

async function postgres(): Promise<Server> {
  const server = await startPostgres()
  const tables = ['postern_records', 'postern_changes', 'postern_leases', 'postern_spaces']
  return {
    storage: { type: 'postgres', url: `postgres://postern@127.0.0.1:${server.port}/postgres`, prefix: 'gate' },
    contents: async () => tables.map((table) => server.run(`SELECT * FROM ${table}`)).join('\n'),
    close: () => server.close(),
  }
}

describe.each([
  ['Redis', redis, true],
  ['PostgreSQL', postgres, hasPostgres],
] as const)('on %s', (_, start, isThere) => {
  let server: Server
  let world: World
  let other: Awaited<ReturnType<World['another']>>
  beforeAll(async () => {
    if (!isThere) return
    server = await start()
    world = await createTestWorld({ config: { storage: server.storage } })
    other = await world.another()
  })
  afterAll(async () => {
    if (!isThere) return
    await world.close()
    await server.close()
  })

  describe.skipIf(!isThere)('', () => {
    test('who signs in at one is known to the other, and who signs out there is out at the first within a second', async () => {
      const browser = world.browser()
      expect((await world.signIn(browser, APP, 'alice@example.com')).status).toBe(200)
      const cookie = cookieOf(browser)
      for (let i = 0; i < 3; i++)
        expect([await statusAt(world, cookie), await statusAt(other, cookie)]).toEqual([200, 200])

      const there = other.browser()
      const page = await there.ask(`${APP}.postern/sign_out`, { headers: { cookie, accept: 'text/html' } })
      const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
      await there.ask(`${APP}.postern/sign_out`, {
        method: 'POST',
        headers: {
          cookie,
          'content-type': 'application/x-www-form-urlencoded',
          origin: 'http://engineering.localhost',
        },
        body: new URLSearchParams({ csrf }).toString(),
      })
      await expect.poll(() => statusAt(other, cookie), { timeout: 1000, interval: 20 }).toBe(401)
      await expect.poll(() => statusAt(world, cookie), { timeout: 1000, interval: 20 }).toBe(401)
    })

    test('what it holds does not say who is signed in', async () => {
      const browser = world.browser()
      await world.signIn(browser, APP, 'alice@example.com')
      const contents = await server.contents()
      expect(contents.length).toBeGreaterThan(1000)
      expect(contents).not.toMatch(/alice|example\.com|00u|localhost|Engineering/)
    })
  })
})

test('a Redis that came back empty is still of the same shared secret while a Postern runs', async () => {
  const server = await startRedis()
  const storage = { type: 'redis', url: `redis://127.0.0.1:${server.port}`, prefix: 'emptied' }
  const world = await createTestWorld({ config: { storage } })
  try {
    await server.kill()
    await server.start()
    const record = `{emptied}r:key-check:${fingerprint('key')}`
    await expect.poll(() => askRedis(server.port, 'EXISTS', record)).toContain(':1')
    const shared_secret = SHARED_SECRET.split('').toReversed().join('')
    await expect(world.another({ shared_secret })).rejects.toThrow(/shared_secret differs/)
  } finally {
    await world.close()
    await server.close()
  }
})
