import { createFaultLog } from '../../lib/fault-tally.ts'
import { AppError, messageOf, faultFields } from '../../errors.ts'
import { every } from '../../lib/clock.ts'
import { randomId } from '../../lib/crypto.ts'
import type { KeyRings } from '../../lib/key-ring.ts'
import { elapsed } from '../../lib/time.ts'
import type { Change, Clock, Lease, Logger, Span, Store, Trouble, Table, WallTime } from '../../types.ts'
import { corrupt, fingerprint, recognise, unavailable } from '../record.ts'
import { type Backend, type Found, type Guard, RECORD_PAGE, type StoredRecord, type Write } from './backend.ts'
import { createDeletions, type Deletion } from './deletions.ts'
import { createFeed } from './feed.ts'
import { createRecordSeal } from './sealed.ts'

const SWEEP_INTERVAL: Span = 5000
/** A start waits so long for the server; what starts processes starts them again. */
const START_PATIENCE: Span = 10_000
/** Takers that meet on one record. */
const ATTEMPTS = 8

/** One record to be put or deleted, and what watchers hear of it. */
interface Step {
  readonly change: Change
  readonly write: Write
}

/**
 * A store on a server that many processes reach. Throws ERR_STORE_UNAVAILABLE when it cannot be reached in ten seconds;
 * later it is looked for again and again, and calls fail meanwhile. Leases run by the server's clock, everything else
 * expires by ours.
 */
