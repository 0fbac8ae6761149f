/** The store on a PostgreSQL that stops, comes back as an older state, or refuses. */
import type { KeyRings } from '../../src/lib/key-ring.ts'
import { keyRingsOf } from '../support/key-rings.ts'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { PostgresConfig } from '../../src/config/storage-model.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { checkStoreKey } from '../../src/store/key-check.ts'
import { openPostgresStore } from '../../src/store/postgres.ts'
import type { Logger, Store, Table } from '../../src/types.ts'
import { hasPostgres, type Postgres, postgresConfig, startPostgres } from '../support/postgres.ts'
import { honest, startBetween } from '../support/between.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'

const words: Table<string> = { name: 'words', parse: (value) => (typeof value === 'string' ? value : undefined) }
const UNAVAILABLE = { code: 'ERR_STORE_UNAVAILABLE' }

describe.skipIf(!hasPostgres)('a store on PostgreSQL (apt-get install postgresql)', () => {
  let postgres: Postgres
  const opened: Store[] = []
  beforeAll(async () => {
    postgres = await startPostgres()
  })
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
  })
  afterAll(() => postgres.close())

  async function open(
    more: Partial<PostgresConfig> = {},
    secret: string | KeyRings = 'a secret of the tests',
    logger: Logger = silentLogger,
  ): Promise<Store> {
    const config = postgresConfig(postgres.port, more)
    const keyRings = typeof secret === 'string' ? keyRingsOf(secret) : secret
    const store = await openPostgresStore({ config, keyRings, clock: systemClock, logger })
    opened.push(store)
    return store
  }

  test('fails at once while the server is gone, says so, and goes on when it is back', async () => {
    const { prefix } = postgresConfig(0)
    const [store, peer] = [await open({ prefix }), await open({ prefix })]
    await store.put(words, 'a', 'kept')
    const seen: string[] = []
    store.watch(({ key }) => seen.push(key))
    await postgres.kill()
    await expect.poll(() => store.trouble()).toBeDefined()
    await expect(store.get(words, 'a')).rejects.toMatchObject(UNAVAILABLE)
    await expect(store.put(words, 'a', 'lost')).rejects.toMatchObject(UNAVAILABLE)
    await expect(store.lease('x', 1000)).rejects.toMatchObject(UNAVAILABLE)
    await postgres.start()
    await expect.poll(() => store.trouble()).toBeUndefined()
    expect((await store.get(words, 'a'))?.value).toBe('kept')
    await expect.poll(() => peer.trouble()).toBeUndefined()
    await peer.put(words, 'b', 'new')
    await expect.poll(() => seen.at(-1)).toBe('b')
  })

  test('gives up a server that stands still, and finds it again', async () => {
    const store = await open()
    await store.put(words, 'a', 'kept')
    postgres.pause()
    try {
      await expect(store.get(words, 'a')).rejects.toMatchObject(UNAVAILABLE)
      await expect.poll(() => store.trouble()).toBeDefined()
    } finally {
      postgres.resume()
    }
    await expect.poll(() => store.trouble()).toBeUndefined()
    expect((await store.get(words, 'a'))?.value).toBe('kept')
  })

  test('after a restore of an older state whoever follows it hears of a gap, and versions do not come back', async () => {
    const { prefix } = postgresConfig(0)
    const store = await open({ prefix })
    await store.put(words, 'a', 'older')
    const older = (await store.get(words, 'a'))?.version ?? 0
    let gaps = 0
    // With a watcher `put` waits until the store has heard of its change.
    store.watch(
      () => {},
      () => gaps++,
    )
    await store.put(words, 'a', 'newer')
    const newer = (await store.get(words, 'a'))?.version ?? 0
    postgres.run(
      `DELETE FROM postern_changes WHERE space = '${prefix}' AND number > ${older};
       UPDATE postern_spaces SET newest = ${older} WHERE space = '${prefix}';
       UPDATE postern_records SET version = ${older} WHERE space = '${prefix}';
       SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'postern'`,
    )
    await expect.poll(() => gaps).toBeGreaterThan(0)
    await expect.poll(() => store.trouble()).toBeUndefined()
    await store.put(words, 'a', 'newest')
    expect((await store.get(words, 'a'))?.version).toBeGreaterThan(newer)
  })

  test('what somebody else wrote into a row is no answer', async () => {
    const { prefix } = postgresConfig(0)
    const store = await open({ prefix })
    for (const key of ['a', 'b']) await store.put(words, key, key)
    // One record in the place of the other.
    postgres.run(
      `UPDATE postern_records SET sealed = (SELECT max(sealed) FROM postern_records WHERE space = '${prefix}') WHERE space = '${prefix}'`,
    )
    const found = await Promise.allSettled(['a', 'b'].map((key) => store.get(words, key)))
    expect(found.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    postgres.run(`UPDATE postern_records SET sealed = 'x', expires_at = -1 WHERE space = '${prefix}'`)
    await expect(store.get(words, 'a')).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
  })

  test('another shared secret is refused with words', async () => {
    const { prefix } = postgresConfig(0)
    await checkStoreKey(await open({ prefix }), keyRingsOf('a secret of the tests'))
    const stranger = await open({ prefix }, 'another secret')
    await expect(checkStoreKey(stranger, keyRingsOf(new Secret('another secret')))).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
      message: expect.stringContaining('shared_secret differs'),
    })
  })

  test('what an older secret sealed is sealed anew', async () => {
    const { prefix } = postgresConfig(0)
    await (await open({ prefix }, 'an old secret')).put(words, 'a', 'kept')
    await expect((await open({ prefix }, 'a new secret')).get(words, 'a')).rejects.toMatchObject({
      code: 'ERR_STORE_CORRUPT',
    })
    await (await open({ prefix }, keyRingsOf('a new secret', 'an old secret'))).sealAnew?.(words)
    expect((await (await open({ prefix }, 'a new secret')).get(words, 'a'))?.value).toBe('kept')
  })

  test('of all connections that come first one makes the tables, and none stumbles over it', async () => {
    postgres.run('CREATE DATABASE fresh')
    const faults: unknown[] = []
    const logger = { ...silentLogger, error: (fields: object) => void faults.push(fields) }
    await Promise.all(Array.from({ length: 4 }, () => open({ database: 'fresh' }, undefined, logger)))
    expect(faults).toEqual([])
  })

  test('a user who may create nothing works with tables that are there, and is told when they are not', async () => {
    await open()
    postgres.run('CREATE ROLE limited LOGIN')
    postgres.run('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited')
    postgres.run('CREATE DATABASE bare')
    const credentials = { username: 'limited' }
    const store = await open({ credentials })
    expect(await store.put(words, 'a', 'b')).toBe(true)
    await expect(open({ credentials, database: 'bare' })).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringMatching(/no connection to PostgreSQL: permission denied/),
    })
  })

  test('a server that takes no writes is left for another connection', async () => {
    const told: unknown[] = []
    const logger: Logger = { ...silentLogger, error: ({ error_message }) => void told.push(error_message) }
    const store = await open({}, 'a secret of the tests', logger)
    postgres.run('ALTER ROLE postern SET default_transaction_read_only = on')
    try {
      postgres.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'postern'")
      await expect
        .poll(() => store.put(words, 'a', 'b').catch((error: Error) => error.message))
        .toMatch(/read-only transaction/)
      expect(store.trouble()?.reason).toMatch(/read-only transaction/)
      expect(told).toContainEqual(expect.stringMatching(/read-only transaction/))
    } finally {
      postgres.run('BEGIN READ WRITE; ALTER ROLE postern RESET default_transaction_read_only; COMMIT')
    }
    await expect.poll(() => store.put(words, 'a', 'b').catch(() => false)).toBe(true)
  })

  test('without a password that is right there is no connection, and the message has no password', async () => {
    postgres.run("CREATE ROLE locked LOGIN PASSWORD 'right'")
    writeFileSync(
      join(postgres.folder, 'data', 'pg_hba.conf'),
      'host all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n',
    )
    postgres.run('SELECT pg_reload_conf()')
    const credentials = (password: string) => ({ username: 'locked', password: new Secret(password) })
    await expect(open({ credentials: credentials('wrong-password') })).rejects.toMatchObject({
      message: expect.not.stringContaining('wrong-password'),
    })
    postgres.run('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO locked')
    await open({ credentials: credentials('right') })
  })

  describe.each<[string, (reply: Buffer) => Buffer | undefined]>([
    ['silence', () => undefined],
    ['half a reply', (reply) => reply.subarray(0, reply.length >> 1)],
    ['bytes of no meaning', () => Buffer.from([0xff, 0xfe, 0x00, 0x00, 0x00, 0x05, 0x0d])],
    ['a message of two gigabytes that never ends', () => Buffer.from([0x44, 0x7f, 0xff, 0xff, 0xff, 0x00])],
    ['a length below its own', () => Buffer.from([0x44, 0, 0, 0, 1, 0, 0, 0, 0])],
    ['rows that nobody asked for', () => Buffer.concat([Buffer.from([0x44, 0, 0, 0, 6, 0, 0])])],
    ['another protocol', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('%s instead of an answer', (_, lie) => {
    test('is a fault, leaves no connection behind, and is over when PostgreSQL tells the truth', async () => {
      const between = await startBetween(postgres.port)
      const store = await open({ node: { host: '127.0.0.1', port: between.port } })
      await store.put(words, 'a', 'mine')
      between.tamper = lie
      for (const key of ['a', 'b']) await expect(store.get(words, key)).rejects.toMatchObject(UNAVAILABLE)
      between.tamper = honest
      await expect.poll(() => store.get(words, 'a').catch(() => undefined)).toMatchObject({ value: 'mine' })
      await expect.poll(() => store.trouble()).toBeUndefined()
      // Two connections, each with an end on either side of the test.
      await expect.poll(between.sockets).toBe(4)
      await store.close()
      await expect.poll(between.sockets).toBe(0)
      await between.close()
    })
  })

  test('TLS: the certificate must be of the authority and of the name', async () => {
    const tls = await startPostgres([], { certificate: CERTIFICATE, key: KEY })
    try {
      const node = { host: 'localhost', port: tls.port }
      const store = await open({ node, tls: { ca: CERTIFICATE } })
      expect(await store.put(words, 'a', 'b')).toBe(true)
      await expect(open({ node, tls: {} })).rejects.toMatchObject({ message: expect.stringMatching(/self.signed/) })
    } finally {
      await tls.close()
    }
  })
})
