/** Sentinels, a cluster and TLS, with real processes. */
import { keyRingsOf } from '../../support/key-rings.ts'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { RedisConfig } from '../../../src/config/storage-model.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { openRedisStore } from '../../../src/store/redis.ts'
import type { Change, Store } from '../../../src/types.ts'
import { notes } from '../../contract/store.ts'
import { freePort } from '../../support/pebble.ts'
import { askRedis, type Redis, redisConfig, startRedis } from '../../support/redis.ts'

const note = (text: string) => ({ text, owner: 'ann' })
const patient = { timeout: 60_000, interval: 100 }
const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function server(args: readonly string[] = [], port?: number): Promise<Redis> {
  const started = await startRedis(args, port)
  closing.push(() => {
    started.resume()
    return started.close()
  })
  return started
}

async function open(config: RedisConfig): Promise<Store> {
  const keyRings = keyRingsOf('a secret of the tests')
  const store = await openRedisStore({ config, keyRings, clock: systemClock, logger: silentLogger })
  closing.push(() => store.close())
  return store
}

const atHome = (port: number) => ({ host: '127.0.0.1', port })
const written = (store: Store, key: string): Promise<boolean> => store.put(notes, key, note(key)).catch(() => false)
const textOf = async (store: Store, key: string) => (await store.get(notes, key))?.value.text

/** A master, a replica of it, and three Sentinels that watch them. */
async function sentinels() {
  const master = await server()
  const replica = await server(['--replicaof', `127.0.0.1 ${master.port}`])
  await expect.poll(() => askRedis(replica.port, 'INFO', 'replication'), patient).toContain('master_link_status:up')
  const watchers: Redis[] = []
  for (let i = 0; i < 3; i++) {
    const folder = mkdtempSync(join(tmpdir(), 'postern-sentinel-'))
    closing.push(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'sentinel.conf')
    writeFileSync(
      file,
      `sentinel monitor gate 127.0.0.1 ${master.port} 2\nsentinel down-after-milliseconds gate 1000\nsentinel failover-timeout gate 5000\n`,
    )
    const port = await freePort()
    watchers.push(await startSentinel(file, port))
  }
  await expect
    .poll(async () => Promise.all(watchers.map(({ port }) => askRedis(port, 'SENTINEL', 'CKQUORUM', 'gate'))), patient)
    .toEqual(watchers.map(() => expect.stringContaining('OK 3 usable')))
  await expect
    .poll(async () => Promise.all(watchers.map(({ port }) => askRedis(port, 'SENTINEL', 'REPLICAS', 'gate'))), patient)
    .toEqual(watchers.map(() => expect.stringContaining(`${replica.port}`)))
  const config = redisConfig(0, {
    place: { kind: 'sentinel', sentinels: watchers.map(({ port }) => atHome(port)), master: 'gate', credentials: {} },
  })
  return { master, replica, watchers, config }
}

function startSentinel(file: string, port: number): Promise<Redis> {
  return server([file, '--sentinel', '--port', `${port}`], port)
}

describe('behind Sentinels', () => {
  test('a killed master is followed by the next; what was deleted stays deleted, and one Sentinel may be silent', async () => {
    const { master, replica, watchers, config } = await sentinels()
    const [store, peer] = [await open(config), await open(config)]
    const seen: Change[] = []
    peer.watch((change) => seen.push(change))
    await store.put(notes, 'ended', note('ended'))
    await store.put(notes, 'lives', note('lives'))
    await expect.poll(() => askRedis(replica.port, 'DBSIZE'), patient).toBe(await askRedis(master.port, 'DBSIZE'))
    // What happens from here on the replica does not hear.
    replica.pause()
    await store.delete(notes, 'ended')
    await expect.poll(() => seen.length, patient).toBe(3)
    await master.kill()
    watchers[0]?.pause()
    replica.resume()
    await expect.poll(() => written(store, 'after'), patient).toBe(true)
    await expect.poll(() => written(peer, 'after too'), patient).toBe(true)
    expect(await askRedis(replica.port, 'ROLE')).toContain('master')
    for (const each of [store, peer]) {
      expect([await textOf(each, 'lives'), await textOf(each, 'ended')]).toEqual(['lives', undefined])
    }
    const fresh = await open(config)
    expect(await textOf(fresh, 'ended')).toBeUndefined()
    expect(store.trouble()).toBeUndefined()
  })

  test('a master that was only paused, and comes back as a replica, is not written to', async () => {
    const { master, config } = await sentinels()
    const store = await open(config)
    await store.put(notes, 'before', note('before'))
    master.pause()
    await expect.poll(() => written(store, 'after'), patient).toBe(true)
    master.resume()
    await expect.poll(() => askRedis(master.port, 'ROLE'), patient).toContain('slave')
    expect(await written(store, 'later')).toBe(true)
    expect([await textOf(store, 'after'), await textOf(store, 'later')]).toEqual(['after', 'later'])
  })
})

