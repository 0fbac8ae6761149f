/** The running program while somebody sets the machine's clock an hour forward and an hour back. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { stringify } from 'yaml'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator } from '../../emulator/okta/emulator.ts'
import { createBrowser } from '../support/browser.ts'
import { signIn, listenOn, portOf, SHARED_SECRET } from '../support/world.ts'

const HOUR = 3_600_000
const AUTHENTICATE = 'http://authenticate.localhost'
const ENGINEERING = 'http://engineering.localhost/'
const AS_JSON = { headers: { accept: 'application/json' } }
/** Absolute; a step must neither end the session sooner nor let it live longer. */
const EXPIRE = 15_000

test('a step by an hour, either way, ends no session, hides no groups, delays no removal, and lets no session live longer', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-step-'))
  const okta = await createOktaEmulator({
    seed: demoSeed({ redirectUris: [`${AUTHENTICATE}/oauth2/callback`] }),
    rateLimits: 'off',
  })
  const upstream = await listenOn(createServer((_req, res) => res.end('hello')))
  const file = join(folder, 'config.yaml')
  writeFileSync(
    file,
    stringify({
      authenticate_service_url: AUTHENTICATE,
      address: '127.0.0.1:0',
      shared_secret: SHARED_SECRET,
      idp_provider: 'okta',
      idp_provider_url: okta.url,
      idp_client_id: DEMO.clientId,
      idp_client_secret: DEMO.clientSecret,
      idp_service_account: DEMO.apiToken,
      cookie_expire: `${EXPIRE / 1000}s`,
      storage: { type: 'embedded', path: join(folder, 'store') },
      directory: { refresh_interval: '5s', max_staleness: '30s', okta: { log_interval: '1s' } },
      routes: [{ from: ENGINEERING, to: `http://127.0.0.1:${portOf(upstream)}`, allowed_groups: ['Engineering'] }],
    }),
  )
  const preload = resolve('test/support/stepped-clock.mjs')
  const program = resolve('dist/cmd/postern/main.js')
  const child = spawn(process.execPath, ['--import', preload, program, 'run', '--config', file], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await exited
    await okta.close()
    upstream.close()
    upstream.closeAllConnections()
    rmSync(folder, { recursive: true, force: true })
  })
  const port = await new Promise<number>((found) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const at = /"port":(\d+)/.exec(line) ?? /127\.0\.0\.1:(\d+)/.exec(line)
      if (at) found(Number(at[1]))
    })
  })
  const stepTo = async (by: number): Promise<void> => {
    child.send(by)
    await once(child, 'message')
  }
  const signInAs = async (login: string) => {
    const browser = createBrowser(() => port)
    expect((await signIn(browser, okta.url, ENGINEERING, login)).status).toBe(200)
    return { browser, at: performance.now() }
  }
  const statusOf = async ({ browser }: Awaited<ReturnType<typeof signInAs>>): Promise<number> =>
    (await browser.ask(ENGINEERING, AS_JSON)).status
  const lifeOf = async (who: Awaited<ReturnType<typeof signInAs>>): Promise<number> => {
    await expect.poll(() => statusOf(who), { timeout: 2 * EXPIRE, interval: 100 }).not.toBe(200)
    return performance.now() - who.at
  }

  for (const by of [HOUR, -HOUR]) {
    await stepTo(0)
    const alice = await signInAs('alice@example.com')
    await stepTo(by)
    expect(await statusOf(alice)).toBe(200)
    // The feed goes on, and the comparison.
    okta.clearCalls()
    await expect
      .poll(() => okta.calls().filter(({ path }) => path === '/api/v1/logs').length, { timeout: 8000 })
      .toBe(3)
    expect(await statusOf(alice)).toBe(200)
    const again = await signInAs('alice@example.com')
    expect(await statusOf(again)).toBe(200)
    // What is taken away after the step counts as soon as without one; so does what is given.
    okta.removeMember('Engineering', 'alice@example.com')
    await expect.poll(() => statusOf(alice), { timeout: 5000 }).toBe(403)
    okta.addMember('Engineering', 'alice@example.com')
    await expect.poll(() => statusOf(alice), { timeout: 5000 }).toBe(200)
    const life = await lifeOf(alice)
    expect(life).toBeGreaterThan(EXPIRE * 0.85)
    expect(life).toBeLessThan(EXPIRE * 1.25)
  }
}, 90_000)
