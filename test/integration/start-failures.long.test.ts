/** What cannot be opened ends the built program at once, with everything that was opened before; a log that cannot be written does not. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer, get, type Server } from 'node:http'
import { type AddressInfo, createServer as createNetServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { listenOn, portOf } from '../support/world.ts'

const main = fileURLToPath(new URL('../../dist/cmd/postern/main.js', import.meta.url))

let folder: string
/** Holds a port, and is an Okta that never answers. */
let taken: Server
const children: ChildProcess[] = []
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-start-'))
  taken = await listenOn(createServer(() => {}))
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  taken.closeAllConnections()
  await new Promise((resolve) => taken.close(resolve))
  rmSync(folder, { recursive: true, force: true })
})

function write(more: object): string {
  const file = join(folder, 'config.yaml')
  writeFileSync(
    file,
    stringify({
      authenticate_service_url: 'http://authenticate.localhost',
      address: '127.0.0.1:0',
      health_check_addr: '127.0.0.1:0',
      metrics_address: '127.0.0.1:0',
      shared_secret: 'oQ7pRxYDbYxK2mXl1zJm3s4tq0Qe5cXwqkJYk0mB2nA=',
      idp_provider: 'okta',
      idp_provider_url: `http://localhost:${portOf(taken)}`,
      idp_client_id: 'postern',
      idp_client_secret: 'a-secret-of-no-importance-1234',
      idp_service_account: '00token-of-no-importance',
      storage: { type: 'embedded', path: join(folder, 'store') },
      routes: [{ from: 'http://open.localhost', to: 'http://127.0.0.1:9', allow_public_unauthenticated_access: true }],
      ...more,
    }),
  )
  return file
}

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function run(args: readonly string[], stdout: 'pipe' | number = 'pipe', detached = false): ChildProcess {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', stdout, 'pipe'], detached })
  children.push(child)
  return child
}

async function end(child: ChildProcess): Promise<Ended> {
  let [out, err] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const [code] = (await once(child, 'exit')) as [number | null]
  return { code, out, err }
}

describe.each([
  ['embedded', 1],
  ['memory', 1],
  ['embedded', 2],
] as const)('with the %s store and workers: %i', (type, workers) => {
  test.each(['address', 'health_check_addr', 'metrics_address', 'http_redirect_addr'])(
    'run ends with 1 and says why when %s is taken',
    async (key) => {
      const file = write({
        [key]: `127.0.0.1:${portOf(taken)}`,
        workers,
        storage: type === 'memory' ? { type } : { type, path: join(folder, 'store') },
      })
      // A directory read that is never answered is in flight meanwhile.
      const { code, out, err } = await end(run(['run', '--config', file]))
      expect({ code, err }).toEqual({
        code: 1,
        err: expect.stringMatching(`^postern: ${key}: cannot listen on 127.0.0.1:[0-9]+: another program.*EADDRINUSE`),
      })
      expect(out).toContain('"msg":"cannot start"')
    },
  )

  test.each([
    // TEST-NET-1 (RFC 5737).
    ['192.0.2.1:8080', {}, 'this machine has no such address (EADDRNOTAVAIL)'],
    [
      '192.0.2.1:8080',
      { use_proxy_protocol: true, trusted_proxies: ['192.0.2.2'] },
      'this machine has no such address',
    ],
    ['no-such-name.invalid:8080', {}, 'the name cannot be resolved (ENOTFOUND)'],
  ])('run ends with 1 when address is %s, %o, and no process is left', async (address, more, why) => {
    const storage = type === 'memory' ? { type } : { type, path: join(folder, 'store') }
    // A group of its own, so that what it leaves behind can be found.
    const child = run(['run', '--config', write({ address, workers, storage, ...more })], 'pipe', true)
    const said = { code: 1, err: expect.stringContaining(`address: cannot listen on ${address}: ${why}`) }
    expect(await end(child)).toMatchObject(said)
    await expect.poll(() => isGroupAlive(child)).toBe(false)
  })

  test.runIf(mayDropCapabilities())('run ends with 1 on a port below 1024 without the right to it', async () => {
    const storage = type === 'memory' ? { type } : { type, path: join(folder, 'store') }
    const file = write({ address: '127.0.0.1:81', workers, storage })
    const drop = ['--inh-caps=-net_bind_service', '--bounding-set=-net_bind_service']
    const child = spawn('setpriv', [...drop, process.execPath, main, 'run', '--config', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.push(child)
    const { code, err } = await end(child)
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('CAP_NET_BIND_SERVICE (EACCES)') })
  })
})