test('a cluster: our slot is found, and followed to another node', async () => {
  const ports = [await freePort(), await freePort(), await freePort(), await freePort()]
  const nodes: Redis[] = []
  for (const port of ports)
    nodes.push(
      await server(
        ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000', '--cluster-port', `${await freePort()}`],
        port,
      ),
    )
  const [first, ...others] = nodes
  execFileSync('redis-cli', [
    '--cluster',
    'create',
    ...nodes.slice(0, 3).map(({ port }) => `127.0.0.1:${port}`),
    '--cluster-yes',
  ])
  const config = redisConfig(0, { place: { kind: 'cluster', nodes: ports.slice(0, 3).map(atHome) } })
  await expect.poll(() => askRedis(first?.port ?? 0, 'CLUSTER', 'INFO'), patient).toContain('cluster_state:ok')
  const slot = Number((await askRedis(ports[0] ?? 0, 'CLUSTER', 'KEYSLOT', `{${config.prefix}}changes`)).slice(1))
  const owner = nodes[slot < 5461 ? 0 : slot < 10_923 ? 1 : 2]
  const spare = nodes[3]
  if (!owner || !spare || others.length === 0) throw new Error('there are no nodes')
  const ownerId = (await askRedis(owner.port, 'CLUSTER', 'MYID')).split('\r\n')[1] ?? ''
  execFileSync('redis-cli', [
    '--cluster',
    'add-node',
    `127.0.0.1:${spare.port}`,
    `127.0.0.1:${owner.port}`,
    '--cluster-slave',
    '--cluster-master-id',
    ownerId,
  ])
  await expect.poll(() => askRedis(spare.port, 'INFO', 'replication'), patient).toContain('master_link_status:up')

  const [store, peer] = [await open(config), await open(config)]
  const seen: Change[] = []
  peer.watch((change) => seen.push(change))
  for (const key of ['a', 'b']) await store.put(notes, key, note(key))
  expect(await askRedis(owner.port, 'DBSIZE')).not.toBe(':0\r\n')
  await askRedis(spare.port, 'CLUSTER', 'FAILOVER')
  await expect.poll(() => askRedis(spare.port, 'ROLE'), patient).toContain('master')
  await expect.poll(() => written(store, 'c'), patient).toBe(true)
  await spare.kill()
  await expect.poll(() => written(store, 'd'), patient).toBe(true)
  await expect.poll(() => seen.at(-1)?.key, patient).toBe('d')
  for (const key of ['a', 'b', 'd']) expect(await textOf(peer, key)).toBe(key)
})

describe('TLS', () => {
  function authority(
    folder: string,
    name: string,
  ): { readonly ca: string; readonly key: string; readonly certificate: string } {
    const at = (file: string) => join(folder, `${name}-${file}`)
    const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' })
    openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      at('ca.key'),
      '-out',
      at('ca.crt'),
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
    )
    openssl(
      'req',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      at('key'),
      '-out',
      at('csr'),
      '-subj',
      '/CN=redis',
    )
    writeFileSync(at('ext'), 'subjectAltName=DNS:localhost')
    openssl(
      'x509',
      '-req',
      '-in',
      at('csr'),
      '-CA',
      at('ca.crt'),
      '-CAkey',
      at('ca.key'),
      '-CAcreateserial',
      '-out',
      at('crt'),
      '-days',
      '2',
      '-extfile',
      at('ext'),
    )
    return { ca: at('ca.crt'), key: at('key'), certificate: at('crt') }
  }

  test('with the authority of the configuration; another authority, and another name, are refused', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-redis-tls-'))
    closing.push(() => rmSync(folder, { recursive: true }))
    const [ours, theirs] = [authority(folder, 'ours'), authority(folder, 'theirs')]
    const port = await freePort()
    await server(
      [
        '--port',
        '0',
        '--tls-port',
        `${port}`,
        '--tls-cert-file',
        ours.certificate,
        '--tls-key-file',
        ours.key,
        '--tls-ca-cert-file',
        ours.ca,
        '--tls-auth-clients',
        'yes',
        '--requirepass',
        'password',
      ],
      port,
    )
    const certificate = {
      chain: readFileSync(ours.certificate, 'utf8'),
      key: new Secret(readFileSync(ours.key, 'utf8')),
    }
    const config = redisConfig(port, {
      place: { kind: 'single', node: { host: 'localhost', port } },
      credentials: { password: new Secret('password') },
      tls: { ca: readFileSync(ours.ca, 'utf8'), certificate },
    })
    const store = await open(config)
    await store.put(notes, 'a', note('a'))
    expect(await textOf(store, 'a')).toBe('a')
    const refused = (more: Partial<RedisConfig>) =>
      expect(
        openRedisStore({
          config: { ...config, ...more },
          keyRings: keyRingsOf('x'),
          clock: systemClock,
          logger: silentLogger,
          startPatience: 3000,
        }),
      ).rejects
    await refused({ tls: { ca: readFileSync(ours.ca, 'utf8') } }).toMatchObject({
      message: expect.stringMatching(/certificate|closed/),
    })
    await refused({ tls: { ca: readFileSync(theirs.ca, 'utf8'), certificate } }).toMatchObject({
      message: expect.stringMatching(/certificate/),
    })
    await refused({ tls: { certificate } }).toMatchObject({ message: expect.stringMatching(/certificate/) })
    await refused({ place: { kind: 'single', node: atHome(port) } }).toMatchObject({
      message: expect.stringMatching(/altnames/),
    })
  })
})
