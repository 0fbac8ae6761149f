/** The command line beside Posterns that share a Redis, from wherever it can be reached. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { cli, type Ran } from '../support/cli.ts'
import { type Redis, startRedis } from '../support/redis.ts'
import { createTestWorld, SHARED_SECRET, type World } from '../support/world.ts'

const APP = 'http://engineering.localhost/'

let redis: Redis
let world: World
let folder: string
beforeAll(async () => {
  redis = await startRedis()
  folder = mkdtempSync(join(tmpdir(), 'postern-cli-shared-'))
  world = await createTestWorld({ config: { storage: storage() } })
})
afterAll(async () => {
  await world.close()
  await redis.close()
  rmSync(folder, { recursive: true })
})

const storage = (port = redis.port) => ({ type: 'redis', url: `redis://127.0.0.1:${port}` })

function run(args: readonly string[], changes: object = {}): Promise<Ran> {
  const file = join(folder, 'config.yaml')
  writeFileSync(
    file,
    stringify({
      authenticate_service_url: 'http://authenticate.localhost',
      insecure_server: true,
      shared_secret: SHARED_SECRET,
      idp_provider: 'okta',
      idp_provider_url: world.okta.url,
      idp_client_id: DEMO.clientId,
      idp_client_secret: DEMO.clientSecret,
      idp_service_account: DEMO.apiToken,
      storage: storage(),
      routes: [{ from: 'http://engineering.localhost', to: world.upstreamUrl, allowed_groups: ['Engineering'] }],
      ...changes,
    }),
  )
  return cli([...args, '--config', file])
}

test('sessions are listed and ended from the command line, and end at once', async () => {
  const browser = world.browser()
  await world.signIn(browser, APP, 'alice@example.com')
  expect((await browser.ask(APP)).status).toBe(200)
  const listed = await run(['sessions', 'list', '--json'])
  expect(listed.err).toBe('')
  const [session] = JSON.parse(listed.out) as { session: string; email: string }[]
  expect(session?.email).toBe('alice@example.com')
  expect((await run(['sessions', 'revoke', session?.session ?? ''])).exitCode).toBe(0)
  await expect
    .poll(async () => (await browser.ask(APP, { headers: { accept: 'application/json' } })).status, { timeout: 10_000 })
    .toBe(401)
})

test('check --online says whether the store answers and is ours', async () => {
  expect((await run(['check', '--online'])).out).toContain(
    'OK    store (redis): is of this shared_secret, and keeps what is written',
  )
  const other = await run(['check', '--online'], { shared_secret: SHARED_SECRET.split('').toReversed().join('') })
  expect([other.exitCode, other.out]).toEqual([4, expect.stringContaining('shared_secret differs')])
  const away = await run(['check', '--online'], { storage: storage(1) })
  expect([away.exitCode, away.out]).toEqual([4, expect.stringContaining('ECONNREFUSED')])
}, 60_000)

test('with another shared secret no command says that nobody is there, and none writes', async () => {
  const browser = world.browser()
  await world.signIn(browser, APP, 'alice@example.com')
  const shared_secret = SHARED_SECRET.split('').toReversed().join('')
  for (const command of [
    ['sessions', 'list'],
    ['sessions', 'revoke', '--all'],
    ['tokens', 'create', '--name', 'ci'],
    ['tokens', 'list'],
    ['tokens', 'revoke', '--name', 'ci'],
    ['groups', 'show', 'alice@example.com'],
    ['explain', '--url', APP, '--user', 'alice@example.com'],
    ['access'],
  ]) {
    const { exitCode, out, err } = await run(command, { shared_secret })
    expect([exitCode, out, err]).toEqual([3, '', expect.stringContaining('shared_secret differs')])
  }
  expect((await browser.ask(APP)).status).toBe(200)
})