function isGroupAlive({ pid }: ChildProcess): boolean {
  try {
    return process.kill(-Number(pid), 0)
  } catch {
    return false
  }
}

function mayDropCapabilities(): boolean {
  const first = '/proc/sys/net/ipv4/ip_unprivileged_port_start'
  return process.getuid?.() === 0 && existsSync('/usr/bin/setpriv') && Number(readFileSync(first, 'utf8')) > 81
}

test('run ends with 1 when the store is a file, and when its directory cannot be made', async () => {
  const file = join(folder, 'file')
  writeFileSync(file, '')
  for (const path of [file, join(file, 'below')]) {
    const { code, err } = await end(run(['run', '--config', write({ storage: { type: 'embedded', path } })]))
    expect(code).toBe(1)
    expect(err).toContain('postern: ')
    expect(err).not.toMatch(/\bat .*\.js:\d+/)
  }
})

test.each(['redis://127.0.0.1:1', 'postgres://postern@127.0.0.1:1/postern'])(
  'a shared store that is not there, %s, is waited for, and then named',
  async (url) => {
    const file = write({ storage: { type: url.split(':', 1)[0], url } })
    const ended = await Promise.all([
      end(run(['run', '--config', file])),
      end(run(['sessions', 'list', '--config', file])),
    ])
    expect(ended.map(({ code }) => code)).toEqual([1, 4])
    for (const { err } of ended) expect(err).toMatch(/^postern: store: .*ECONNREFUSED 127.0.0.1:1$/m)
  },
)

test.each([1, 2])('SIGTERM ends a start that waits for its store, workers: %i', async (workers) => {
  const silent = createNetServer((socket) => socket.resume())
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as AddressInfo
  const url = `redis://127.0.0.1:${port}`
  const child = run(['run', '--config', write({ workers, storage: { type: 'redis', url } })])
  const ended = end(child)
  await once(silent, 'connection')
  child.kill('SIGTERM')
  const { code, out } = await ended
  expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining('stopped before it had started') })
  await new Promise((resolve) => silent.close(resolve))
})

test.runIf(process.platform === 'linux')(
  'run ends with 1 when nothing can be made where the store belongs',
  async () => {
    // Here mkdir says ENOENT although the parent is there, for which Node's recursive mkdir tries for ever.
    const { code, err } = await end(
      run(['run', '--config', write({ storage: { type: 'embedded', path: '/proc/a/b' } })]),
    )
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('cannot open /proc/a/b: ENOENT') })
  },
)

test('run makes the directories of the store, those above it, too', async () => {
  const path = join(folder, 'a', 'b', 'c')
  const child = run(['run', '--config', write({ storage: { type: 'embedded', path } })])
  const ended = end(child)
  await new Promise<void>((resolve) =>
    child.stdout?.on('data', (chunk: Buffer) => chunk.includes('"listening"') && resolve()),
  )
  expect(statSync(path).mode & 0o777).toBe(0o700)
  child.kill('SIGTERM')
  expect((await ended).code).toBe(0)
})

test('run ends with 3 when the store was written with another secret, and lets go of it', async () => {
  mkdirSync(join(folder, 'store'))
  const first = run(['run', '--config', write({})])
  await new Promise<void>((resolve) =>
    first.stdout?.on('data', (chunk: Buffer) => chunk.includes('"listening"') && resolve()),
  )
  first.kill('SIGTERM')
  expect((await end(first)).code).toBe(0)
  const other = write({ shared_secret: 'bQ7pRxYDbYxK2mXl1zJm3s4tq0Qe5cXwqkJYk0mB2nA=' })
  expect(await end(run(['run', '--config', other]))).toMatchObject({ code: 3 })
})

test('SIGHUP while run still reads its files does not end it', async () => {
  const secret = join(folder, 'secret')
  execFileSync('mkfifo', [secret])
  const file = write({ shared_secret: undefined, shared_secret_file: secret, storage: { type: 'memory' } })
  const child = run(['run', '--config', file])
  const started = new Promise<boolean>((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => chunk.includes('the directory') && resolve(true))
    child.once('exit', () => resolve(false))
  })
  // Opens as soon as somebody reads.
  const pipe = await open(secret, 'w')
  child.kill('SIGHUP')
  await pipe.writeFile('oQ7pRxYDbYxK2mXl1zJm3s4tq0Qe5cXwqkJYk0mB2nA=')
  await pipe.close()
  expect(await started).toBe(true)
})

