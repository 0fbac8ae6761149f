import { yieldToEventLoop } from '../lib/wait.ts'
import { createFaultLog } from '../lib/fault-tally.ts'
import { join } from 'node:path'
import { open, type RootDatabase, TransactionFlags } from 'lmdb'
import { AppError, messageOf } from '../errors.ts'
import { every } from '../lib/clock.ts'
import type { Clock, Logger, Span, Store, Table, WallTime } from '../types.ts'
import { createChangeLog } from './change-log.ts'
import { watchWrites } from './file-watch.ts'
import { isFull, makeDirectory, prepare } from './file.ts'
import { createGroupCommit } from './group-commit.ts'
import { createLeases } from './lease.ts'
import { openLeaseFile } from './lease-file.ts'
import { watchForTrouble } from './trouble.ts'
import { corrupt, fingerprint, recognise, unavailable } from './record.ts'
import { epochMillis, wallTime } from '../lib/time.ts'

/** Raised when the form of `StoredRecord` changes; records of another form are corrupt, not guessed at. */
const SCHEMA = 1

/** Abortable; committed and on disk on return, so that neither kill -9 nor a power cut loses anything. */
const COMMIT: TransactionFlags =
  TransactionFlags.ABORTABLE | TransactionFlags.SYNCHRONOUS_COMMIT | TransactionFlags.NO_SYNC_FLUSH

/** Greater than every character of a base64url fingerprint. */
const AFTER_ALL = '~'

/**
 * Address space, not memory, and the file is as large as what is in it. lmdb-js begins with 128 KiB and maps the file again
 * whenever it has doubled, but keeps the old maps, so that every page counts twice as resident. Larger stores still grow.
 */
const MAP_SIZE = 1024 ** 3

const PAGE = 256
const SWEEP_INTERVAL: Span = 1000
const SWEEP_BATCH = 250
const READER_CHECK_INTERVAL: Span = 60_000
const CHECK_INTERVAL: Span = 10_000

interface StoredRecord {
  readonly schema: typeof SCHEMA
  readonly version: number
  readonly key: string
  readonly value: unknown
  readonly index?: string
  readonly expiresAt?: WallTime
}

/**
 * The embedded store: one LMDB map in the directory `path`, shared by every process that opens it (workers, command line).
 * Survives kill -9. Opens at once and throws ERR_STORE_UNAVAILABLE when it cannot. Looks for changes of others when the
 * file is written; its own are announced before the write resolves.
 */