export async function openSharedStore(deps: {
  readonly backend: Backend
  readonly keyRings: KeyRings
  readonly clock: Clock
  readonly logger: Logger
  readonly sweepInterval?: Span
  readonly startPatience?: Span
}): Promise<Store> {
  const { backend, keyRings, clock, logger, sweepInterval = SWEEP_INTERVAL, startPatience = START_PATIENCE } = deps
  const seal = createRecordSeal(keyRings)
  const deletions = createDeletions()
  const tell = createFaultLog({ clock, logger })
  const feed = createFeed({ log: backend.log, seal, deletions, repair, clock, logger })
  const stopSweeping = every(clock, sweepInterval, sweepSoon)
  let refusal: Trouble | undefined
  let sweeping = false
  let closed = false

  // --- Reading

  function isLive(table: string, id: string, { expiresAt, version }: StoredRecord): boolean {
    return (expiresAt === undefined || expiresAt > clock.now()) && !deletions.include(table, id, version)
  }

  async function read(table: string, id: string): Promise<StoredRecord | undefined> {
    const record = await backend.read(table, id)
    if (record === 'unreadable') throw corrupt(table, id)
    return record && isLive(table, id, record) ? record : undefined
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

  function putting<T>(table: Table<T>, key: string, value: T, expiresAt: WallTime | undefined): Step {
    const id = fingerprint(key)
    const index = table.index?.(value)
    const content = { key, value: table.format ? table.format(value) : value }
    return storing(table.name, key, id, {
      expiresAt,
      index: index === undefined ? undefined : fingerprint(index),
      sealed: seal.seal(table.name, id, expiresAt, content),
    })
  }

  function storing(table: string, key: string, id: string, record: Omit<StoredRecord, 'version'>): Step {
    const { expiresAt } = record
    const ttl = expiresAt === undefined ? undefined : Math.max(0, Math.ceil(elapsed(expiresAt, clock.now())))
    const sealedKey = seal.sealKey(table, 'put', key)
    return {
      change: { table, key, kind: 'put' },
      write: { kind: 'put', table, id, sealedKey, record: { ...record, ttl } },
    }
  }

  function deleting(name: string, key: string): Step {
    return {
      change: { table: name, key, kind: 'delete' },
      write: { kind: 'delete', table: name, id: fingerprint(key), sealedKey: seal.sealKey(name, 'delete', key) },
    }
  }

  async function send(steps: readonly Step[], guard: Guard | undefined): ReturnType<Backend['commit']> {
    const writes = steps.map(({ write }) => write)
    try {
      const sequences = await backend.commit(writes, guard, clock.now(), feed.position())
      refused(undefined)
      return sequences
    } catch (error) {
      if (!closed && !backend.trouble()) refused(messageOf(error))
      throw error
    }
  }

  /** It is full, or cannot write to its disk: once in the log, and for as long as it lasts. */
  function refused(reason: string | undefined): void {
    if (reason === undefined && refusal) logger.info({}, 'store: can be written again')
    if (reason !== undefined && !refusal)
      logger.error({ error: 'ERR_STORE_UNAVAILABLE', error_message: reason }, 'store: cannot be written')
    refusal = reason === undefined ? undefined : { since: refusal?.since ?? clock.now(), reason }
  }

  /** false: nothing was done, because the guard did not hold. Resolves when the changes are announced. */
  async function commit(steps: readonly Step[], guard?: Guard): Promise<boolean> {
    const sequences = await send(steps, guard)
    if (!sequences) return false
    await feed.told(
      steps.flatMap(({ change }, i) => {
        const sequence = sequences[i]
        return sequence === undefined ? [] : [[sequence, change] as const]
      }),
    )
    return true
  }

  /** The server lost changes: what came back is deleted again. The feed announces it. */
  async function repair(): Promise<void> {
    await backend.connected()
    const all = deletions.all()
    for (let at = 0; at < all.length; at += RECORD_PAGE) {
      await Promise.all(all.slice(at, at + RECORD_PAGE).map(deleteAgain))
    }
    deletions.clear()
  }

  /** Whoever else does the same finds nothing; what was written later stays. */
  async function deleteAgain({ table, key, id, sequence }: Deletion): Promise<void> {
    const record = await backend.read(table, id)
    if (!record || record === 'unreadable' || record.version > sequence) return
    await send([deleting(table, key)], { table, id, version: record.version })
  }

  // --- Listing

  /** In pages, so that nothing is held at the server while the caller awaits. */
  async function* records(table: string, index: string | undefined): AsyncIterable<readonly [id: string, Found]> {
    for (let after = ''; ; ) {
      const page = await backend.page(table, index, after)
      yield* page
      const last = page.at(-1)
      if (!last || page.length < RECORD_PAGE) return
      after = last[0]
    }
  }

  /** One unreadable record is logged and left out: it must not hide the others. */
  function listed<T>(table: Table<T>, id: string, index: string | undefined, record: Found) {
    try {
      if (record === 'unreadable') throw corrupt(table.name, id)
      if (!record || !isLive(table.name, id, record) || (index !== undefined && record.index !== index))
        return undefined
      const { key, value } = contentOf(table, id, record)
      return [key, { value, version: record.version }] as const
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'ERR_STORE_CORRUPT') throw error
      tell(error, 'store: a record cannot be read and is left out')
      return undefined
    }
  }

  // --- Sweeping

  function sweepSoon(): void {
    if (closed || sweeping || backend.trouble()) return
    sweeping = true
    void sweepAll()
      .catch((error: unknown) => logger.debug(faultFields(error), 'store: sweep failed'))
      .finally(() => (sweeping = false))
  }

  async function sweepAll(): Promise<void> {
    while (!closed && (await backend.sweep()));
  }

  const store: Store = {
    async get(table, key) {
      const id = fingerprint(key)
      const record = await read(table.name, id)
      return record && { value: contentOf(table, id, record).value, version: record.version }
    },
    async put(table, key, value, when = {}) {
      const { ifVersion, expiresAt } = when
      const guard =
        ifVersion === undefined ? undefined : { table: table.name, id: fingerprint(key), version: ifVersion }
      return commit([putting(table, key, value, expiresAt)], guard)
    },
    async write(table, values, unless) {
      const steps = [...values].map(([key, value]) =>
        value === undefined ? deleting(table.name, key) : putting(table, key, value, undefined),
      )
      return commit(steps, { table: unless.table.name, id: fingerprint(unless.key), version: unless.version })
    },
    async take(table, key) {
      const id = fingerprint(key)
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const record = await read(table.name, id)
        if (!record) return undefined
        // First: what cannot be read stays, and the next caller hears the same.
        const { value } = contentOf(table, id, record)
        if (await commit([deleting(table.name, key)], { table: table.name, id, version: record.version })) return value
      }
      throw unavailable(`${ATTEMPTS} attempts to take a record of ${table.name} met other writers`)
    },
    async delete(table, key) {
      await commit([deleting(table.name, key)])
    },
    async sealAnew({ name }) {
      for await (const [id, record] of records(name, undefined)) {
        const anew = record && record !== 'unreadable' && isLive(name, id, record) && seal.sealAnew(name, id, record)
        if (!anew) continue
        const { version, ...kept } = record
        // Whoever wrote it meanwhile has sealed it, too.
        const guard = { table: name, id, version }
        await commit([storing(name, anew.key, id, { ...kept, sealed: anew.sealed })], guard)
      }
    },
    async *list<T>(table: Table<T>, index?: string) {
      const indexed = index === undefined ? undefined : fingerprint(index)
      for await (const [id, record] of records(table.name, indexed)) {
        const found = listed(table, id, indexed, record)
        if (found) yield found
      }
    },
    count: ({ name }) => backend.count(name),
    watch: (listener, onGap) => feed.watch(listener, onGap),
    async lease(name, ttl): Promise<Lease | undefined> {
      const holder = randomId()
      if (!(await backend.takeLease(name, holder, ttl))) return undefined
      return {
        renew: () => backend.holdLease(name, holder, ttl),
        async release() {
          await backend.holdLease(name, holder, 0)
        },
      }
    },
    owe: (debts) => backend.owe(debts.map(({ key, more, most }) => ({ id: seal.nameOf(key), more, most }))),
    heardAt: () => feed.heardAt(),
    ping: () => backend.ping(),
    trouble: () => backend.trouble() ?? feed.trouble() ?? refusal,
    async close() {
      if (closed) return
      closed = true
      stopSweeping()
      feed.close()
      backend.log.close()
      backend.close()
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
      late = clock.after(startPatience, () => {
        const reason = store.trouble()?.reason ?? 'it does not answer'
        reject(unavailable(`no connection to ${backend.product}: ${reason}`))
      })
    })
    try {
      await Promise.race([Promise.all([backend.connected(), feed.started]), patience])
    } finally {
      late()
    }
  }
}
