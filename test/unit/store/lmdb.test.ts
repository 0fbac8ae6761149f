import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setImmediate as turn } from 'node:timers/promises'
import { open as openRaw } from 'lmdb'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { openLmdbStore } from '../../../src/store/lmdb.ts'
import type { Change, Clock, Logger, Store } from '../../../src/types.ts'
import { manualClock } from '../../support/clock.ts'
import { sheet, sheets } from './lmdb-child.ts'

let path: string
const stores: Store[] = []
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'postern-lmdb-'))
})
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
  rmSync(path, { recursive: true })
})

function open(clock: Clock = systemClock, logger: Logger = silentLogger, at = path): Store {
  const store = openLmdbStore({ path: at, clock, logger })
  stores.push(store)
  return store
}

/** What was logged, each line as level and message. */
function recorded(): { readonly lines: readonly string[]; readonly logger: Logger } {
  const lines: string[] = []
  const at = (level: string) => (_fields: object, message: string) => void lines.push(`${level} ${message}`)
  return { lines, logger: { ...silentLogger, info: at('info'), error: at('error') } }
}

function start(task: 'write' | 'take' | 'revoke', argument = '') {
  const child = spawn(
    process.execPath,
    [join('test', 'support', 'run-ts.mjs'), join('test', 'unit', 'store', 'lmdb-child.ts'), path, task, argument],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const line = async () => (await lines.next()).value as string | undefined
  const exit = once(child, 'exit')
  const rest = async () => {
    const all: string[] = []
    for (let next = await line(); next !== undefined; next = await line()) all.push(next)
    await exit
    return all
  }
  return { child, line, rest, exit }
}

async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await turn()
}

async function all(store: Store, index?: string): Promise<number[]> {
  const found: number[] = []
  for await (const [, { value }] of store.list(sheets, index)) found.push(value.number)
  return found.sort((a, b) => a - b)
}