export function openLmdbStore(deps: { readonly path: string; readonly clock: Clock; readonly logger: Logger }): Store {
  const { path, clock, logger } = deps
  const { root, records, indexes, expiries, changes } = openTables(path)
  const tell = createFaultLog({ clock, logger })
  const trouble = watchForTrouble({ file: dataFile(path), clock, logger })
  const log = createChangeLog({ entries: changes, read, background, clock, logger })
  let sweeping = false
  let closed = false

  const stops = [
    watchWrites({ file: dataFile(path), clock, look: () => log.deliver() }),
    every(clock, SWEEP_INTERVAL, sweepSoon),
    // A killed process leaves its reader slot behind, and with it every page that it could still see.
    every(clock, READER_CHECK_INTERVAL, () => background('reader check', () => root.readerCheck())),
    every(clock, CHECK_INTERVAL, () => trouble.check()),
  ]

  /** The one place where LMDB's errors become ours. */
  function guard<T>(work: () => T): T {
    if (closed) throw unavailable('it is closed')
    try {
      return work()
    } catch (error) {
      if (error instanceof AppError) throw error
      if (!isFull(path)) throw unavailable(messageOf(error), error)
      // LMDB has written `Write error: …` to standard error, without a line feed: where that and the log are one stream, the
      // next line of the log begins on a line of its own.
      process.stderr.write('\n')
      throw unavailable(`the disk of ${path} is full`, error)
    }
  }

  function written<T>(work: () => T): T {
    try {
      const result = guard(work)
      trouble.written()
      return result
    } catch (error) {
      if (!closed && error instanceof AppError && error.code === 'ERR_STORE_UNAVAILABLE') trouble.written(error)
      throw error
    }
  }

  /** Reads what is committed now, by any process; without this, what was when the event loop last turned. */
  function read<T>(work: () => T): T {
    return guard(() => {
      root.resetReadTxn()
      return work()
    })
  }

  /**
   * In one transaction, alone among all processes. Synchronous on purpose: an asynchronous transaction holds the lock of all
   * processes until our event loop gets to it.
   */
  const { write: transact, flush } = createGroupCommit(
    (works) => {
      const results = written(() =>
        root.transactionSync(() => {
          log.begin()
          return works.map((work) => work())
        }, COMMIT),
      )
      log.deliver()
      return results
    },
    () => log.backlog(),
  )

  function background(what: string, work: () => void): void {
    try {
      work()
    } catch (error) {
      tell(error, `store: ${what} failed`)
    }
  }

  // --- Records: what is in the file, expired or not

  function stored(table: string, id: string): StoredRecord | 'corrupt' | undefined {
    const text = records.get([table, id])
    return text === undefined ? undefined : parseRecord(text)
  }

  /** Expired is undefined, unreadable throws. */
  function live(table: string, id: string): StoredRecord | undefined {
    const record = stored(table, id)
    if (record === 'corrupt') throw corrupt(table, id)
    return record?.expiresAt !== undefined && record.expiresAt <= clock.now() ? undefined : record
  }

  /** In a transaction. The orphans that a corrupt record leaves in `indexes` are passed over by `list`, those in `expiries` swept. */
  function unlink(table: string, id: string): boolean {
    const record = stored(table, id)
    if (record === undefined) return false
    void records.remove([table, id])
    if (record === 'corrupt') return true
    if (record.index !== undefined) void indexes.remove([table, fingerprint(record.index), id])
    if (record.expiresAt !== undefined) void expiries.remove([epochMillis(record.expiresAt), table, id])
    return true
  }

  /** In a transaction. */
  function link(table: string, id: string, record: StoredRecord): void {
    void records.put([table, id], JSON.stringify(record))
    if (record.index !== undefined) void indexes.put([table, fingerprint(record.index), id], '')
    if (record.expiresAt !== undefined) void expiries.put([epochMillis(record.expiresAt), table, id], '')
  }

  /** In a transaction. */
  function set<T>(table: Table<T>, key: string, value: T, expiresAt: WallTime | undefined): void {
    const id = fingerprint(key)
    const index = table.index?.(value)
    unlink(table.name, id)
    link(table.name, id, {
      schema: SCHEMA,
      version: log.append(table.name, key, 'put'),
      key,
      value: table.format ? table.format(value) : value,
      ...(index !== undefined && { index }),
      ...(expiresAt !== undefined && { expiresAt }),
    })
  }

  /** In a transaction. */
  function remove(table: Table<unknown>, key: string): void {
    if (unlink(table.name, fingerprint(key))) log.append(table.name, key, 'delete')
  }

  // --- Sweeping: looks without the lock, takes it only when there is something to do

  /** A batch a turn until nothing is due, so that the file is swept as fast as it is written. */
  function sweepSoon(): void {
    if (closed || sweeping) return
    let isDone = true
    background('sweep', () => (isDone = sweep()))
    if (isDone) return
    sweeping = true
    setImmediate(() => {
      sweeping = false
      sweepSoon()
    }).unref()
  }

  /** false: there may be more that is due. */
  function sweep(): boolean {
    const now = clock.now()
    const due = read(() => [...expiries.getKeys({ end: [epochMillis(now)], limit: SWEEP_BATCH })])
    const old = log.outdated(now, SWEEP_BATCH)
    if (due.length + old.length === 0) return true
    guard(() =>
      root.transactionSync(() => {
        for (const expiry of due) {
          const [expiresAt, table, id] = expiry
          const record = stored(table, id)
          // Rewritten meanwhile with another expiry: then only this entry is stale.
          if (record === 'corrupt' || record?.expiresAt === wallTime(expiresAt)) unlink(table, id)
          void expiries.remove(expiry)
        }
        for (const sequence of old) void changes.remove(sequence)
      }, COMMIT),
    )
    return due.length < SWEEP_BATCH && old.length < SWEEP_BATCH
  }

  /** Pages instead of one cursor: a cursor held while the caller awaits would keep old pages from being reused. */
  function idsAfter(table: string, index: string | undefined, after: string): string[] {
    const options = { exclusiveStart: true, limit: PAGE }
    return read(() => {
      if (index === undefined) {
        return [...records.getKeys({ ...options, start: [table, after], end: [table, AFTER_ALL] })].map(([, id]) => id)
      }
      const hash = fingerprint(index)
      const keys = indexes.getKeys({ ...options, start: [table, hash, after], end: [table, hash, AFTER_ALL] })
      return [...keys].map(([, , id]) => id)
    })
  }

  /** One unreadable record is logged and left out: it must not hide the others. */
  function listed<T>(table: Table<T>, id: string, index: string | undefined): StoredRecord | undefined {
    try {
      const record = read(() => live(table.name, id))
      if (!record || (index !== undefined && record.index !== index)) return undefined
      return { ...record, value: recognise(table, id, record.value) }
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'ERR_STORE_CORRUPT') throw error
      tell(error, 'store: a record cannot be read and is left out')
      return undefined
    }
  }

  /** A transaction that writes nothing is the lock of all processes, and costs no commit. */
  const leaseFile = openLeaseFile(join(path, 'leases'))
  const lease = createLeases({
    clock,
    edit: (work) => guard(() => root.transactionSync(() => leaseFile.edit(work), COMMIT)),
  })

  return {
    async get(table, key) {
      const id = fingerprint(key)
      const record = read(() => live(table.name, id))
      return record && { value: recognise(table, id, record.value), version: record.version }
    },
    async put(table, key, value, when = {}) {
      const { ifVersion, expiresAt } = when
      const id = fingerprint(key)
      return transact(() => {
        if (ifVersion !== undefined && (live(table.name, id)?.version ?? 0) !== ifVersion) return false
        set(table, key, value, expiresAt)
        return true
      })
    },
    async write(table, values, unless) {
      return transact(() => {
        const { version } = live(unless.table.name, fingerprint(unless.key)) ?? { version: 0 }
        if (version !== unless.version) return false
        for (const [key, value] of values) {
          if (value === undefined) remove(table, key)
          else set(table, key, value, undefined)
        }
        return true
      })
    },
    async take(table, key) {
      const id = fingerprint(key)
      return transact(() => {
        const record = live(table.name, id)
        if (!record) return undefined
        const value = recognise(table, id, record.value)
        unlink(table.name, id)
        log.append(table.name, key, 'delete')
        return value
      })
    },
    async delete(table, key) {
      await transact(() => remove(table, key))
    },
    async *list<T>(table: Table<T>, index?: string) {
      for (let page = idsAfter(table.name, index, ''); page.length > 0; ) {
        for (const id of page) {
          const record = listed(table, id, index)
          if (record) yield [record.key, { value: record.value as T, version: record.version }] as const
        }
        page = idsAfter(table.name, index, page.at(-1) ?? AFTER_ALL)
      }
    },
    async count({ name }) {
      let count = 0
      for (let page = idsAfter(name, undefined, ''); page.length > 0; ) {
        count += page.length
        await yieldToEventLoop()
        page = idsAfter(name, undefined, page.at(-1) ?? AFTER_ALL)
      }
      return count
    },
    watch: (listener, onGap) => log.watch(listener, onGap),
    lease: (name, ttl) => lease(fingerprint(name), ttl),
    // Of this machine: a change is seen when it is looked for.
    heardAt: () => clock.monotonic(),
    async ping() {
      read(() => log.last())
    },
    trouble: () => trouble.now(),
    async close() {
      if (closed) return
      flush()
      closed = true
      for (const stop of stops) stop()
      log.close()
      leaseFile.close()
      await root.close()
    },
  }
}

