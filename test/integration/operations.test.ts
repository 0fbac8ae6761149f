/** Reload, shutdown, probes and metrics on the running program. */
import { type ChildProcess, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { Agent, createServer, get, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { connect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator } from '../../emulator/okta/emulator.ts'
import { main, openConfig } from '../support/built-program.ts'
import { listenOn, portOf } from '../support/world.ts'
import { CERTIFICATE, EXPIRED, KEY } from '../unit/upstream/certificate.ts'

type LogLine = Readonly<Record<string, unknown>>

interface Program {
  readonly child: ChildProcess
  readonly lines: LogLine[]
  readonly port: number
  /** The first line, from the beginning, that fits. */
  line(fits: (line: LogLine) => boolean): Promise<LogLine>
}

let folder: string
let upstream: Server
let slowArrived: Promise<void>
let finishSlow = (): void => {}
const children: ChildProcess[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-ops-'))
  slowArrived = new Promise((arrived) => {
    upstream = createServer((req, res) => {
      if (req.url === '/slow') {
        finishSlow = () => res.end('upstream')
        arrived()
      } else res.end('upstream')
    })
  })
  await listenOn(upstream)
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }
  upstream.closeAllConnections()
  await new Promise((resolve) => upstream.close(resolve))
  rmSync(folder, { recursive: true, force: true })
})

function settings(more: object = {}): string {
  const listeners = { health_check_addr: '127.0.0.1:0', metrics_address: '127.0.0.1:0' }
  return openConfig(`http://127.0.0.1:${portOf(upstream)}`, { ...listeners, ...more })
}

async function start(file: string): Promise<Program> {
  const child = spawn(process.execPath, [main, 'run', '--config', file], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.setMaxListeners(0)
  children.push(child)
  const lines: LogLine[] = []
  const waiting = new Set<() => void>()
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(JSON.parse(text) as LogLine)
    for (const wake of waiting) wake()
  })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const line = async (fits: (line: LogLine) => boolean): Promise<LogLine> => {
    for (;;) {
      const found = lines.find(fits)
      if (found) return found
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`ended with ${child.exitCode ?? child.signalCode}: ${errors}`)
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          waiting.delete(wake)
          resolve()
        }
        waiting.add(wake)
        child.once('exit', wake)
      })
    }
  }
  const listening = await line(({ msg }) => msg === 'listening')
  return { child, lines, line, port: Number(String(listening['address']).split(':').at(-1)) }
}

function ask(
  port: number,
  path = '/',
  host = 'open.localhost',
  agent?: Agent,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = get({ host: '127.0.0.1', port, path, headers: { host }, ...(agent && { agent }) }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (body += chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    asked.on('error', reject)
  })
}

/** Fingerprint of the certificate that a new connection is shown. */
function shownBy(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? '')
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

/** Requests one after the other on four kept connections, until told to stop or, like a load balancer, until not ready. */
function load(port: number, health?: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  const outcome = { answered: 0, lost: [] as string[] }
  const until = { stopped: false }
  const worker = async (): Promise<void> => {
    while (!until.stopped) {
      try {
        const { status } = await ask(port, '/', 'open.localhost', agent)
        if (status === 200) outcome.answered++
        else outcome.lost.push(String(status))
      } catch (error) {
        outcome.lost.push(error instanceof Error ? error.message : 'failed')
      }
    }
  }
  const watcher = async (): Promise<void> => {
    if (health === undefined) return
    while (!until.stopped) until.stopped = (await ask(health, '/readyz')).status !== 200
  }
  const all = Promise.all([worker(), worker(), worker(), worker(), watcher()])
  return {
    async stop() {
      until.stopped ||= health === undefined
      await all
      agent.destroy()
      return outcome
    },
  }
}