describe('output that cannot be written', () => {
  const ask = (port: number, path = '/ping'): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      get({ port, host: '127.0.0.1', path, agent: false }, (res) => resolve(res.resume().statusCode)).on(
        'error',
        reject,
      )
    })
  const metric = (port: number): Promise<string> =>
    new Promise((resolve, reject) => {
      get({ port, host: '127.0.0.1', path: '/metrics', agent: false }, (res) => {
        let text = ''
        res.on('data', (chunk: Buffer) => (text += chunk.toString())).on('end', () => resolve(text))
      }).on('error', reject)
    })
  const freePort = async (): Promise<number> => {
    const server = await listenOn(createServer())
    const port = portOf(server)
    await new Promise((resolve) => server.close(resolve))
    return port
  }
  const up = async (port: number): Promise<void> => {
    await expect.poll(() => ask(port).catch(() => 0)).toBe(200)
  }

  test('run > /dev/full serves, counts what is lost, and stops as it is asked', async () => {
    const [port, metrics] = [await freePort(), await freePort()]
    const file = write({
      address: `127.0.0.1:${port}`,
      metrics_address: `127.0.0.1:${metrics}`,
      storage: { type: 'memory' },
    })
    const child = run(['run', '--config', file], openSync('/dev/full', 'w'))
    const ended = end(child)
    await up(port)
    await expect.poll(() => metric(metrics)).toMatch(/^postern_log_lines_dropped_total [1-9]/m)
    expect(await ask(port)).toBe(200)
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: 0 })
  })

  test('a reader that takes nothing keeps nobody waiting, and hears later how many lines it missed', async () => {
    const [port, metrics] = [await freePort(), await freePort()]
    const listeners = { address: `127.0.0.1:${port}`, metrics_address: `127.0.0.1:${metrics}` }
    const child = run(['run', '--config', write({ ...listeners, storage: { type: 'memory' } })])
    await up(port)
    // More than the system holds for a reader.
    for (let asked = 0; asked < 60; asked++) {
      const all = await Promise.all(Array.from({ length: 20 }, () => ask(port, `/${'x'.repeat(800)}`)))
      expect(new Set(all)).toEqual(new Set([404]))
    }
    await expect.poll(() => metric(metrics)).toMatch(/^postern_log_lines_dropped_total [1-9]/m)
    let heard = ''
    child.stdout?.on('data', (chunk: Buffer) => (heard += chunk.toString()))
    await expect.poll(async () => (await ask(port, '/again'), heard)).toContain('"path":"/again"')
    child.kill('SIGTERM')
    await once(child, 'close')
    const lines = heard
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string; lines?: number })
    const missed = lines.filter(({ msg }) => msg === 'log lines could not be written and are lost')
    expect(missed).toEqual([expect.objectContaining({ lines: expect.any(Number) })])
    expect(lines.at(-1)?.msg).toBe('stopped')
  })

  test('run | true serves on', async () => {
    const port = await freePort()
    const child = run(['run', '--config', write({ address: `127.0.0.1:${port}`, storage: { type: 'memory' } })])
    child.stdout?.destroy()
    const ended = end(child)
    await up(port)
    expect(await ask(port)).toBe(200)
    child.kill('SIGTERM')
    expect((await ended).code).toBe(0)
  })

  test.each([
    ['check', 0],
    ['config print --defaults', 0],
    ['schema', 0],
    ['--help', 0],
  ])('%s | true ends with %d and without a word', async (command, code) => {
    const args = command.split(' ')
    const child = run(/check|print/.test(command) ? [...args, write({})] : args)
    child.stdout?.destroy()
    expect(await end(child)).toEqual({ code, out: '', err: '' })
  })

  test('check of a file that is not valid ends with 3, whoever reads', async () => {
    const child = run(['check', write({ nonsense: 1 })])
    child.stdout?.destroy()
    child.stderr?.destroy()
    expect((await end(child)).code).toBe(3)
  })

  test('schema > /dev/full ends with 1 and says why', async () => {
    const { code, err } = await end(run(['schema'], openSync('/dev/full', 'w')))
    expect(code).toBe(1)
    expect(err).toBe('postern: cannot write the output: ENOSPC: no space left on device, write\n')
  })
})
