/** The device code of Okta (RFC 8628): a terminal without a browser, and what others can do with it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { demoSeed } from '../../emulator/okta/demo-seed.ts'
import { DEVICE_GRANT } from '../../emulator/okta/oidc/device.ts'
import { signInProgram } from '../../cmd/postern/program-login.ts'
import { manualClock } from '../support/clock.ts'
import { cli } from '../support/cli.ts'
import { createTestWorld, type World } from '../support/world.ts'

const AUTH = 'http://authenticate.localhost'
const demo = demoSeed({ redirectUris: [`${AUTH}/oauth2/callback`] })
const seed = {
  ...demo,
  apps: (demo.apps ?? []).map((app) => ({
    ...app,
    grantTypes: ['authorization_code', 'refresh_token', DEVICE_GRANT] as const,
  })),
}
const folder = mkdtempSync(join(tmpdir(), 'postern-device-'))
const clock = manualClock(Date.now())
let world: World
let origin: string
beforeAll(async () => {
  world = await createTestWorld({
    clock,
    okta: { seed },
    config: { allow_device_login: true },
    routes: [
      { name: 'app', from: 'http://127.0.0.1', allowed_groups: ['Engineering'] },
      { name: 'other', from: 'http://other.localhost', allow_any_authenticated_user: true },
    ],
  })
  origin = `http://127.0.0.1:${world.port}`
})
afterAll(async () => {
  await world.close()
  rmSync(folder, { recursive: true, force: true })
})

/** The person opens the page and enters the code, or refuses. */
async function enter(code: string, answer: Record<string, string>): Promise<void> {
  const body = new URLSearchParams(answer)
  const done = await fetch(`${world.okta.url}/activate?user_code=${code}`, { method: 'POST', body })
  expect(done.status).toBe(200)
}

async function begin(host = '127.0.0.1'): Promise<Record<string, string>> {
  const answer = await world.browser().ask(`http://${host}/.postern/api/v1/device`, { method: 'POST', headers: {} })
  expect(answer.status, answer.body).toBe(200)
  expect(answer.headers['cache-control']).toBe('no-store')
  return JSON.parse(answer.body) as Record<string, string>
}

