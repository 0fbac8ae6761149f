import type { RedisConfig } from '../config/model.ts'
import { AppError, messageOf } from '../errors.ts'
import { every } from '../lib/clock.ts'
import { randomId } from '../lib/crypto.ts'
import type { Secret } from '../lib/secret.ts'
import { elapsed, epochMillis } from '../lib/time.ts'
import type { Change, Clock, Lease, Logger, Span, Store, Table, WallTime } from '../types.ts'
import { corrupt, fingerprint, recognise, unavailable } from './record.ts'
import type { Reply } from './redis/connection.ts'
import { createFeed } from './redis/feed.ts'
import { createLink } from './redis/link.ts'
import { connectToMaster } from './redis/locate.ts'
import { nameOf } from './redis/names.ts'
import { commit, commitRemovals, hold, sweep, SWEEP_BATCH } from './redis/scripts.ts'
import { createRecordSeal, parseRecord, type StoredRecord } from './redis/sealed.ts'

const PAGE = 256
const SWEEP_INTERVAL: Span = 5000
/** A start waits so long for Redis; what starts processes starts them again. */
const START_PATIENCE: Span = 10_000
/** Takers that meet on one record. */
const ATTEMPTS = 8

/** Version 0: there must be no record, or an expired one. */
interface Guard {
  readonly record: string
  readonly version: number
}

/** One record to be put or deleted; `args` are those of the script, without the sealed key. */
interface Write {
  readonly change: Change
  readonly args: readonly string[]
}

/**
 * The shared store: Redis or Valkey, single, behind Sentinels or a cluster. Throws ERR_STORE_UNAVAILABLE when it cannot be
 * reached in ten seconds; later it is looked for again and again, and calls fail meanwhile. Two connections: one for calls,
 * one that waits for changes. Leases run by Redis's clock, everything else expires by ours.
 */