describe('reload', () => {
  test('a changed file takes effect; a broken one is refused with its position and the old one stays', async () => {
    const file = join(folder, 'config.yaml')
    writeFileSync(file, settings())
    const program = await start(file)
    writeFileSync(
      file,
      settings({
        routes: [
          {
            from: 'http://other.localhost',
            to: `http://127.0.0.1:${portOf(upstream)}`,
            allow_public_unauthenticated_access: true,
          },
        ],
      }),
    )
    program.child.kill('SIGHUP')
    await program.line(({ msg }) => msg === 'configuration reloaded')
    expect((await ask(program.port, '/', 'other.localhost')).status).toBe(200)
    expect((await ask(program.port)).status).toBe(404)

    writeFileSync(file, 'routes: [{from: http://x.localhost, tо: 1')
    const refused = await program.line(
      ({ msg }) => msg === 'configuration not accepted; the last good one stays in force',
    )
    expect(String(refused['problem'])).toMatch(/config\.yaml:\d+:\d+/)

    // A warning is no reason to refuse it.
    writeFileSync(file, settings({ routes: [], cookie_expire: 'soon' }))
    const again = await program.line(({ msg, problem }) => msg === refused['msg'] && problem !== refused['problem'])
    expect(again['problem']).toMatch(/^\S+ cookie_expire: expected a duration such as [^;]*$/)
    expect(program.lines.filter(({ at }) => /there are no routes|cookie_expire/.test(String(at)))).toEqual([])
    expect((await ask(program.port, '/', 'other.localhost')).status).toBe(200)
  })

  test('the swap of a mounted directory takes effect without a signal', async () => {
    for (const name of ['..one', '..two']) mkdirSync(join(folder, name))
    writeFileSync(join(folder, '..one', 'config.yaml'), settings())
    writeFileSync(join(folder, '..two', 'config.yaml'), settings({ routes: [] }))
    symlinkSync('..one', join(folder, '..data'))
    symlinkSync(join('..data', 'config.yaml'), join(folder, 'config.yaml'))
    const program = await start(join(folder, 'config.yaml'))
    symlinkSync('..two', join(folder, '..next'))
    renameSync(join(folder, '..next'), join(folder, '..data'))
    const line = await program.line(({ msg }) => msg === 'configuration reloaded')
    expect(line['summary']).toBe('1 route removed')
    expect((await ask(program.port)).status).toBe(404)
  })

  test('a hundred reloads under load lose no request', async () => {
    const file = join(folder, 'config.yaml')
    writeFileSync(file, settings())
    const program = await start(file)
    const traffic = load(program.port)
    for (let i = 1; i <= 100; i++) {
      writeFileSync(file, settings({ jwt_claims_headers: { [`x-claim-${i}`]: 'email' } }))
      program.child.kill('SIGHUP')
      // Signals of one kind may fall together: the next one waits until this one was heard.
      const heard = program.lines.length
      await program.line((line) => line['msg'] === 'configuration reloaded' && program.lines.indexOf(line) >= heard)
    }
    const { answered, lost } = await traffic.stop()
    expect(lost).toEqual([])
    expect(answered).toBeGreaterThan(100)
    expect(program.lines.filter(({ msg }) => msg === 'configuration reloaded').length).toBeGreaterThanOrEqual(100)
  })

  test('a new certificate is used for new connections; one without its key is refused', async () => {
    const [crt, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
    writeFileSync(crt, CERTIFICATE)
    writeFileSync(key, KEY)
    const file = join(folder, 'config.yaml')
    const tls = {
      authenticate_service_url: 'https://authenticate.localhost',
      certificate_file: crt,
      certificate_key_file: key,
    }
    writeFileSync(file, settings({ ...tls, routes: [] }))
    const program = await start(file)
    expect(await shownBy(program.port)).toBe(new X509Certificate(CERTIFICATE).fingerprint256)

    const [nextCrt, nextKey] = ['tls.crt', 'tls.key'].map((name) =>
      readFileSync(new URL(`../unit/config/fixtures/${name}`, import.meta.url), 'utf8'),
    )
    writeFileSync(crt, nextCrt ?? '')
    await program.line(({ msg }) => msg === 'configuration not accepted; the last good one stays in force')
    expect(await shownBy(program.port)).toBe(new X509Certificate(CERTIFICATE).fingerprint256)
    writeFileSync(key, nextKey ?? '')
    await program.line(({ msg }) => msg === 'configuration reloaded')
    expect(await shownBy(program.port)).toBe(new X509Certificate(nextCrt ?? '').fingerprint256)
  })

  test('of each certificate it is known when it ends, and one that has ended is named', async () => {
    const [crt, old, key] = [join(folder, 'tls.crt'), join(folder, 'old.crt'), join(folder, 'tls.key')]
    for (const [path, pem] of [
      [crt, CERTIFICATE],
      [old, EXPIRED],
      [key, KEY],
    ] as const)
      writeFileSync(path, pem)
    const file = join(folder, 'config.yaml')
    const tls = {
      authenticate_service_url: 'https://authenticate.localhost',
      certificate_file: crt,
      certificate_key_file: key,
    }
    writeFileSync(file, settings({ ...tls, certificates: [{ cert: old, key }], routes: [] }))
    const program = await start(file)
    const side = await program.line(({ msg }) => msg === 'side listeners')
    const told = async (name: 'health' | 'metrics', path: string): Promise<string> =>
      (await ask(Number(String(side[name]).split(':').at(-1)), path)).body
    const ends = (await told('metrics', '/metrics')).match(/^postern_tls_certificate_not_after\S+ \d+$/gm)
    expect(ends).toEqual([
      expect.stringMatching(/\{name="listener"\} 4\d{9}$/),
      'postern_tls_certificate_not_after_timestamp_seconds{name="localhost"} 1609459200',
    ])
    expect(await told('health', '/readyz?verbose')).toMatch(
      /"certificates","status":"degraded","detail":"localhost: expired \d+ days ago"/,
    )
    writeFileSync(old, CERTIFICATE)
    await program.line(({ msg }) => msg === 'configuration reloaded')
    expect(await told('health', '/readyz?verbose')).toMatch(/"certificates","status":"ok"/)
  })

  test('what is wired at the start is named and kept', async () => {
    const file = join(folder, 'config.yaml')
    writeFileSync(file, settings())
    const program = await start(file)
    writeFileSync(file, settings({ idp_client_id: 'another', address: '127.0.0.1:1' }))
    program.child.kill('SIGHUP')
    const line = await program.line(({ msg }) => msg === 'configuration reloaded')
    expect(line['needs_restart']).toEqual(['idp_client_id', 'address'])
    expect((await ask(program.port)).status).toBe(200)
  })
})

describe('shutdown', () => {
  test('SIGTERM under load loses no request and ends with 0', async () => {
    const file = join(folder, 'config.yaml')
    writeFileSync(file, settings({ drain_delay: '1s' }))
    const program = await start(file)
    const side = await program.line(({ msg }) => msg === 'side listeners')
    const traffic = load(program.port, Number(String(side['health']).split(':').at(-1)))
    // In flight when the signal comes, and not finished before the drain delay has passed.
    const slow = ask(program.port, '/slow')
    await slowArrived
    program.child.kill('SIGTERM')
    const { answered, lost } = await traffic.stop()
    await program.line(({ msg }) => msg === 'accepting no more connections')
    finishSlow()
    expect((await slow).body).toBe('upstream')
    const [code] = (await once(program.child, 'exit')) as [number | null]
    expect(code).toBe(0)
    expect(lost).toEqual([])
    expect(answered).toBeGreaterThan(0)
  })

  test('a second signal ends it at once', async () => {
    const file = join(folder, 'config.yaml')
    writeFileSync(file, settings({ drain_delay: '1h' }))
    const program = await start(file)
    program.child.kill('SIGTERM')
    await program.line(({ msg }) => msg === 'stopping')
    program.child.kill('SIGTERM')
    const [code] = (await once(program.child, 'exit')) as [number | null]
    expect(code).toBe(130)
  })
})

describe('probes and metrics', () => {
  test('ready while serving, not while draining; the provider being away makes nothing unready', async () => {
    const file = join(folder, 'config.yaml')
    writeFileSync(file, settings({ drain_delay: '1h' }))
    const program = await start(file)
    const side = await program.line(({ msg }) => msg === 'side listeners')
    const health = Number(String(side['health']).split(':').at(-1))
    for (const path of ['/livez', '/readyz', '/startupz', '/healthz'])
      expect(await ask(health, path)).toEqual({ status: 200, body: 'ok\n' })
    const verbose = JSON.parse((await ask(health, '/readyz?verbose')).body) as {
      components: { name: string; status: string }[]
    }
    expect(verbose.components.map(({ name }) => name)).toEqual(expect.arrayContaining(['configuration', 'store']))
    expect((await ask(health, '/metrics')).status).toBe(404)

    // Nobody listens where the provider should be, and somebody wants to sign in.
    expect((await ask(program.port, '/.postern/sign_in', 'authenticate.localhost')).status).toBe(503)
    const { status, body } = await ask(health, '/readyz?verbose')
    expect(status).toBe(200)
    expect(JSON.parse(body)).toMatchObject({
      components: expect.arrayContaining([
        expect.objectContaining({
          name: 'identity-provider',
          status: 'degraded',
          detail: expect.stringContaining('ECONNREFUSED'),
        }),
      ]),
    })

    program.child.kill('SIGTERM')
    await program.line(({ msg }) => msg === 'stopping')
    expect((await ask(health, '/readyz')).status).toBe(503)
    expect((await ask(health, '/livez')).status).toBe(200)
    expect((await ask(program.port)).status).toBe(200)
  })

  test('say how fresh the directory is, how its changes are followed, and what is left of the rate limits', async () => {
    const okta = await createOktaEmulator({ seed: demoSeed() })
    onTestFinished(() => okta.close())
    const file = join(folder, 'config.yaml')
    const directory = { okta: { log_interval: '100ms' } }
    writeFileSync(
      file,
      settings({
        idp_provider: 'okta',
        idp_provider_url: okta.url,
        idp_service_account: DEMO.apiToken,
        directory,
      }),
    )
    const program = await start(file)
    const side = await program.line(({ msg }) => msg === 'side listeners')
    const health = Number(String(side['health']).split(':').at(-1))
    const ofDirectory = async (): Promise<{ status: string; detail: string } | undefined> => {
      const { body } = await ask(health, '/readyz?verbose')
      const { components } = JSON.parse(body) as { components: { name: string; status: string; detail: string }[] }
      return components.find(({ name }) => name === 'directory')
    }
    const followed =
      /^okta: fresh (?:less than a second|\d seconds?) ago; feed by log, (?:less than a second|\d seconds?) behind; \d+ of \d+ calls left in \/api\/v1\/\S+$/
    await expect.poll(ofDirectory).toMatchObject({ status: 'ok', detail: expect.stringMatching(followed) as string })

    okta.fault({ path: '/api/v1', act: { kind: 'cut' } })
    await expect.poll(async () => (await ofDirectory())?.detail).toMatch(/[1-9] seconds? behind/)
    // Nobody's groups were asked for since: looking for changes fails.
    await expect.poll(ofDirectory, { timeout: 20_000 }).toMatchObject({
      status: 'degraded',
      detail: expect.stringMatching(/^okta: ERR_DIRECTORY_\w+; fresh /) as string,
    })
    const { body } = await ask(Number(String(side['metrics']).split(':').at(-1)), '/metrics')
    expect(body).toMatch(/^postern_directory_failing 1$/m)
    expect(await ask(health, '/readyz')).toEqual({ status: 200, body: 'ok\n' })
  })

  test('an upstream whose health check fails is in /readyz?verbose and the metrics, and people get the other one', async () => {
    const file = join(folder, 'config.yaml')
    const down = 'http://127.0.0.1:1'
    const route = {
      name: 'open',
      from: 'http://open.localhost',
      to: [`http://127.0.0.1:${portOf(upstream)}`, down],
      health_checks: [{ interval: '100ms', initial_jitter: 0, http_health_check: { path: '/' } }],
      allow_public_unauthenticated_access: true,
    }
    writeFileSync(file, settings({ routes: [route] }))
    const program = await start(file)
    await program.line(({ msg, upstream: of }) => msg === 'an upstream is unhealthy' && of === down)
    for (let i = 0; i < 4; i++) expect((await ask(program.port)).status).toBe(200)
    const side = await program.line(({ msg }) => msg === 'side listeners')
    const portOfSide = (name: string): number => Number(String(side[name]).split(':').at(-1))
    const verbose = await ask(portOfSide('health'), '/readyz?verbose')
    expect(verbose.status).toBe(200)
    expect(JSON.parse(verbose.body)).toMatchObject({
      components: expect.arrayContaining([
        {
          name: 'upstreams',
          status: 'degraded',
          detail: expect.stringMatching(/^http:\/\/127\.0\.0\.1:1 is unhealthy/),
        },
      ]),
    })
    const { body } = await ask(portOfSide('metrics'), '/metrics')
    expect(body).toContain(`postern_upstream_health{upstream="${down}"} 0`)
  })

  test('metrics count requests by route and code, on their own address only', async () => {
    const file = join(folder, 'config.yaml')
    writeFileSync(file, settings())
    const program = await start(file)
    await ask(program.port, '/one')
    await ask(program.port, '/two')
    const side = await program.line(({ msg }) => msg === 'side listeners')
    const { body } = await ask(Number(String(side['metrics']).split(':').at(-1)), '/metrics')
    expect(body).toContain('postern_http_server_request_duration_seconds_count{route="open",method="GET",code="200"} 2')
    expect(body).toContain('postern_authz_decisions_total{route="open",decision="allow",reason="public"} 2')
    expect(body).toMatch(/postern_config_routes 1/)
    expect(body).toMatch(/postern_build_info\{version="[\d.]+",node="v[\d.]+"\} 1/)
    expect((await ask(program.port, '/metrics', 'nowhere.localhost')).status).toBe(404)
  })
})
