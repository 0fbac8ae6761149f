/** One Postern of two workers: the compiled program, and what an operator does to it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse, stringify } from 'yaml'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Browser } from '../../test/support/browser.ts'
import { cli } from '../../test/support/cli.ts'
import { flood } from '../../test/support/flood.ts'
import { CERTIFICATE, KEY } from '../../test/unit/upstream/certificate.ts'
import { APP, type Deployment, startDeployment } from './deployment.ts'
import { startLoad } from './load.ts'
import { cookieOf, openSocket } from './people.ts'
import type { Program } from './program.ts'

const AS_JSON = { headers: { accept: 'application/json' } }

let deployment: Deployment
beforeAll(async () => {
  deployment = await startDeployment({ count: 0 })
})
afterAll(() => deployment.close())

let stores = 0
function twoWorkers(changes: Readonly<Record<string, unknown>> = {}): Promise<Program> {
  const path = join(deployment.folder, `store-${stores++}`)
  return deployment.extra({
    storage: { type: 'embedded', path },
    workers: 2,
    metrics_address: '127.0.0.1:0',
    ...changes,
  })
}

/** Process ids by parent. */
function childrenOf({ pid }: Program): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}

const text = async (port: number, path: string): Promise<string> =>
  (await fetch(`http://127.0.0.1:${port}${path}`)).text()

