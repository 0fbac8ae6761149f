/** `postern check --online` on stores that other machines share: real servers, their versions and what their users may do. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { CHECKED } from '../support/checked.ts'
import { cli } from '../support/cli.ts'
import { hasPostgres, type Postgres, startPostgres } from '../support/postgres.ts'
import { type Redis, startRedis } from '../support/redis.ts'

const folder = mkdtempSync(join(tmpdir(), 'postern-check-store-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** What is said of the store. */
async function check(type: string, url: string): Promise<readonly string[]> {
  const path = join(folder, 'config.yaml')
  const settings = {
    ...CHECKED,
    storage: { type, url },
    routes: [],
  }
  writeFileSync(path, stringify(settings), { mode: 0o600 })
  const { out } = await cli(['check', '--online', path])
  return out.split('\n').filter((line) => line.includes('store ('))
}

describe('redis', () => {
  /** As docs/high-availability.md has it. */
  const RIGHTS =
    '~{postern}* +get +getrange +mget +set +del +pexpire +zadd +zrem +zrange +xadd +xread +xrevrange +time +eval +evalsha +ping +role'
  const user = (name: string, rights: string): readonly string[] => [
    '--user',
    ...`${name} on >word ${rights}`.split(' '),
  ]
  let redis: Redis
  let evicting: Redis
  beforeAll(async () => {
    redis = await startRedis([
      ...user('enough', RIGHTS),
      ...user('told', `${RIGHTS} +info`),
      ...user('nolease', RIGHTS.replace('+set ', '')),
      ...user('nochanges', RIGHTS.replace('+xread ', '')),
      ...user('elsewhere', RIGHTS.replace('{postern}', '{other}')),
    ])
    evicting = await startRedis(['--maxmemory-policy', 'allkeys-lru'])
  })
  afterAll(async () => {
    await redis.close()
    await evicting.close()
  })
  const url = (name = ''): string => `redis://${name === '' ? '' : `${name}:word@`}127.0.0.1:${redis.port}`

  test('tells its version, unless its user may not ask', async () => {
    const ok = 'OK    store (redis): is of this shared_secret, and keeps what is written'
    expect(await check('redis', url())).toEqual([expect.stringMatching(/keeps what is written; Redis \d+\.\d+\.\d+$/)])
    expect(await check('redis', url('told'))).toEqual([expect.stringMatching(/; Redis \d+\.\d+\.\d+$/)])
    expect(await check('redis', url('enough'))).toEqual([ok])
  })

  test.each(['nolease', 'nochanges', 'elsewhere'])('whose user may not do everything: %s', async (name) => {
    const [line = '', ...others] = await check('redis', url(name))
    expect(others).toEqual([])
    expect(line).toMatch(
      /^FAIL {2}store \(redis\): .*(?:NOPERM|permission|can't run this command).*; see storage\.url, and who may connect there/,
    )
  })

  test('that throws sessions away when it is full', async () => {
    expect(await check('redis', `redis://127.0.0.1:${evicting.port}`)).toEqual([
      expect.stringMatching(/^OK {4}store/),
      'WARN  store (redis): a full memory deletes sessions, and people sign in again (maxmemory-policy allkeys-lru); set maxmemory-policy noeviction',
    ])
  })
})

describe.skipIf(!hasPostgres)('postgres', () => {
  let postgres: Postgres
  beforeAll(async () => {
    postgres = await startPostgres()
  })
  afterAll(() => postgres.close())
  const url = (user: string): string => `postgres://${user}@127.0.0.1:${postgres.port}/postgres?sslmode=disable`

  test('tells its version, and whether its user may do what is needed', async () => {
    postgres.run('CREATE ROLE guest LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE writer LOGIN')
    // Nothing is there yet, and a guest may make nothing.
    expect(await check('postgres', url('guest'))).toEqual([
      expect.stringMatching(/^FAIL {2}store \(postgres\): .*permission denied.*; see storage\.url/),
    ])
    expect(await check('postgres', url('postern'))).toEqual([
      expect.stringMatching(
        /^OK {4}store \(postgres\): is of this shared_secret, and keeps what is written; PostgreSQL \d+\.\d+$/,
      ),
    ])
    postgres.run(
      'GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO writer',
    )
    expect(await check('postgres', url('reader'))).toEqual([
      expect.stringMatching(/^FAIL {2}store \(postgres\): .*permission denied/),
    ])
    expect(await check('postgres', url('writer'))).toEqual([expect.stringMatching(/^OK {4}store \(postgres\)/)])
  })
})