export async function openRedisStore(deps: {
  readonly config: RedisConfig
  readonly sharedSecrets: readonly [Secret, ...Secret[]]
  readonly clock: Clock
  readonly logger: Logger
}): Promise<Store> {
  const { config, sharedSecrets, clock, logger } = deps
  const names = nameOf(config.prefix)
  const seal = createRecordSeal(sharedSecrets)
  const connect = () => connectToMaster(config, clock)
  const link = createLink({ connect, clock, logger, purpose: 'calls' })
  const feedLink = createLink({ connect, clock, logger, purpose: 'changes' })
  const feed = createFeed({ link: feedLink, log: names.changes, seal, clock, logger })
  const stopSweeping = every(clock, SWEEP_INTERVAL, sweepSoon)
  let sweeping = false
  let closed = false

  // --- Reading

  function parse(table: string, id: string, text: Reply | undefined): StoredRecord | undefined {
    if (typeof text !== 'string') return undefined
    const record = parseRecord(text)
    if (!record) throw corrupt(table, id)
    return record
  }

  function isLive({ expiresAt }: StoredRecord): boolean {
    return expiresAt === undefined || expiresAt > clock.now()
  }

  async function read(table: string, id: string): Promise<StoredRecord | undefined> {
    const record = parse(table, id, await link.call(['GET', names.record(table, id)]))
    return record && isLive(record) ? record : undefined
  }

  function contentOf<T>(
    table: Table<T>,
    id: string,
    record: StoredRecord,
  ): { readonly key: string; readonly value: T } {
    const content = seal.open(table.name, id, record)
    if (!content) throw corrupt(table.name, id)
    return { key: content.key, value: recognise(table, id, content.value) }
  }

  // --- Writing

  function putting<T>(table: Table<T>, key: string, value: T, expiresAt: WallTime | undefined): Write {
    const id = fingerprint(key)
    const index = table.index?.(value)
    const sealed = seal.seal(table.name, id, expiresAt, { key, value: table.format ? table.format(value) : value })
    const [expiry, left] =
      expiresAt === undefined ? [0, 0] : [epochMillis(expiresAt), Math.max(0, elapsed(expiresAt, clock.now()))]
    const indexed = index === undefined ? '-' : fingerprint(index)
    return {
      change: { table: table.name, key, kind: 'put' },
      args: [id, indexed, `${expiry}`, `${Math.ceil(left)}`, sealed],
    }
  }

  function deleting(table: Table<unknown>, key: string): Write {
    return { change: { table: table.name, key, kind: 'delete' }, args: [fingerprint(key), '-', '0', '0', ''] }
  }

  /** false: nothing was done, because the guard did not hold. Resolves when the changes are announced. */
  async function write(writes: readonly Write[], guard?: Guard): Promise<boolean> {
    const script = writes.every(({ change }) => change.kind === 'delete') ? commitRemovals : commit
    const head = [names.tag, `${epochMillis(clock.now())}`, `${feed.position()}`]
    const guarded = guard ? [guard.record, `${guard.version}`] : ['', '']
    const changes = writes.flatMap(({ change: { kind, table, key }, args }) => {
      return [kind, table, ...args, seal.sealKey(table, kind, key)]
    })
    const reply = await link.run(script, names.changes, [...head, ...guarded, ...changes])
    if (!Array.isArray(reply)) return false
    await feed.told(writes.flatMap(({ change }, i) => (reply[i] === '-' ? [] : [[Number(reply[i]), change] as const])))
    return true
  }

  // --- Listing: pages in the order of the ids, so that nothing is held in Redis while the caller awaits

  async function idsAfter(set: string, after: string): Promise<readonly string[]> {
    const from = after === '' ? '-' : `(${after}`
    const reply = await link.call(['ZRANGE', set, from, '+', 'BYLEX', 'LIMIT', '0', `${PAGE}`])
    return Array.isArray(reply) ? reply.filter((id): id is string => typeof id === 'string') : []
  }

  /** One unreadable record is logged and left out: it must not hide the others. */
  function listed<T>(table: Table<T>, id: string, index: string | undefined, text: Reply | undefined) {
    try {
      const record = parse(table.name, id, text)
      if (!record || !isLive(record) || (index !== undefined && record.index !== index)) return undefined
      const { key, value } = contentOf(table, id, record)
      return [key, { value, version: record.version }] as const
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'ERR_STORE_CORRUPT') throw error
      logger.error({ code: error.code }, error.message)
      return undefined
    }
  }

  // --- Sweeping

  function sweepSoon(): void {
    if (closed || sweeping || link.trouble()) return
    sweeping = true
    void sweepAll()
      .catch((error: unknown) => logger.debug({ error: messageOf(error) }, 'store: sweep failed'))
      .finally(() => (sweeping = false))
  }

  async function sweepAll(): Promise<void> {
    while (!closed && (await link.run(sweep, names.changes, [names.tag])) === SWEEP_BATCH);
  }

  const store: Store = {
    async get(table, key) {
      const id = fingerprint(key)
      const record = await read(table.name, id)
      return record && { value: contentOf(table, id, record).value, version: record.version }
    },
    async put(table, key, value, when = {}) {
      const { ifVersion, expiresAt } = when
      const record = names.record(table.name, fingerprint(key))
      const guard = ifVersion === undefined ? undefined : { record, version: ifVersion }
      return write([putting(table, key, value, expiresAt)], guard)
    },
    async write(table, values, unless) {
      const writes = [...values].map(([key, value]) =>
        value === undefined ? deleting(table, key) : putting(table, key, value, undefined),
      )
      const record = names.record(unless.table.name, fingerprint(unless.key))
      return write(writes, { record, version: unless.version })
    },
    async take(table, key) {
      const id = fingerprint(key)
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const record = await read(table.name, id)
        if (!record) return undefined
        // First: what cannot be read stays, and the next caller hears the same.
        const { value } = contentOf(table, id, record)
        const guard = { record: names.record(table.name, id), version: record.version }
        if (await write([deleting(table, key)], guard)) return value
      }
      throw unavailable(`${ATTEMPTS} attempts to take a record of ${table.name} met other writers`)
    },
    async delete(table, key) {
      await write([deleting(table, key)])
    },
    async *list<T>(table: Table<T>, index?: string) {
      const indexed = index === undefined ? undefined : fingerprint(index)
      const set = indexed === undefined ? names.table(table.name) : names.index(table.name, indexed)
      for (let ids = await idsAfter(set, ''); ids.length > 0; ids = await idsAfter(set, ids.at(-1) ?? '')) {
        const texts = await link.call(['MGET', ...ids.map((id) => names.record(table.name, id))])
        for (const [i, id] of ids.entries()) {
          const found = listed(table, id, indexed, Array.isArray(texts) ? texts[i] : undefined)
          if (found) yield found
        }
      }
    },
    watch: (listener, onGap) => feed.watch(listener, onGap),
    async lease(name, ttl): Promise<Lease | undefined> {
      const key = names.lease(name)
      const holder = randomId()
      const holdFor = async (span: Span): Promise<boolean> =>
        (await link.run(hold, names.changes, [key, holder, `${span}`])) === 1
      if ((await link.call(['SET', key, holder, 'NX', 'PX', `${ttl}`])) !== 'OK') return undefined
      return {
        renew: () => holdFor(ttl),
        async release() {
          await holdFor(0)
        },
      }
    },
    trouble: () => link.trouble() ?? feedLink.trouble(),
    async close() {
      if (closed) return
      closed = true
      stopSweeping()
      feed.close()
      feedLink.close()
      link.close()
    },
  }
  try {
    await started()
    return store
  } catch (error) {
    await store.close()
    throw error
  }

  async function started(): Promise<void> {
    let late: () => void = () => {}
    const patience = new Promise<never>((_, reject) => {
      late = clock.after(START_PATIENCE, () => {
        reject(unavailable(`no connection to Redis: ${store.trouble()?.reason ?? 'it does not answer'}`))
      })
    })
    try {
      await Promise.race([Promise.all([link.connected(), feed.started]), patience])
    } finally {
      late()
    }
  }
}
