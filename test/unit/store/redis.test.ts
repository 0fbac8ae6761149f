/** What is Redis's alone; the rest is in the contract suite. */
import { keyRingsOf } from '../../support/key-rings.ts'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { later } from '../../../src/lib/time.ts'
import { fingerprint } from '../../../src/store/record.ts'
import { openRedisStore } from '../../../src/store/redis.ts'
import type { RedisConfig } from '../../../src/config/storage-model.ts'
import type { Change, Logger, Store } from '../../../src/types.ts'
import { notes } from '../../contract/store.ts'
import { askRedis, type Redis, redisConfig, startRedis } from '../../support/redis.ts'

const keyRings = keyRingsOf('a secret of the tests')
const note = (text: string, owner = 'ann') => ({ text, owner })
const unavailable = (reason: RegExp) => ({ code: 'ERR_STORE_UNAVAILABLE', message: expect.stringMatching(reason) })

let redis: Redis
let config: RedisConfig
let store: Store
const opened: Store[] = []
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.close())
beforeEach(async () => {
  config = redisConfig(redis.port)
  store = await open()
})
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close()
})

async function open(more: Partial<Parameters<typeof openRedisStore>[0]> = {}): Promise<Store> {
  const one = await openRedisStore({ config, keyRings, clock: systemClock, logger: silentLogger, ...more })
  opened.push(one)
  return one
}

const ask = (...command: string[]) => askRedis(redis.port, ...command)
const recordOf = (key: string) => `{${config.prefix}}r:notes:${fingerprint(key)}`
const changes = () => `{${config.prefix}}changes`
/** The text of a bulk reply. */
const textOf = (reply: string) => reply.split('\r\n')[1] ?? ''

/** Counts lines of the log. */
function recorder(): { said: (text: string) => number; logger: Logger } {
  const lines: string[] = []
  const keep = (_: object, message: string): void => void lines.push(message)
  return {
    said: (text) => lines.filter((line) => line.startsWith(`store: ${text}`)).length,
    logger: { ...silentLogger, info: keep, error: keep },
  }
}

function watched(from: Store): { seen: Change[]; gaps: () => number } {
  const seen: Change[] = []
  let gaps = 0
  from.watch(
    (change) => seen.push(change),
    () => gaps++,
  )
  return { seen, gaps: () => gaps }
}

describe('what others write in Redis is not taken for ours', () => {
  test('a record under another key, with another expiry, or changed by a letter cannot be read', async () => {
    const corrupt = { code: 'ERR_STORE_CORRUPT' }
    await store.put(notes, 'mine', note('mine'), { expiresAt: later(systemClock.now(), 60_000) })
    await store.put(notes, 'other', note('other'))
    const [mine, other] = [textOf(await ask('GET', recordOf('mine'))), textOf(await ask('GET', recordOf('other')))]
    await ask('SET', recordOf('other'), mine)
    await expect(store.get(notes, 'other')).rejects.toMatchObject(corrupt)
    const [version, , index, sealed = ''] = mine.split(' ')
    for (const changed of [
      `${version} 9999999999999 ${index} ${sealed}`,
      `${version} 0 ${index} ${sealed}`,
      mine.slice(0, -1),
      'x',
      '',
    ]) {
      await ask('SET', recordOf('mine'), changed)
      await expect(store.get(notes, 'mine')).rejects.toMatchObject(corrupt)
    }
    await ask('SET', recordOf('other'), other)
    expect((await store.get(notes, 'other'))?.value).toEqual(note('other'))
  })

  test('a record that is no text, and an entry of the log of another form, harm nobody else', async () => {
    const { seen, gaps } = watched(store)
    await ask('LPUSH', recordOf('list'), 'x')
    await expect(store.get(notes, 'list')).rejects.toMatchObject(unavailable(/WRONGTYPE/))
    await store.put(notes, 'before', note('before'))
    const soon = (Date.now() + 1000) * 1000
    await ask('XADD', changes(), `${soon}-0`, 'p', '0', 'o', 'delete', 't', 'notes', 'k', 'forged')
    await ask('XADD', changes(), `${soon + 1}-0`, 'of', 'another form')
    await expect.poll(gaps, { timeout: 10_000 }).toBe(2)
    // Behind the number of the newest, where it would be read again and again.
    await ask('XADD', changes(), '*', 'p', '0', 'o', 'delete', 't', 'notes', 'k', 'forged')
    await store.put(notes, 'after', note('after'))
    expect(seen.map(({ key, kind }) => `${kind} ${key}`)).toEqual(['put before', 'put after'])
    expect(gaps()).toBe(2)
  })
})