/** A logger that keeps what was warned of. */
function listeningLogger(): { logger: Logger; lines: string[] } {
  const lines: string[] = []
  const keep = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`)
  return { logger: { ...silentLogger, warn: keep, error: keep }, lines }
}

test('records survive closing and opening again', async () => {
  const first = open()
  await first.put(sheets, 'k', sheet(7))
  await first.close()
  expect((await open().get(sheets, 'k'))?.value).toEqual(sheet(7))
})

test('what is written in one turn is one commit', async () => {
  const store = open()
  await store.put(sheets, 'before', sheet(0))
  const raw = openRaw({ path: join(path, 'postern.mdb'), noSubdir: true })
  const commits = (): number => (raw.getStats() as { readonly lastTxnId: number }).lastTxnId
  const before = commits()
  const done = [store.put(sheets, 'a', sheet(1)), store.take(sheets, 'before'), store.put(sheets, 'b', sheet(2))]
  expect(await Promise.all(done)).toEqual([true, sheet(0), true])
  expect(commits()).toBe(before + 1)
  expect(await all(store)).toEqual([1, 2])
  await raw.close()
})

test('writes of one turn see one another, in their order', async () => {
  const store = open()
  const first = store.put(sheets, 'k', sheet(1), { ifVersion: 0 })
  const second = store.put(sheets, 'k', sheet(2), { ifVersion: 0 })
  const taken = store.take(sheets, 'k')
  const again = store.take(sheets, 'k')
  expect(await Promise.all([first, second, taken, again])).toEqual([true, false, sheet(1), undefined])
})

test('a write that fails takes none of the same turn along', async () => {
  const store = open()
  const unwritable = { ...sheets, format: () => 1n }
  await store.put(sheets, 'bad', sheet(0))
  const outcomes = await Promise.allSettled([
    store.put(sheets, 'a', sheet(1)),
    store.put(unwritable, 'bad', sheet(2)),
    store.put(sheets, 'b', sheet(3)),
  ])
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(await all(store)).toEqual([0, 1, 3])
})

test('a store that is closed writes first what was asked for, and nothing later', async () => {
  const store = open()
  const asked = store.put(sheets, 'k', sheet(7))
  await store.close()
  expect(await asked).toBe(true)
  await expect(store.put(sheets, 'k', sheet(8))).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  expect((await open().get(sheets, 'k'))?.value).toEqual(sheet(7))
})

test('a process that is killed at any point leaves everything it confirmed and nothing by half', async () => {
  for (const writes of [1, 13, 57, 140]) {
    const { child, line, exit, rest } = start('write')
    let confirmed = -1
    await line()
    while (confirmed < writes) confirmed = Number(await line())
    child.kill('SIGKILL')
    await exit
    const last = Math.max(confirmed, ...(await rest()).map(Number))
    const { logger, lines } = listeningLogger()
    const store = open(systemClock, logger)
    const found = await all(store)
    const newest = found.at(-1) ?? -1
    // The write that was under way is there or not; the delete that follows each write may be missing once.
    expect([last, last + 1]).toContain(newest)
    expect([10, 11]).toContain(newest - (found[0] ?? 0) + 1 + Math.max(0, 9 - newest))
    expect(found).toEqual(Array.from({ length: found.length }, (_, i) => newest - found.length + 1 + i))
    const byOwner = await Promise.all([0, 1, 2, 3, 4].map((owner) => all(store, `owner${owner}`)))
    expect(byOwner.flat().sort((a, b) => a - b)).toEqual(found)
    expect(lines).toEqual([])
    expect(await store.put(sheets, 'after', sheet(1))).toBe(true)
    for (const [key] of [...found.map((number) => [`${number}`] as const), ['after'] as const]) {
      await store.delete(sheets, key)
    }
    await store.close()
  }
})

test('of two processes that race for 200 single-use codes each code goes to one', async () => {
  const store = open()
  for (let number = 0; number < 200; number++) await store.put(sheets, `${number}`, sheet(number))
  const racers = [start('take', '200'), start('take', '200')]
  for (const racer of racers) expect(await racer.line()).toBe('ready')
  for (const racer of racers) racer.child.stdin.write('go\n')
  const [one = [], two = []] = await Promise.all(racers.map((racer) => racer.rest()))
  expect([...one, ...two].map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, i) => i))
  expect(await all(store)).toEqual([])
})

test('a change made by another process is announced when it is written: no timer has to run out', async () => {
  const store = open(manualClock())
  await store.put(sheets, 'k', sheet(1))
  const change = new Promise<Change>((resolve) => store.watch(resolve))
  await start('revoke', 'k').exit
  expect(await change).toEqual({ table: 'sheets', key: 'k', kind: 'delete' })
  expect(await store.get(sheets, 'k')).toBeUndefined()
})

test('only the owner may read the files', async () => {
  const nested = join(path, 'a', 'b')
  const store = open(systemClock, silentLogger, nested)
  await store.put(sheets, 'k', sheet(1))
  const mode = (file: string) => (statSync(file).mode & 0o777).toString(8)
  expect(readdirSync(nested).map((file) => [file, mode(join(nested, file))])).toEqual([
    ['postern.mdb', '600'],
    ['postern.mdb-lock', '600'],
  ])
  expect(mode(nested)).toBe('700')
})

test('what cannot be opened is a fault that names the path', () => {
  writeFileSync(join(path, 'file'), '')
  const under = join(path, 'file', 'store')
  expect(() => open(systemClock, silentLogger, under)).toThrow(
    expect.objectContaining({
      code: 'ERR_STORE_UNAVAILABLE',
      message: expect.stringContaining(`store: cannot open ${under}: ENOTDIR`),
    }),
  )
})

test.each([
  ['text', Buffer.from('not a store '.repeat(1000))],
  ['zeros', Buffer.alloc(16_384)],
  ['half a header', Buffer.alloc(30)],
  ['another format', Buffer.from(`${'00'.repeat(24)}dec0efbe09000000${'00'.repeat(9000)}`, 'hex')],
])('a file that is no store (%s) is a fault, not a crash', (_, content) => {
  writeFileSync(join(path, 'postern.mdb'), content)
  expect(() => open()).toThrow(
    expect.objectContaining({
      code: 'ERR_STORE_UNAVAILABLE',
      message: `store: cannot open ${path}: ${join(path, 'postern.mdb')} is not a store`,
    }),
  )
  expect(readFileSync(join(path, 'postern.mdb'))).toEqual(content)
})

test('a file that a crash left empty is a new store', async () => {
  writeFileSync(join(path, 'postern.mdb'), '')
  expect(await open().get(sheets, 'k')).toBeUndefined()
})

test.skipIf(process.getuid?.() === 0)('a directory that may not be written is a fault (root may always)', () => {
  const locked = join(path, 'locked')
  mkdirSync(locked)
  chmodSync(locked, 0o500)
  expect(() => open(systemClock, silentLogger, locked)).toThrow(
    expect.objectContaining({ code: 'ERR_STORE_UNAVAILABLE', message: expect.stringContaining('EACCES') }),
  )
})

/** A file system of 2 MiB; undefined where we may not mount one. */
function mountSmall(at: string): (() => void) | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', at], { stdio: 'ignore' })
    return () => execFileSync('umount', ['-l', at])
  } catch {
    return undefined
  }
}

test('a full disk is a fault for writes; reads go on, nothing is lost, and writes come back with the space', async (context) => {
  const disk = join(path, 'disk')
  mkdirSync(disk)
  const unmount = mountSmall(disk) ?? context.skip('needs the right to mount a tmpfs')
  try {
    const ballast = join(disk, 'ballast')
    writeFileSync(ballast, Buffer.alloc(1_200_000))
    const clock = manualClock()
    const { lines, logger } = recorded()
    const store = open(clock, logger, join(disk, 'store'))
    let written = 0
    const fill = async () => {
      for (; written < 5000; written++) await store.put(sheets, `${written}`, sheet(written))
    }
    const told: unknown[] = []
    const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => told.push(text) > 0)
    const filled = fill().finally(() => stderr.mockRestore())
    await expect(filled).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      message: `store: the disk of ${join(disk, 'store')} is full`,
    })
    expect(store.trouble()).toEqual({ since: clock.now(), reason: `store: the disk of ${join(disk, 'store')} is full` })
    expect(written).toBeGreaterThan(10)
    // What LMDB itself says there has no end.
    expect(told).toEqual(['\n'])
    await expect(store.take(sheets, '0')).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    expect(await all(store)).toEqual(Array.from({ length: written }, (_, i) => i))
    rmSync(ballast)
    clock.advance(10_000)
    expect(store.trouble()).toBeDefined()
    expect(await store.take(sheets, '0')).toEqual(sheet(0))
    clock.advance(10_000)
    expect(store.trouble()).toBeUndefined()
    expect(lines).toEqual(['error store: cannot be written', 'info store: can be written again'])
    await store.close()
    expect(await all(open(systemClock, silentLogger, join(disk, 'store')))).toHaveLength(written - 1)
    await stores.pop()?.close()
  } finally {
    unmount()
  }
})

test('whoever holds a lease and renews it writes nothing into the map; another process sees it; damage frees it', async () => {
  const clock = manualClock()
  const [store, peer] = [open(clock), open(clock)]
  await store.put(sheets, 'a', sheet(1))
  const map = (): Buffer => readFileSync(join(path, 'postern.mdb'))
  const before = map()
  const held = await store.lease('poller', 3000)
  await store.lease('a longer name than there is room for afterwards', 1000)
  clock.advance(2000)
  expect(await held?.renew()).toBe(true)
  expect(await peer.lease('poller', 3000)).toBeUndefined()
  clock.advance(2000)
  expect(await held?.renew()).toBe(true)
  expect(map().equals(before)).toBe(true)
  expect(statSync(join(path, 'leases')).mode & 0o777).toBe(0o600)
  for (const damage of ['[["x"', 'null', '[null]', '[["x",null]]', '{}', '\xff']) {
    writeFileSync(join(path, 'leases'), damage, 'latin1')
    const taken = await peer.lease('poller', 3000)
    expect(taken, damage).toBeDefined()
    expect(await held?.renew()).toBe(false)
  }
})

/** The tables behind the seam, to damage them and to count them. */
function raw() {
  const root = openRaw<string>({ path: join(path, 'postern.mdb'), noSubdir: true, encoding: 'string' })
  const table = (name: string) => root.openDB<string, (string | number)[] | number>(name, { encoding: 'string' })
  return { root, table }
}

test.each([
  ['no JSON', '{"schema":1,"version":3,"key":"bad","val'],
  ['nothing', ''],
  ['null', 'null'],
  ['another schema', '{"schema":2,"version":3,"key":"bad","value":{}}'],
  ['bytes', '\u0000\ufffd\u0001'],
])('a damaged record (%s) is a fault for its key; the others go on; a new value mends it', async (_, damage) => {
  const { logger, lines } = listeningLogger()
  const store = open(systemClock, logger)
  await store.put(sheets, 'good', sheet(1))
  await store.put(sheets, 'bad', sheet(6), { expiresAt: Number(systemClock.now()) + 60_000 })
  const { root, table } = raw()
  const key = [...table('records').getRange()].find(({ value }) => value.includes('"key":"bad"'))?.key ?? []
  table('records').putSync(key, damage)
  const fault = {
    code: 'ERR_STORE_CORRUPT',
    message: expect.stringMatching(/^store: sheets: record \S+ cannot be read$/),
  }
  await expect(store.get(sheets, 'bad')).rejects.toMatchObject(fault)
  await expect(store.take(sheets, 'bad')).rejects.toMatchObject(fault)
  await expect(store.put(sheets, 'bad', sheet(2), { ifVersion: 0 })).rejects.toMatchObject(fault)
  expect(await all(store, 'owner1')).toEqual([1])
  expect(lines).toEqual([expect.stringMatching(/ERR_STORE_CORRUPT.*store: sheets: record \S+ cannot be read/)])
  await store.put(sheets, 'bad', sheet(2))
  expect((await store.get(sheets, 'bad'))?.value).toEqual(sheet(2))
  expect(await all(store, 'owner1')).toEqual([1])
  expect(await all(store, 'owner2')).toEqual([2])
  await root.close()
})

test('expired records and old changes leave the file, a batch a turn until none is left; the sequence goes on', async () => {
  const clock = manualClock()
  const store = open(clock)
  for (let number = 1; number <= 300; number++) {
    await store.put(sheets, `${number}`, sheet(number), { expiresAt: clock.now() + 500 })
  }
  const { root, table } = raw()
  const counts = () => ['records', 'indexes', 'expiries', 'changes'].map((name) => table(name).getCount())
  expect(counts()).toEqual([300, 300, 300, 300])
  clock.advance(1000)
  root.resetReadTxn()
  expect(counts()).toEqual([50, 50, 50, 300])
  await turns(2)
  root.resetReadTxn()
  expect(counts()).toEqual([0, 0, 0, 300])
  clock.advance(700_000)
  await turns(2)
  root.resetReadTxn()
  expect(counts()).toEqual([0, 0, 0, 1])
  await store.put(sheets, 'next', sheet(1))
  expect((await store.get(sheets, 'next'))?.version).toBe(301)
  await root.close()
})

test('1,000 one-time records a second leave nothing behind: what one sweep finds due goes in that second', async () => {
  const clock = manualClock()
  const store = open(clock)
  const { root, table } = raw()
  for (let second = 0; second < 3; second++) {
    for (let number = 0; number < 1000; number++) {
      await store.put(sheets, `${second}.${number}`, sheet(number), { expiresAt: clock.now() + 600 })
    }
    clock.advance(1000)
    await turns(6)
    root.resetReadTxn()
    expect(['records', 'indexes', 'expiries'].map((name) => table(name).getCount())).toEqual([0, 0, 0])
  }
  expect(table('changes').getCount()).toBe(3000)
  clock.advance(700_000)
  await turns(14)
  root.resetReadTxn()
  expect(table('changes').getCount()).toBe(1)
  await root.close()
})

test('a backlog of changes is announced a few pages a turn, in order, and a write waits for its own', async () => {
  const clock = manualClock()
  const store = open(clock)
  const peer = open(manualClock())
  const seen: string[] = []
  store.watch(({ key }) => seen.push(key))
  const guard = { table: sheets, key: 'none', version: 0 }
  await peer.write(sheets, new Map(Array.from({ length: 3000 }, (_, n) => [`k${n}`, sheet(n)])), guard)
  clock.advance(1000)
  expect(seen.length).toBeGreaterThan(0)
  expect(seen.length).toBeLessThan(1500)
  await store.put(sheets, 'own', sheet(1))
  expect(seen).toEqual([...Array.from({ length: 3000 }, (_, n) => `k${n}`), 'own'])
})

test('a damaged record that had an expiry is swept with it; one that was mended lives by its new expiry', async () => {
  const clock = manualClock()
  const store = open(clock)
  for (const key of ['bad', 'mended']) await store.put(sheets, key, sheet(1), { expiresAt: clock.now() + 500 })
  const { root, table } = raw()
  for (const { key } of table('records').getRange()) table('records').putSync(key, 'damage')
  await store.put(sheets, 'mended', sheet(2), { expiresAt: clock.now() + 5000 })
  clock.advance(2000)
  expect(await store.get(sheets, 'bad')).toBeUndefined()
  expect((await store.get(sheets, 'mended'))?.value).toEqual(sheet(2))
  await root.close()
})

test('a watcher that was away for longer than changes are kept is told how many it missed', async () => {
  const clock = manualClock()
  const { logger, lines } = listeningLogger()
  const store = open(manualClock(), logger)
  const peer = open(clock)
  open(clock)
  let gaps = 0
  store.watch(
    () => {},
    () => void gaps++,
  )
  // All in one turn, in which the watcher cannot look: whoever closes writes what waits, and the other one sweeps.
  for (let number = 0; number < 5; number++) void peer.put(sheets, `${number}`, sheet(number))
  void peer.close()
  clock.advance(700_000)
  await store.put(sheets, 'own', sheet(1))
  expect(lines).toEqual(['store: changes were missed {"missed":4}'])
  expect(gaps).toBe(1)
})

test('a watcher that throws is logged, and the others hear of the change', async () => {
  const { logger, lines } = listeningLogger()
  const store = open(systemClock, logger)
  const seen: string[] = []
  store.watch(() => {
    throw new Error('broken watcher')
  })
  store.watch((change) => seen.push(change.key))
  expect(await store.put(sheets, 'k', sheet(1))).toBe(true)
  expect(seen).toEqual(['k'])
  expect(lines).toEqual([
    expect.stringContaining('store: listener failed {"error":"ERR_INTERNAL","error_message":"broken watcher"'),
  ])
})

test('a store whose directory is removed says so once, and goes on', async () => {
  const clock = manualClock()
  const { lines, logger } = recorded()
  const store = open(clock, logger)
  clock.advance(10_000)
  expect(store.trouble()).toBeUndefined()
  rmSync(path, { recursive: true })
  clock.advance(10_000)
  const since = clock.now()
  mkdirSync(path)
  clock.advance(20_000)
  expect(store.trouble()).toEqual({
    since,
    reason: `${join(path, 'postern.mdb')} was removed or replaced: all that is stored from now on is lost with this process; restart Postern, and people sign in again`,
  })
  expect(lines).toEqual(['error store: lost'])
  await store.put(sheets, 'a', sheet(1))
  expect((await store.get(sheets, 'a'))?.value).toEqual(sheet(1))
})
