import { every } from '../lib/clock.ts'
import type { Change, Clock, Span, Monotonic, Store, Table, WallTime } from '../types.ts'
import { elapsed, NEVER } from '../lib/time.ts'
import { createLeases, type Leases } from './lease.ts'
import { fingerprint, recognise, unavailable } from './record.ts'

const SWEEP_INTERVAL: Span = 60_000
/** A store that is full is swept no more often than this: 100,000 records take 1 ms. */
const SWEEP_PAUSE: Span = 10
/** 100,000 sessions of 3 KB, or a group of 100,000 and its people: some 300 MB. */
const CAPACITY = 400_000

interface Entry {
  /** JSON, so that nobody changes a stored value through a reference. */
  readonly text: string
  readonly version: number
  readonly index: string | undefined
  readonly expiresAt: WallTime | undefined
}

/** For tests, trials and deployments that may forget: one process, gone when it ends. Full (`capacity` records) is a fault. */
export function createMemoryStore(deps: { readonly clock: Clock; readonly capacity?: number }): Store {
  const { clock, capacity = CAPACITY } = deps
  const tables = new Map<string, Map<string, Entry>>()
  const listeners = new Set<(change: Change) => void>()
  const stopSweeping = every(clock, SWEEP_INTERVAL, sweep)
  let sequence = 0
  let sweptAt: Monotonic = NEVER
  let closed = false

  function rows(table: Table<unknown>): Map<string, Entry> {
    if (closed) throw unavailable('it is closed')
    const existing = tables.get(table.name)
    if (existing) return existing
    const created = new Map<string, Entry>()
    tables.set(table.name, created)
    return created
  }

  function live(table: Table<unknown>, key: string): Entry | undefined {
    const entry = rows(table).get(key)
    return entry && !isExpired(entry, clock.now()) ? entry : undefined
  }

  function sweep(): void {
    const now = clock.now()
    sweptAt = clock.monotonic()
    for (const entries of tables.values()) {
      for (const [key, entry] of entries) if (isExpired(entry, now)) entries.delete(key)
    }
  }

  function size(): number {
    let total = 0
    for (const entries of tables.values()) total += entries.size
    return total
  }

  function makeRoom(wanted: number): void {
    if (size() + wanted <= capacity) return
    // A full store that many write to would do nothing else than sweep.
    if (elapsed(clock.monotonic(), sweptAt) >= SWEEP_PAUSE) sweep()
    if (size() + wanted > capacity) throw unavailable(`it is full (${capacity} records)`)
  }

  function entryOf<T>(table: Table<T>, value: T, expiresAt: WallTime | undefined): Entry {
    const text = JSON.stringify(table.format ? table.format(value) : value)
    return { text, version: ++sequence, index: table.index?.(value), expiresAt }
  }

  function set(table: Table<unknown>, key: string, entry: Entry): void {
    rows(table).set(key, entry)
    announce(table, key, 'put')
  }

  function remove(table: Table<unknown>, key: string): void {
    if (rows(table).delete(key)) announce(table, key, 'delete')
  }

  function announce(table: Table<unknown>, key: string, kind: Change['kind']): void {
    for (const listener of listeners) listener({ table: table.name, key, kind })
  }

  const leases: Leases = new Map()
  const lease = createLeases({
    clock,
    edit(work) {
      if (closed) throw unavailable('it is closed')
      return work(leases)
    },
  })

  return {
    async get(table, key) {
      const entry = live(table, key)
      return entry && { value: valueOf(table, key, entry), version: entry.version }
    },
    async put(table, key, value, when = {}) {
      const { ifVersion, expiresAt } = when
      if (ifVersion !== undefined && (live(table, key)?.version ?? 0) !== ifVersion) return false
      if (!rows(table).has(key)) makeRoom(1)
      set(table, key, entryOf(table, value, expiresAt))
      return true
    },
    async write(table, values, unless) {
      if ((live(unless.table, unless.key)?.version ?? 0) !== unless.version) return false
      const entries = [...values].map(([key, value]) => {
        return [key, value === undefined ? undefined : entryOf(table, value, undefined)] as const
      })
      makeRoom(entries.filter(([key, entry]) => entry && !rows(table).has(key)).length)
      for (const [key, entry] of entries) {
        if (entry) set(table, key, entry)
        else remove(table, key)
      }
      return true
    },
    async take(table, key) {
      const entry = live(table, key)
      if (!entry) return undefined
      const value = valueOf(table, key, entry)
      remove(table, key)
      return value
    },
    async delete(table, key) {
      remove(table, key)
    },
    async *list(table, index) {
      // A scan: the index is worth its upkeep only where a store is larger than this one may be.
      for (const key of rows(table).keys()) {
        const entry = live(table, key)
        if (!entry || (index !== undefined && entry.index !== index)) continue
        const value = table.parse(JSON.parse(entry.text))
        if (value !== undefined) yield [key, { value, version: entry.version }]
      }
    },
    count: async (table) => rows(table).size,
    watch(listener) {
      // Its own function each time, so that one listener may watch twice and stop once.
      const own = (change: Change): void => listener(change)
      listeners.add(own)
      return () => listeners.delete(own)
    },
    lease,
    heardAt: () => clock.monotonic(),
    async ping() {
      if (closed) throw unavailable('it is closed')
    },
    trouble: () => undefined,
    async close() {
      closed = true
      stopSweeping()
      listeners.clear()
      tables.clear()
    },
  }
}

function isExpired({ expiresAt }: Entry, now: WallTime): boolean {
  return expiresAt !== undefined && expiresAt <= now
}

function valueOf<T>(table: Table<T>, key: string, entry: Entry): T {
  return recognise(table, fingerprint(key), JSON.parse(entry.text))
}