describe('a gap', () => {
  test('changes that the log no longer holds are one', async () => {
    const peer = await open()
    const { seen, gaps } = watched(store)
    await peer.put(notes, 'a', note('a'))
    await expect.poll(() => seen.length).toBe(1)
    // Written and trimmed at once: nobody could read it.
    const text = `local time = redis.call('TIME')
      redis.call('XADD', KEYS[1], time[1] .. string.format('%06d', time[2]) .. '-0', 'p', '1', 'o', 'put', 't', 'notes', 'k', 'x')
      redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)`
    await ask('EVAL', text, '1', changes())
    await peer.put(notes, 'b', note('b'))
    await expect.poll(gaps, { timeout: 10_000 }).toBe(1)
    await expect.poll(() => seen.at(-1)?.key).toBe('b')
  })

  test('an emptied Redis is one, and versions go on from where they were', async () => {
    await store.put(notes, 'a', note('old'))
    const { version } = (await store.get(notes, 'a')) ?? { version: 0 }
    const { seen, gaps } = watched(store)
    await ask('FLUSHALL')
    await store.put(notes, 'a', note('new'))
    expect((await store.get(notes, 'a'))?.version).toBeGreaterThan(version)
    await expect.poll(gaps).toBe(1)
    expect(seen.map(({ key }) => key)).toEqual(['a'])
    expect(await store.put(notes, 'a', note('late'), { ifVersion: version })).toBe(false)
  })

  test('what was deleted and comes back with an older state is deleted again, there and for everybody', async () => {
    await store.put(notes, 'ended', note('ended'))
    await store.put(notes, 'lives', note('lives'))
    const peer = await open()
    const { gaps } = watched(peer)
    const record = textOf(await ask('GET', recordOf('ended')))
    await store.delete(notes, 'ended')
    await expect.poll(async () => (await peer.get(notes, 'ended')) === undefined).toBe(true)
    // As after a failover to a replica that had not heard of it.
    const forget = `local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 2) redis.call('XDEL', KEYS[1], last[1][1])
      redis.call('SET', ARGV[1], ARGV[2])`
    await ask('EVAL', forget, '1', changes(), recordOf('ended'), record)
    expect(await peer.get(notes, 'ended')).toBeUndefined()
    expect(await store.get(notes, 'ended')).toBeUndefined()
    await store.put(notes, 'another', note('another'))
    await expect.poll(gaps, { timeout: 10_000 }).toBe(1)
    await expect.poll(() => ask('EXISTS', recordOf('ended'))).toBe(':0\r\n')
    const fresh = await open()
    expect(await fresh.get(notes, 'ended')).toBeUndefined()
    expect((await fresh.get(notes, 'lives'))?.value).toEqual(note('lives'))
    await store.put(notes, 'ended', note('anew'))
    for (const each of [store, peer, fresh]) expect((await each.get(notes, 'ended'))?.value).toEqual(note('anew'))
  })
})

describe('room', () => {
  test('a full Redis refuses what is new, says so, and still lets people out', async () => {
    const own = await open()
    await own.put(notes, 'session', note('session'))
    await ask('CONFIG', 'SET', 'maxmemory', '1')
    try {
      await expect(own.put(notes, 'b', note('b'))).rejects.toMatchObject(unavailable(/OOM/))
      expect(own.trouble()?.reason).toMatch(/OOM/)
      const { seen } = watched(own)
      await own.delete(notes, 'session')
      expect(seen).toEqual([{ table: 'notes', key: 'session', kind: 'delete' }])
      expect(await own.get(notes, 'session')).toBeUndefined()
    } finally {
      await ask('CONFIG', 'SET', 'maxmemory', '0')
    }
    await own.put(notes, 'b', note('b'))
    expect(own.trouble()).toBeUndefined()
  })

  test('a value of a megabyte is stored, one of many is refused', async () => {
    await store.put(notes, 'large', note('x'.repeat(1_000_000)))
    expect((await store.get(notes, 'large'))?.value.text).toHaveLength(1_000_000)
    await expect(store.put(notes, 'larger', note('x'.repeat(4_000_000)))).rejects.toMatchObject(
      unavailable(/larger than/),
    )
    expect(await store.get(notes, 'larger')).toBeUndefined()
  })

  test('what has expired is swept with all that leads to it, and nothing else', async () => {
    const own = await open({ sweepInterval: 50 })
    for (let i = 0; i < 600; i++) await own.put(notes, `k${i}`, note('x'), { expiresAt: later(systemClock.now(), 1) })
    await own.put(notes, 'k1', note('renewed'), { expiresAt: later(systemClock.now(), 600_000) })
    await own.put(notes, 'k2', note('for good'))
    // Two minutes later.
    const past = `for i, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZINCRBY', KEYS[1], -120000, member) end`
    await ask('EVAL', past, '1', `{${config.prefix}}x`)
    await expect.poll(() => ask('ZCARD', `{${config.prefix}}t:notes`), { timeout: 10_000 }).toBe(':2\r\n')
    expect(await ask('ZCARD', `{${config.prefix}}i:notes:${fingerprint('ann')}`)).toBe(':2\r\n')
    expect(await ask('ZCARD', `{${config.prefix}}x`)).toBe(':1\r\n')
    expect(await ask('EXISTS', recordOf('k3'))).toBe(':0\r\n')
    expect((await own.get(notes, 'k1'))?.value.text).toBe('renewed')
    expect((await own.get(notes, 'k2'))?.value.text).toBe('for good')
  })
})

