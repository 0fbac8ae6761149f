/** Service tokens over a store: what is kept, what is answered from memory, and what a fault means. */
import { beforeEach, expect, test, vi } from 'vitest'
import { AppError } from '../../../src/errors.ts'
import type { AuditEvent } from '../../../src/lib/audit.ts'
import { later } from '../../../src/lib/time.ts'
import { createFreshness, OF_THIS_MACHINE } from '../../../src/lib/freshness.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { ServiceTokens } from '../../../src/tokens/model.ts'
import { createServiceTokens } from '../../../src/tokens/service-tokens.ts'
import { tokensTable } from '../../../src/tokens/tables.ts'
import type { Store } from '../../../src/types.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'

const DAY = 86_400_000
const CI = { account: 'ci', routes: ['wiki'], methods: ['GET'], groups: ['Deployers'], lifetime: DAY } as const
const NEVER_MADE = `pst_${'A'.repeat(32)}`

let clock: ManualClock
let store: Store
let audited: AuditEvent[]
let tokens: ServiceTokens
beforeEach(() => {
  clock = manualClock()
  store = createMemoryStore({ clock })
  audited = []
  tokens = open()
  return () => tokens.close()
})

const open = (storeGrace = 0): ServiceTokens =>
  createServiceTokens({
    store,
    clock,
    audit: (event) => audited.push(event),
    freshness: createFreshness({ store, clock, trust: { ...OF_THIS_MACHINE, grace: storeGrace } }),
  })
const find = (token: string, by = tokens) => by.find(token, clock.now())

test('the store holds no token, and what it holds opens nothing', async () => {
  const { token, record } = await tokens.create(CI)
  expect(token).toMatch(/^pst_[\w-]{32}$/)
  expect(record).toMatchObject({ account: 'ci', expiresAt: later(clock.now(), DAY) })
  expect(record.id).toMatch(/^[0-9a-f]{12}$/)
  for await (const [key, { value }] of store.list(tokensTable)) {
    const kept = key + JSON.stringify(value)
    expect(kept).not.toContain(token.slice(4))
    expect(kept).not.toContain(record.id)
    for (const wrong of [key, `pst_${key}`, `pst_${key.slice(0, 32)}`, record.id]) {
      expect(await find(wrong)).toBeUndefined()
    }
  }
  expect(tokens.idOf(token)).toBe(record.id)
  expect(audited).toEqual([{ event: 'token-create', token: record }])
})

test('two tokens of one name are two tokens', async () => {
  const [one, other] = [await tokens.create(CI), await tokens.create(CI)]
  expect(one.token).not.toBe(other.token)
  await tokens.revoke(one.record.id)
  expect(await find(one.token)).toBeUndefined()
  expect(await find(other.token)).toMatchObject({ account: 'ci' })
})

test('a token that is shown again and again, good or bad, is answered from memory', async () => {
  const get = vi.spyOn(store, 'get')
  const { token } = await tokens.create(CI)
  for (const shown of [token, NEVER_MADE]) {
    get.mockClear()
    await find(shown)
    await find(shown)
    for (let i = 0; i < 10; i++) expect(find(shown)).not.toBeInstanceOf(Promise)
    expect(get).toHaveBeenCalledTimes(2)
  }
})

test('what is no token by its form asks nobody', () => {
  const get = vi.spyOn(store, 'get')
  for (const shown of ['pst_', 'pst_abc', `${NEVER_MADE}A`, `pst_${'ä'.repeat(32)}`, ` ${NEVER_MADE}`]) {
    expect(find(shown)).toBeUndefined()
  }
  expect(get).not.toHaveBeenCalled()
})

test('fifty requests with one token ask the store once', async () => {
  const { token } = await tokens.create(CI)
  const get = vi.spyOn(store, 'get')
  await Promise.all(Array.from({ length: 50 }, async () => find(token)))
  expect(get).toHaveBeenCalledOnce()
})