async function metric({ metricsPort }: Program, name: string): Promise<number> {
  const lines = (await text(metricsPort, '/metrics')).split('\n').filter((line) => line.startsWith(`postern_${name}`))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

const requests = (program: Program) => metric(program, 'http_server_request_duration_seconds_count')

const servedBy = (program: Program) =>
  new Set(
    program
      .log()
      .filter(({ msg }) => msg === 'request')
      .map(({ worker }) => worker),
  )

function edit({ config }: Program, change: (settings: Record<string, unknown>) => void): void {
  const settings = parse(readFileSync(config, 'utf8')) as Record<string, unknown>
  change(settings)
  writeFileSync(config, stringify(settings))
}

describe('two workers', () => {
  let program: Program
  let alice: Browser
  beforeAll(async () => {
    program = await twoWorkers()
    alice = deployment.browser(program)
    expect((await deployment.signIn(alice, 'alice@example.com')).status).toBe(200)
  })
  afterAll(() => program.kill())

  test('share sessions and work, one of them reads the directory, and their metrics add up', async () => {
    const before = await requests(program)
    let asked = 0
    // Whichever is free takes a connection.
    while (servedBy(program).size < 2) {
      const answers = await Promise.all(Array.from({ length: 10 }, () => alice.ask(`${APP}/`, AS_JSON)))
      for (const { status } of answers) expect(status).toBe(200)
      asked += answers.length
    }
    expect(servedBy(program)).toEqual(new Set([1, 2]))
    await expect.poll(() => requests(program)).toBe(before + asked)
    expect(program.log().filter(({ msg }) => msg === 'this process reads the directory now')).toHaveLength(1)
    expect(await metric(program, 'workers ')).toBe(2)
    expect(await text(program.healthPort, '/readyz?verbose')).toContain('"name":"workers","status":"ok"')
  })

  test('a session that the command line ends is over in both, and so are its open connections', async () => {
    const thief = deployment.browser(program)
    expect((await deployment.signIn(thief, 'bob@example.com')).status).toBe(200)
    const sockets = await Promise.all(Array.from({ length: 8 }, () => openSocket(program, thief)))
    const revoked = await cli(['sessions', 'revoke', '--config', program.config, '--user', 'bob@example.com'])
    expect(revoked.exitCode).toBe(0)
    const end = performance.now()
    for (const { closed } of sockets) expect((await closed) - end).toBeLessThan(1000)
    for (let i = 0; i < 4; i++) expect((await thief.ask(`${APP}/`, AS_JSON)).status).toBe(401)
  })

  test('a new configuration is in force in both at once, and one that is wrong in neither', async () => {
    const statuses = () =>
      Promise.all(Array.from({ length: 6 }, async () => (await alice.ask('http://new.localhost/', AS_JSON)).status))
    expect(new Set(await statuses())).toEqual(new Set([404]))
    edit(program, (settings) => {
      const [route] = settings['routes'] as [object]
      settings['routes'] = [
        { ...route, name: 'New', from: 'http://new.localhost' },
        ...(settings['routes'] as object[]),
      ]
    })
    process.kill(program.pid, 'SIGHUP')
    await expect.poll(() => program.log().filter(({ msg }) => msg === 'configuration reloaded')).toHaveLength(1)
    expect(new Set(await statuses())).toEqual(new Set([401]))
    const whole = readFileSync(program.config, 'utf8')
    writeFileSync(program.config, `${whole}\nnonsense: 1\n`)
    process.kill(program.pid, 'SIGHUP')
    await expect.poll(() => text(program.healthPort, '/readyz?verbose')).toContain('unknown key')
    expect(new Set(await statuses())).toEqual(new Set([401]))
    writeFileSync(program.config, whole)
    process.kill(program.pid, 'SIGHUP')
    await expect.poll(() => metric(program, 'config_last_reload_success ')).toBe(1)
  })

  test('one that is killed under load loses its own exchanges only, is replaced, and its counts stay', async () => {
    const load = startLoad({ port: program.port, host: 'app.localhost', cookie: cookieOf(alice, APP) })
    await expect.poll(() => load.answered().get(200) ?? 0).toBeGreaterThan(50)
    const counted = await requests(program)
    const [victim = 0, other = 0] = childrenOf(program)
    process.kill(victim, 'SIGKILL')
    await expect.poll(() => childrenOf(program).filter((pid) => pid !== victim), { timeout: 20_000 }).toHaveLength(2)
    expect(childrenOf(program)).toContain(other)
    await expect.poll(() => metric(program, 'workers '), { timeout: 20_000 }).toBe(2)
    expect(await requests(program)).toBeGreaterThanOrEqual(counted)
    expect(await metric(program, 'worker_restarts_total')).toBe(1)
    // Five clients, each with one exchange at a time.
    expect((await load.stop()).length).toBeLessThanOrEqual(5)
    expect([...load.answered().keys()]).toEqual([200])
    expect((await alice.ask(`${APP}/`, AS_JSON)).status).toBe(200)
  })

  test('one that is replaced keeps to the store of the other when a reload names another, which needs a restart', async () => {
    edit(program, (settings) => {
      settings['storage'] = { type: 'embedded', path: join(deployment.folder, 'store-of-tomorrow') }
    })
    process.kill(program.pid, 'SIGHUP')
    await expect.poll(() => metric(program, 'config_needs_restart ')).toBe(1)
    const [victim = 0] = childrenOf(program)
    process.kill(victim, 'SIGKILL')
    await expect.poll(() => metric(program, 'worker_restarts_total')).toBe(2)
    await expect.poll(() => metric(program, 'workers '), { timeout: 20_000 }).toBe(2)
    const answers = await Promise.all(Array.from({ length: 20 }, () => alice.ask(`${APP}/`, AS_JSON)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  })

  test('what began before SIGTERM is finished, also when all processes get the signal', async () => {
    const slow = Promise.all(Array.from({ length: 4 }, () => alice.ask(`${APP}/slow`, AS_JSON)))
    await expect.poll(() => metric(program, 'http_server_active_requests')).toBe(4)
    const workers = childrenOf(program)
    for (const pid of [program.pid, ...workers]) process.kill(pid, 'SIGTERM')
    expect(await program.ended).toBe(0)
    expect((await slow).map(({ status, body }) => `${status} ${body.slice(-4)}`)).toEqual(
      Array.from({ length: 4 }, () => '200 done'),
    )
    for (const pid of workers) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    expect(program.log().filter(({ msg }) => msg === 'stopped')).toHaveLength(1)
  })
})

test('a TLS session that one worker began is resumed by the other', async () => {
  const program = await twoWorkers({
    authenticate_service_url: 'https://authenticate.localhost',
    certificate: CERTIFICATE,
    certificate_key: KEY,
    routes: [{ from: 'https://app.localhost', to: 'http://127.0.0.1:9', allow_any_authenticated_user: true }],
  })
  onTestFinished(() => program.kill())
  const asked = (session?: Buffer): Promise<{ readonly reused: boolean; readonly ticket: Buffer }> =>
    new Promise((resolve, reject) => {
      const socket = connect({
        host: '127.0.0.1',
        port: program.port,
        maxVersion: 'TLSv1.2',
        rejectUnauthorized: false,
        ...(session && { session }),
      })
      socket.once('error', reject)
      socket.write('GET / HTTP/1.1\r\nhost: app.localhost\r\nconnection: close\r\n\r\n')
      socket.once('data', () => {
        resolve({ reused: socket.isSessionReused(), ticket: socket.getSession() ?? Buffer.alloc(0) })
        socket.destroy()
      })
    })
  const { ticket } = await asked()
  while (servedBy(program).size < 2) {
    const later = await Promise.all(Array.from({ length: 10 }, () => asked(ticket)))
    for (const { reused } of later) expect(reused).toBe(true)
  }
})

test('when the primary is killed its workers end', async () => {
  const program = await twoWorkers()
  const workers = childrenOf(program)
  expect(workers).toHaveLength(2)
  await program.kill()
  const alive = (): readonly number[] =>
    workers.filter((pid) => {
      try {
        return process.kill(pid, 0)
      } catch {
        return false
      }
    })
  while (alive().length > 0) await sleep(20)
})

test('an address that is taken ends it, once and with words', async () => {
  const first = await twoWorkers()
  onTestFinished(() => first.kill())
  const address = `127.0.0.1:${first.port}`
  const failed = await twoWorkers({ address }).then(() => '', String)
  expect(failed).toMatch(/ended with 1: /)
  expect(failed.split('\n').filter((line) => line.includes('cannot start'))).toHaveLength(1)
  expect(failed).toContain(`address: cannot listen on ${address}: another program, or another key, has this port`)
})

test('one rate limit counts for both, over the embedded store', async () => {
  const open = { name: 'Open', from: 'http://open.localhost', allow_public_unauthenticated_access: true }
  const program = await twoWorkers({
    log_level: 'info',
    routes: [{ ...open, response: { status: 200, body: 'ok' }, rate_limit: { per_client: 50, burst: '1s' } }],
  })
  onTestFinished(() => program.kill())
  // Until both have connections, and the burst is gone.
  do await flood([program.port], 'open.localhost', 1000, 8)
  while (servedBy(program).size < 2)
  const through = (await flood([program.port], 'open.localhost', 3000, 8)).get(200) ?? 0
  expect(through).toBeLessThanOrEqual(1.3 * 50 * 3)
  expect(through).toBeGreaterThanOrEqual(0.7 * 50 * 3)
})
