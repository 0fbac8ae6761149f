/** Two processes on a store of its own, by the clocks of everybody: one of them refreshes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { hasPostgres, startPostgres } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { createTestWorld } from '../support/world.ts'

const APP = 'http://engineering.localhost/'
const TOKEN = '/oauth2/v1/token'
const LIFE_S = 20

interface Server {
  readonly storage: object
  close(): Promise<void>
}

async function redis(): Promise<Server> {
  const server = await startRedis()
  return { storage: { type: 'redis', url: `redis://127.0.0.1:${server.port}` }, close: () => server.close() }
}

async function postgres(): Promise<Server> {
  const server = await startPostgres()
  const url = `postgres://postern@127.0.0.1:${server.port}/postgres`
  return { storage: { type: 'postgres', url }, close: () => server.close() }
}

test.for([
  ['Redis', redis, true],
  ['PostgreSQL', postgres, hasPostgres],
] as const)(
  'on %s 50 requests after the end of a token cost one call, though the provider takes six seconds and rotates',
  { timeout: 240_000 },
  async ([, start, isThere], { skip }) => {
    if (!isThere) skip()
    const server = await start()
    const world = await createTestWorld({ config: { idp_service_account: undefined, storage: server.storage } })
    try {
      const { okta } = world
      okta.updateApp(DEMO.clientId, { refreshToken: { rotation: 'ROTATE', leeway: 0 }, accessTokenSeconds: LIFE_S })
      const other = await world.another()
      const alice = world.browser()
      expect((await world.signIn(alice, APP, 'alice@example.com')).status).toBe(200)
      const cookie = `postern=${alice.cookies.get('engineering.localhost')?.get('postern')}`
      const headers = { accept: 'application/json', cookie }
      for (const _ of [1, 2]) {
        await sleep((LIFE_S + 1) * 1000)
        okta.clearCalls()
        okta.fault({ path: TOKEN, act: { kind: 'slow', by: 6000 }, times: 5 })
        const asked = Array.from({ length: 50 }, (_unused, i) =>
          (i % 2 ? world : other).browser().ask(APP, { headers }),
        )
        expect(new Set((await Promise.all(asked)).map(({ status }) => status))).toEqual(new Set([200]))
        expect(okta.calls().flatMap(({ path, status }) => (path === TOKEN ? [status] : []))).toEqual([200])
        okta.clearFaults()
      }
      const told = world.log().flatMap(({ event }) => event ?? [])
      expect(told).toEqual(['session-begin'])
    } finally {
      await world.close()
      await server.close()
    }
  },
)