test('a revocation reaches the memory of every process, and so does a new token', async () => {
  const other = open()
  const { token, record } = await tokens.create(CI)
  const ended: string[] = []
  other.onEnd((id) => ended.push(id))
  for (let i = 0; i < 3; i++) expect(await find(token, other)).toBeDefined()
  expect(await tokens.revoke(record.id)).toEqual(record)
  await expect.poll(() => find(token, other)).toBeUndefined()
  expect(ended).toEqual([record.id])
  expect(await tokens.revoke(record.id)).toBeUndefined()
  expect(audited.map(({ event }) => event)).toEqual(['token-create', 'token-revoke'])
  other.close()
})

test('a revocation that the feed did not tell counts within five seconds', async () => {
  vi.spyOn(store, 'watch').mockReturnValue(() => {})
  const deaf = open()
  const { token, record } = await tokens.create(CI)
  for (let i = 0; i < 3; i++) await find(token, deaf)
  await tokens.revoke(record.id)
  clock.advance(5001)
  expect(await find(token, deaf)).toBeUndefined()
  deaf.close()
})

test('a token ends, from memory too', async () => {
  const { token } = await tokens.create({ ...CI, lifetime: 3000 })
  for (let i = 0; i < 3; i++) expect(await find(token)).toBeDefined()
  clock.advance(3000)
  expect(await find(token)).toBeUndefined()
  expect(await tokens.list()).toEqual([])
})

test('a store that fails is a fault and no answer; a record that cannot be read opens nothing', async () => {
  const { token } = await tokens.create(CI)
  const get = vi.spyOn(store, 'get').mockRejectedValue(new AppError('ERR_STORE_UNAVAILABLE', 'disk'))
  await expect(find(token)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  get.mockRejectedValue(new AppError('ERR_STORE_CORRUPT', 'damaged'))
  expect(await find(token)).toBeUndefined()
  get.mockRestore()
  expect(await tokens.list()).toHaveLength(1)
})

test('while a shared store is silent, what was read counts for store_grace; then it is a fault', async () => {
  const heardAt = clock.monotonic()
  vi.spyOn(store, 'heardAt').mockImplementation(() => heardAt)
  const patient = open(30_000)
  const { token } = await tokens.create(CI)
  for (const shown of [token, NEVER_MADE]) for (let i = 0; i < 3; i++) await find(shown, patient)
  vi.spyOn(store, 'get').mockRejectedValue(new AppError('ERR_STORE_UNAVAILABLE', 'silent'))
  clock.advance(29_999)
  expect(await find(token, patient)).toMatchObject({ account: 'ci' })
  expect(await find(NEVER_MADE, patient)).toBeUndefined()
  clock.advance(2)
  await expect(find(token, patient)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  patient.close()
})

test.each([
  {},
  { account: '' },
  { account: 'ci', createdAt: 0, expiresAt: 'never', routes: [], methods: [], groups: [] },
  { account: 'ci', createdAt: 0, expiresAt: 1, routes: '*', methods: [], groups: [] },
  { account: 'ci', createdAt: 0, expiresAt: 1, routes: [], methods: [], groups: [1] },
  null,
  'ci',
])('the record %j is damaged', (value) => {
  expect(tokensTable.parse(value)).toBeUndefined()
})

test('the last use is written a few times an hour, and brings no revoked token back', async () => {
  const put = vi.spyOn(store, 'put')
  const { token, record } = await tokens.create(CI)
  expect(await tokens.list()).toMatchObject([{ id: record.id, lastUsedAt: undefined }])
  const first = clock.now()
  put.mockClear()
  for (let i = 0; i < 100; i++) tokens.used(record)
  expect(put).toHaveBeenCalledOnce()
  await expect.poll(() => tokens.list()).toMatchObject([{ lastUsedAt: first }])
  clock.advance(900_000)
  tokens.used(record)
  await expect.poll(() => tokens.list()).toMatchObject([{ lastUsedAt: clock.now() }])
  await tokens.revoke(record.id)
  clock.advance(900_000)
  tokens.used(record)
  expect(await find(token)).toBeUndefined()
  expect(await tokens.list()).toEqual([])
  put.mockRejectedValue(new AppError('ERR_STORE_UNAVAILABLE', 'disk'))
  clock.advance(900_000)
  expect(() => tokens.used(record)).not.toThrow()
})
