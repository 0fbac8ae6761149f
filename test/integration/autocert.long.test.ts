/** Certificates of a real ACME server, which asks for proof over real sockets. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { connect } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { stringify } from 'yaml'
import { type App, startApp } from '../../src/single.ts'
import { formatIssue, parseConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/model.ts'
import { createLogger } from '../../src/lib/log.ts'
import type { Clock } from '../../src/types.ts'
import { manualClock } from '../support/clock.ts'
import { startRedis } from '../support/redis.ts'
import { freePort, havePebble, type Pebble, startPebble } from '../support/pebble.ts'

const DAY = 86_400_000
const HOSTS = ['app.test', 'authenticate.test']
type Line = Readonly<Record<string, unknown>>

/** A Pebble, and Posterns over one store. */
async function createWorld() {
  const httpPort = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'postern-autocert-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const pebble = await startPebble(httpPort)
  onTestFinished(() => pebble.close())
  const store = join(folder, 'store')

  function compile(more: Line = {}, hosts: readonly string[] = ['app.test']): Config {
    const routes = hosts.map((host) => ({
      from: `https://${host}`,
      response: { status: 200, body: `this is ${host}` },
      allow_public_unauthenticated_access: true,
    }))
    const settings = {
      authenticate_service_url: 'https://authenticate.test',
      idp_provider_url: 'https://idp.test',
      idp_client_id: 'client',
      idp_client_secret: 'secret-of-the-client',
      shared_secret: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
      address: '127.0.0.1:0',
      http_redirect_addr: `127.0.0.1:${httpPort}`,
      health_check_addr: '127.0.0.1:0',
      metrics_address: '127.0.0.1:0',
      storage: { type: 'embedded', path: store },
      autocert: true,
      autocert_ca: pebble.directoryUrl,
      autocert_trusted_ca: pebble.authority,
      autocert_email: 'ops@app.test',
      ...more,
      routes,
    }
    const loaded = parseConfig(stringify(settings), 'config.yaml', {}, () => '')
    if (loaded.kind === 'invalid') throw new Error(loaded.issues.map(formatIssue).join('\n'))
    return loaded.config
  }

  async function start(config = compile(), clock?: Clock) {
    const log: Line[] = []
    const write = (chunk: Buffer, _: string, done: () => void): void => {
      for (const line of chunk.toString().trim().split('\n').filter(Boolean)) log.push(JSON.parse(line) as Line)
      done()
    }
    const logger = createLogger('debug', new Writable({ write }))
    const app = await startApp({ config, logger, ...(clock && { clock }) })
    let open = true
    const close = async (): Promise<void> => {
      if (open) await app.close()
      open = false
    }
    onTestFinished(close)
    const hosts = (message: string): readonly string[] =>
      log.filter(({ msg }) => msg === message).map(({ host }) => String(host))
    return { app, close, log, hosts }
  }
  return { pebble, httpPort, store, compile, start }
}

/** What a client sees that trusts the authority alone: the certificate's serial number and the answer, or the error. */
function ask({ app, pebble, host }: { app: App; pebble: Pebble; host: string }) {
  return new Promise<{ serial?: string; answer?: string; error?: string }>((resolve) => {
    const { port } = app.listener.address
    const socket = connect({ port, host: '127.0.0.1', servername: host, ca: pebble.root }, () => {
      const serial = socket.getPeerCertificate().serialNumber
      let answer = ''
      socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
      socket.on('end', () => resolve({ serial, answer }))
      socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? error.message }))
  })
}

async function side(app: App, kind: 'health' | 'metrics', path: string): Promise<string> {
  return (await fetch(`http://127.0.0.1:${app.operations[kind]?.address.port}${path}`)).text()
}

/** Now, or a moment ago: repeated work falls on full multiples of its interval, which the tests let pass. */
function atTheTick(): number {
  return Math.floor(Date.now() / 30_000) * 30_000
}