async function poll(deviceCode: string, host = '127.0.0.1') {
  const answer = await world.browser().ask(`http://${host}/.postern/api/v1/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: DEVICE_GRANT, device_code: deviceCode }).toString(),
  })
  return { status: answer.status, ...(JSON.parse(answer.body) as Record<string, unknown>) } as Record<string, unknown>
}

const pollsOf = (): number => world.okta.calls().filter(({ path }) => path === '/oauth2/v1/token').length

test('signs a terminal in as whoever enters the code', async () => {
  const shown: string[] = []
  const token = await signInProgram(
    origin,
    {
      kind: 'device',
      show: (url, code) => shown.push(url, code),
      // Time passes at the emulator and here; the person is quick.
      wait: async (span) => {
        clock.advance(span)
        if (shown.length === 2) await enter(shown[1] ?? '', { identifier: 'alice@example.com' })
      },
    },
    clock,
  )
  expect(shown[0]).toBe(`${world.okta.url}/activate`)
  const asked = await fetch(`${origin}/`, { headers: { authorization: `Bearer ${token.token}` } })
  expect(asked.status).toBe(200)
  expect(await asked.text()).toContain('alice@example.com')
  expect(world.log().some(({ event }) => event === 'session-begin')).toBe(true)
  expect(world.logText()).not.toContain(token.token)
})

test('waits, and is told when the person said no', async () => {
  const { device_code: code = '', user_code: user = '' } = await begin()
  expect(await poll(code)).toMatchObject({ status: 400, error: 'authorization_pending' })
  clock.advance(5000)
  expect(await poll(code)).toMatchObject({ status: 400, error: 'authorization_pending' })
  await enter(user, { cancel: 'yes' })
  clock.advance(5000)
  expect(await poll(code)).toMatchObject({ status: 400, error: 'access_denied' })
})

test('asks Okta no more often than it wants, whatever the program does', async () => {
  const { device_code: code = '' } = await begin()
  await poll(code)
  const before = pollsOf()
  for (let i = 0; i < 20; i++) expect(await poll(code)).toMatchObject({ error: 'slow_down' })
  expect(pollsOf()).toBe(before)
})

test('is good on its host, for its time, and once', async () => {
  const { device_code: code = '', user_code: user = '' } = await begin()
  await enter(user, { identifier: 'bob@example.com' })
  expect(await poll(code, 'other.localhost')).toMatchObject({ error: 'expired_token' })
  expect(await poll(`${code.slice(0, -3)}AAA`)).toMatchObject({ error: 'expired_token' })
  expect(await poll(code)).toMatchObject({ status: 200, access_token: expect.stringMatching(/^psl_/) })
  clock.advance(6000)
  expect(await poll(code)).toMatchObject({ status: 400, error: 'expired_token' })
  const late = await begin()
  clock.advance(601_000)
  expect(await poll(late['device_code'] ?? '')).toMatchObject({ error: 'expired_token' })
})

test('lets in nobody whose account is not active', async () => {
  const { device_code: code = '', user_code: user = '' } = await begin()
  await enter(user, { identifier: 'bob@example.com' })
  world.okta.setStatus('bob@example.com', 'SUSPENDED')
  expect(await poll(code)).toMatchObject({ status: 400, error: 'access_denied' })
  world.okta.setStatus('bob@example.com', 'ACTIVE')
})

test('ends when nobody uses it, as the sessions of browsers do', async () => {
  world.reload({ session_idle_timeout: '30m' })
  const { device_code: code = '', user_code: user = '' } = await begin()
  await enter(user, { identifier: 'alice@example.com' })
  const { access_token: token } = await poll(code)
  const ask = async () => (await fetch(`${origin}/`, { headers: { authorization: `Bearer ${String(token)}` } })).status
  expect(await ask()).toBe(200)
  clock.advance(31 * 60_000)
  expect(await ask()).toBe(401)
  world.reload({ session_idle_timeout: '0s' })
})

test('is begun by one client so often, and Okta is asked no more', async () => {
  clock.advance(61_000)
  const statuses: number[] = []
  for (let i = 0; i < 12; i++) {
    const answer = await world.browser().ask('http://127.0.0.1/.postern/api/v1/device', { method: 'POST', headers: {} })
    statuses.push(answer.status)
  }
  expect(statuses).toEqual([...Array<number>(10).fill(200), 429, 429])
  clock.advance(61_000)
})

describe('is not there', () => {
  test('where the operator does not allow it', async () => {
    world.reload({ allow_device_login: false })
    expect(await cli(['login', origin, '--device'], { env: { XDG_STATE_HOME: folder } })).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('try --no-browser'),
    })
    world.reload({ allow_device_login: true })
  })

  test('where our client may not, and where Okta is down nobody is signed in', async () => {
    const [{ id } = { id: '' }] = seed.apps
    world.okta.updateApp(String(id), { grantTypes: ['authorization_code'] })
    const ask = () => world.browser().ask('http://127.0.0.1/.postern/api/v1/device', { method: 'POST', headers: {} })
    expect(await ask()).toMatchObject({ status: 400, body: expect.stringContaining('unauthorized_client') })
    world.okta.updateApp(String(id), { grantTypes: ['authorization_code', DEVICE_GRANT] })
    const { device_code: code = '' } = await begin()
    world.okta.fault({ path: '/oauth2/v1/token', act: { kind: 'status', status: 500 } })
    expect(await poll(code)).toMatchObject({ status: 503 })
    world.okta.fault({ path: '/oauth2/v1/device', act: { kind: 'status', status: 500 } })
    expect((await ask()).status).toBe(503)
    world.okta.clearFaults()
  })
})