/** The one file that matters, in the folder of the store. */
export function dataFile(path: string): string {
  return join(path, 'postern.mdb')
}

/** Keys are arrays, ordered element by element: [table, fingerprint of the key] and so on. Values are JSON or empty. */
function openTables(path: string) {
  try {
    makeDirectory(path)
    const file = dataFile(path)
    for (const name of [file, `${file}-lock`]) prepare(name, name === file)
    const root: RootDatabase<string> = open({ path: file, noSubdir: true, encoding: 'string', mapSize: MAP_SIZE })
    return {
      root,
      records: root.openDB<string, [table: string, id: string]>('records', { encoding: 'string' }),
      indexes: root.openDB<string, [table: string, index: string, id: string]>('indexes', { encoding: 'string' }),
      expiries: root.openDB<string, [at: number, table: string, id: string]>('expiries', { encoding: 'string' }),
      changes: root.openDB<string, number>('changes', { encoding: 'string' }),
    }
  } catch (error) {
    throw unavailable(`cannot open ${path}: ${messageOf(error)}`, error)
  }
}

function parseRecord(text: string): StoredRecord | 'corrupt' {
  try {
    const record = JSON.parse(text) as Partial<StoredRecord> | null
    const sound = record?.schema === SCHEMA && typeof record.version === 'number' && typeof record.key === 'string'
    return sound ? (record as StoredRecord) : 'corrupt'
  } catch {
    // Not JSON: the same answer as JSON of another form.
    return 'corrupt'
  }
}
