/**
 * A Redis that lies, stalls or talks nonsense (attack-cases.md M06): raw sockets between Postern and a real one. Whatever
 * comes back, nobody gets in who may not, nobody is sent round in circles, and all is well when it tells the truth again.
 */
import { type Between, honest, startBetween, type Tamper } from '../support/between.ts'
import { keyRingsOf } from '../support/key-rings.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { openRedisStore } from '../../src/store/redis.ts'
import type { Store } from '../../src/types.ts'
import { notes } from '../contract/store.ts'
import { type Redis, redisConfig, startRedis } from '../support/redis.ts'

const note = (text: string) => ({ text, owner: 'ann' })
const patient = { timeout: 30_000, interval: 50 }

let redis: Redis
let between: Between
let store: Store
beforeEach(async () => {
  redis = await startRedis()
  between = await startBetween(redis.port)
  store = await openRedisStore({
    config: redisConfig(between.port),
    keyRings: keyRingsOf('a secret of the tests'),
    clock: systemClock,
    logger: silentLogger,
  })
  await store.put(notes, 'alice', note('alice'))
  await store.put(notes, 'bob', note('bob'))
})
afterEach(async () => {
  between.tamper = honest
  await store.close()
  await between.close()
  await redis.close()
})

const faults = ['ERR_STORE_UNAVAILABLE', 'ERR_STORE_CORRUPT']
/** The record, nothing, or the code of the fault. */
const look = (key: string): Promise<unknown> =>
  store.get(notes, key).then(
    (found) => found?.value.text,
    (error: { code?: string }) => error.code,
  )

async function expectRecovery(): Promise<void> {
  between.tamper = honest
  await expect.poll(() => look('alice'), patient).toBe('alice')
  await expect.poll(() => store.trouble(), patient).toBeUndefined()
  expect(await store.put(notes, 'after', note('after'))).toBe(true)
}

test("the answer to another question is nobody's record", async () => {
  let bobs: Buffer | undefined
  between.tamper = (reply) => {
    if (reply.length > 150) bobs = reply
    return reply
  }
  expect(await look('bob')).toBe('bob')
  const kept = bobs
  expect(kept).toBeDefined()
  between.tamper = (reply) => (reply.length > 150 ? kept : reply)
  expect(await look('alice')).toBe('ERR_STORE_CORRUPT')
  await expect(store.take(notes, 'alice')).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
  for await (const [key, { value }] of store.list(notes)) expect(value.text).toBe(key)
  await expectRecovery()
})

describe.each<[string, Tamper]>([
  ['silence', () => undefined],
  ['half a reply', (reply) => (reply.length > 1 ? reply.subarray(0, reply.length >> 1) : reply)],
  ['a bulk of two gigabytes that never ends', () => Buffer.from('$2147483647\r\nx')],
  ['a list that never ends', () => Buffer.from('*1000000000\r\n')],
  ['a number where a record should be', () => Buffer.from(':7\r\n')],
  ['nothing where something should be', () => Buffer.from('$-1\r\n')],
  ['an error', () => Buffer.from("-READONLY You can't write against a read only replica.\r\n")],
  ['another protocol', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['bytes of no meaning', () => Buffer.from([0xff, 0xfe, 0x00, 0x0a, 0x0d])],
])('%s', (_, lie) => {
  test('is a fault or nothing, soon, and over when Redis tells the truth', async () => {
    between.tamper = lie
    const begun = performance.now()
    for (const key of ['alice', 'bob']) expect([...faults, undefined]).toContain(await look(key))
    // Twice the patience of a call, and what a loaded machine takes.
    expect(performance.now() - begun).toBeLessThan(20_000)
    const won = await store.put(notes, 'alice', note('mallory'), { ifVersion: 0 }).catch(() => false)
    expect(won).toBe(false)
    expect(await store.lease('leader', 60_000).catch(() => undefined)).toBeUndefined()
    await expectRecovery()
  })
})