describe('connections', () => {
  test('cut ones are made again; what a cut interrupts is a fault, and no change is missed', async () => {
    const peer = await open()
    const { seen, gaps } = watched(peer)
    for (let round = 0; round < 3; round++) {
      await ask('CLIENT', 'KILL', 'TYPE', 'normal')
      await expect
        .poll(() => store.put(notes, `k${round}`, note('x')).catch(() => false), { timeout: 10_000 })
        .toBe(true)
    }
    await expect.poll(() => new Set(seen.map(({ key }) => key)).size, { timeout: 10_000 }).toBe(3)
    expect(gaps()).toBe(0)
    await expect.poll(() => store.trouble() ?? peer.trouble()).toBeUndefined()
  })

  test('scripts that Redis forgot are sent again', async () => {
    await store.put(notes, 'a', note('a'))
    await ask('SCRIPT', 'FLUSH')
    expect(await store.put(notes, 'a', note('b'))).toBe(true)
  })

  test('the user of the documentation may do all that is needed, and not look elsewhere', async () => {
    const text = readFileSync(new URL('../../../docs/high-availability.md', import.meta.url), 'utf8')
    const rule = /^user postern on (.*)$/m.exec(text)?.[1] ?? ''
    config = { ...config, prefix: 'postern', credentials: { username: 'postern', password: new Secret('password') } }
    await ask('ACL', 'SETUSER', 'postern', 'on', ...rule.split(' '))
    const own = await open({ sweepInterval: 20 })
    await own.put(notes, 'a', note('a'), { expiresAt: later(systemClock.now(), 60_000) })
    for await (const [, { value }] of own.list(notes, 'ann')) expect(value).toEqual(note('a'))
    expect(await own.take(notes, 'a')).toEqual(note('a'))
    const lease = await own.lease('x', 60_000)
    expect(await lease?.renew()).toBe(true)
    await lease?.release()
    await own.ping()
    config = { ...config, prefix: 'elsewhere' }
    await expect(open({ startPatience: 2000 })).rejects.toMatchObject(unavailable(/NOPERM/))
    config = { ...config, credentials: { username: 'postern', password: new Secret('wrong') } }
    await expect(open({ startPatience: 2000 })).rejects.toMatchObject(unavailable(/WRONGPASS/))
  })

  test('a Redis that stands still is one line in the log for each connection, and so is its return', async () => {
    const { said, logger } = recorder()
    await open({ logger })
    redis.pause()
    try {
      await expect.poll(() => said('no connection')).toBe(2)
      await sleep(6000)
      expect([said('no connection'), said('connected')]).toEqual([2, 2])
    } finally {
      redis.resume()
    }
    await expect.poll(() => said('connected')).toBe(4)
    expect(said('no connection')).toBe(2)
  })

  test('a right that is taken away while it runs is one line in the log', async () => {
    await ask('ACL', 'SETUSER', 'shrinking', 'on', '>password', '~*', '+@all')
    config = { ...config, credentials: { username: 'shrinking', password: new Secret('password') } }
    const { said, logger } = recorder()
    const own = await open({ logger })
    await ask('ACL', 'SETUSER', 'shrinking', '-xread')
    await expect.poll(() => own.trouble()?.reason).toMatch(/NOPERM/)
    await sleep(3000)
    expect([said('no connection'), said('connected')]).toEqual([1, 2])
  })

  test('a user who may not ask for a PING is connected, all the same', async () => {
    await ask('ACL', 'SETUSER', 'silent', 'on', '>password', '~*', '+@all', '-ping')
    config = { ...config, credentials: { username: 'silent', password: new Secret('password') } }
    const own = await open()
    await own.put(notes, 'a', note('a'))
    expect((await own.get(notes, 'a'))?.value).toEqual(note('a'))
  })

  test('where nothing listens the start fails with the reason', async () => {
    config = redisConfig(1)
    await expect(open({ startPatience: 2000 })).rejects.toMatchObject(unavailable(/ECONNREFUSED/))
  })
})