describe.skipIf(!havePebble)('autocert (with Pebble, which scripts/ci-tools.sh installs)', () => {
  test('each host gets a certificate that its authority vouches for, and a restart serves it at once', async () => {
    const { pebble, start, store } = await createWorld()
    const first = await start()
    expect((await ask({ app: first.app, pebble, host: 'app.test' })).error).toBe(
      'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
    )
    await expect.poll(() => first.hosts('certificate issued').toSorted()).toEqual(HOSTS)
    const { serial, answer } = await ask({ app: first.app, pebble, host: 'app.test' })
    expect(answer).toContain('this is app.test')
    expect((await ask({ app: first.app, pebble, host: 'other.test' })).error).toBe(
      'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
    )
    expect(await side(first.app, 'metrics', '/metrics')).toMatch(
      /postern_certificate_orders_total\{outcome="issued"\} 2/,
    )
    expect(await side(first.app, 'metrics', '/metrics')).toMatch(/not_after_timestamp_seconds\{name="app.test"\} \d+/)
    await first.close()
    for (const name of readdirSync(store))
      expect(readFileSync(join(store, name), 'latin1')).not.toContain('PRIVATE KEY')

    const second = await start()
    expect((await ask({ app: second.app, pebble, host: 'app.test' })).serial).toBe(serial)
    expect(second.hosts('ordering a certificate')).toEqual([])
  })

  test.each(['one machine', 'two machines'])(
    'of two processes on %s one orders, and the other serves what it got',
    async (on) => {
      const { pebble, start, compile } = await createWorld()
      const redis = on === 'two machines' ? await startRedis() : undefined
      if (redis) onTestFinished(() => redis.close())
      const shared = redis && { storage: { type: 'redis', url: `redis://127.0.0.1:${redis.port}` } }
      const both = await Promise.all([
        start(compile(shared)),
        start(compile({ ...shared, http_redirect_addr: '127.0.0.1:0' })),
      ])
      await expect.poll(() => both.flatMap(({ hosts }) => hosts('certificate issued')).toSorted()).toEqual(HOSTS)
      const serials = () =>
        Promise.all(both.map(async ({ app }) => (await ask({ app, pebble, host: 'app.test' })).serial))
      await expect.poll(async () => new Set(await serials()).size).toBe(1)
      expect(await serials()).not.toContain(undefined)
      expect(both.map(({ hosts }) => hosts('ordering a certificate').length).toSorted((a, b) => a - b)).toEqual([0, 2])
    },
  )

  test('a host of a reload is ordered at once, and one that the authority refuses leaves the others alone', async () => {
    const { start, compile, pebble } = await createWorld()
    const { app, hosts, log } = await start()
    await expect.poll(() => hosts('certificate issued')).toHaveLength(2)
    expect(app.reload(compile({}, ['app.test', 'blocked.test', 'new.test'])).needsRestart).toEqual([])
    await expect.poll(() => hosts('certificate issued')).toContain('new.test')
    expect((await ask({ app, pebble, host: 'new.test' })).answer).toContain('this is new.test')
    const failure = log.find(({ failures }) => failures === 1)
    expect(failure).toMatchObject({ host: 'blocked.test', level: 'error' })
    expect(failure?.['msg']).toContain('https to this host fails')
    expect(await side(app, 'health', '/readyz?verbose')).toContain('no valid certificate for blocked.test')
    expect((await fetch(`http://127.0.0.1:${app.operations.health?.address.port}/readyz`)).status).toBe(200)
  })

  test('while a renewal fails the old certificate stays, and each try waits longer', async () => {
    const { start, pebble } = await createWorld()
    const clock = manualClock(atTheTick())
    const { app, hosts, log } = await start(undefined, clock)
    await expect.poll(() => hosts('certificate issued')).toHaveLength(2)
    const before = await ask({ app, pebble, host: 'app.test' })
    clock.step(59 * DAY)
    clock.advance(30_000)
    expect(hosts('ordering a certificate')).toHaveLength(2)
    // Nobody can prove anything now.
    await app.redirect?.close()
    clock.step(4 * DAY)
    clock.advance(30_000)
    await expect.poll(() => log.filter(({ failures }) => failures === 1)).toHaveLength(2)
    expect(log.find(({ failures }) => failures === 1)?.['msg']).toContain('the one in force stays')
    expect((await ask({ app, pebble, host: 'app.test' })).serial).toBe(before.serial)
    clock.advance(14 * 60_000)
    expect(hosts('ordering a certificate')).toHaveLength(4)
    clock.advance(60_000)
    await expect.poll(() => log.filter(({ failures }) => failures === 2)).toHaveLength(2)
  })

  test('a certificate is renewed after two thirds of its lifetime, and not again at once when the next is as old', async () => {
    const { start, pebble } = await createWorld()
    const clock = manualClock(atTheTick())
    const { app, hosts, log } = await start(undefined, clock)
    await expect.poll(() => hosts('certificate issued')).toHaveLength(2)
    const before = await ask({ app, pebble, host: 'app.test' })
    // The authority's clock stays: what it issues now is two thirds old.
    clock.step(63 * DAY)
    clock.advance(30_000)
    await expect.poll(() => log.filter(({ failures }) => failures === 1)).toHaveLength(2)
    const after = await ask({ app, pebble, host: 'app.test' })
    expect(after.answer).toContain('this is app.test')
    expect(after.serial).not.toBe(before.serial)
    expect(log.find(({ failures }) => failures === 1)?.['error_message']).toContain('the clock of this machine')
    clock.advance(10 * 60_000)
    expect(hosts('ordering a certificate')).toHaveLength(4)
  })
})
