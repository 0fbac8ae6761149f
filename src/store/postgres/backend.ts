import type { PostgresConfig } from '../../config/storage-model.ts'
import { messageOf } from '../../errors.ts'
import { fingerprint } from '../record.ts'
import { epochMillis, wallTime } from '../../lib/time.ts'
import type { Clock, Logger, Span } from '../../types.ts'
import { type Backend, type Found, LOG_PAGE, LOG_SILENCE, type LogEntry, RECORD_PAGE } from '../shared/backend.ts'
import { createLink, type Link, type Session } from '../shared/link.ts'
import { type Connection, connect, type Row } from './connection.ts'
import { LAST_OBJECT, SCHEMA } from './schema.ts'

const PATIENCE: Span = 3000
/** Processes that start together make the tables one after the other. */
const SCHEMA_PATIENCE: Span = 10_000
const SWEEP_BATCH = 1000
const OLDEST = 12
/** Changes that the log keeps. A process that missed more has a gap. */
const CHANGES_KEPT = "interval '10 minutes'"

/** Two connections: one for calls, one that listens for changes. */
export function createPostgresBackend({
  config,
  clock,
  logger,
}: {
  readonly config: PostgresConfig
  readonly clock: Clock
  readonly logger: Logger
}): Backend {
  const { prefix: space } = config
  const name = `${config.node.host}:${config.node.port}/${config.database}`
  const product = 'PostgreSQL'
  const calls = createLink({ connect: open, clock, logger, product, purpose: 'calls' })
  const changes = createLink({ connect: openLog, clock, logger, product, purpose: 'changes' })
  /** Ends the wait for a notice. */
  let wake = (): void => {}

  async function open(): Promise<Session<Connection>> {
    const connection = await connect(config, clock)
    try {
      await prepare(connection)
    } catch (error) {
      connection.close()
      throw error
    }
    return { name, connection, ended: connection.ended, close: (reason) => connection.close(reason) }
  }

  async function openLog(): Promise<Session<Connection>> {
    const session = await open()
    session.connection.onNotice(() => wake())
    void session.ended.then(() => wake())
    await session.connection.query('LISTEN postern', [], PATIENCE)
    return session
  }

  async function query(link: Link<Connection>, text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return link.use(async (connection) => {
      try {
        return await connection.query(text, values, PATIENCE)
      } catch (error) {
        // A standby, or a primary that is one no longer: another connection may lead to the right one.
        if (isReadOnly(error)) connection.close(messageOf(error))
        throw error
      }
    })
  }

  function changesAfter(number: number): Promise<readonly LogEntry[]> {
    const text = `SELECT number, previous, change, kind, sealed_key FROM postern_changes
      WHERE space = $1 AND number > $2 ORDER BY number LIMIT ${LOG_PAGE}`
    return query(changes, text, [space, number]).then((rows) => rows.map(entryOf))
  }

  return {
    ...calls,
    product,
    log: {
      ...changes,
      async newest() {
        const [row] = await query(changes, 'SELECT newest FROM postern_spaces WHERE space = $1', [space])
        return row ? Number(row['newest']) : 0
      },
      async after(number) {
        const noticed = new Promise<void>((resolve) => (wake = resolve))
        const found = await changesAfter(number)
        if (found.length > 0) return found
        const stop = clock.after(LOG_SILENCE, wake)
        await noticed
        stop()
        return changesAfter(number)
      },
    },
    async ping() {
      await query(calls, 'SELECT 1', [])
    },
    async facts() {
      const [row] = await query(calls, "SELECT current_setting('server_version') AS version", [])
      const [number = ''] = String(row?.['version']).split(' ')
      const version = `${product} ${number}`
      if (Number.parseInt(number, 10) >= OLDEST) return { version }
      const message = `${version} is older than what Postern is tested with`
      return { version, doubt: { message, remedy: `use ${product} ${OLDEST} or newer` } }
    },
    async read(table, id) {
      const text = `SELECT ${RECORD} FROM postern_records WHERE space = $1 AND kind = $2 AND id = $3`
      const [row] = await query(calls, text, [space, table, id])
      return row && recordOf(row)
    },
    async page(table, index, after) {
      const indexed = index === undefined ? '' : 'AND idx = $4'
      const text = `SELECT id, ${RECORD} FROM postern_records
        WHERE space = $1 AND kind = $2 AND id > $3 ${indexed} ORDER BY id LIMIT ${RECORD_PAGE}`
      const values = [space, table, after, ...(index === undefined ? [] : [index])]
      return (await query(calls, text, values)).map((row) => [String(row['id']), recordOf(row)] as const)
    },
    async count(table) {
      const text = 'SELECT count(*) AS n FROM postern_records WHERE space = $1 AND kind = $2'
      return Number((await query(calls, text, [space, table]))[0]?.['n'])
    },
    async commit(writes, guard, now, known) {
      const steps = writes.map(({ kind, table, id, sealedKey, record }) => ({
        o: kind,
        t: table,
        i: id,
        k: sealedKey,
        ...(record && {
          e: record.expiresAt === undefined ? 0 : epochMillis(record.expiresAt),
          l: record.ttl,
          x: record.index ?? '',
          s: record.sealed,
        }),
      }))
      const guarded = guard ? [guard.table, guard.id, guard.version] : [null, null, null]
      const text = 'SELECT postern_write_1($1, $2, $3, $4, $5, $6, $7) AS numbers'
      const values = [space, epochMillis(now), known, ...guarded, JSON.stringify(steps)]
      const numbers = (await query(calls, text, values))[0]?.['numbers']
      return Array.isArray(numbers) ? numbers.map((number) => Number(number) || undefined) : undefined
    },
    async sweep() {
      const due = `DELETE FROM postern_records WHERE (space, kind, id) IN (
        SELECT space, kind, id FROM postern_records WHERE space = $1 AND sweep_at <= clock_timestamp()
        LIMIT ${SWEEP_BATCH} FOR UPDATE SKIP LOCKED) RETURNING 1`
      const removed = await query(calls, due, [space])
      const old = `DELETE FROM postern_changes WHERE space = $1 AND number <
        (extract(epoch FROM clock_timestamp() - ${CHANGES_KEPT}) * 1000000)::bigint`
      await query(calls, old, [space])
      return removed.length === SWEEP_BATCH
    },
    async owe(debts) {
      const micros = (span: Span): number => Math.round(1000 * span)
      const lists = [
        debts.map(({ id }) => id),
        debts.map(({ more }) => micros(more)),
        debts.map(({ most }) => micros(most)),
      ]
      const owed = new Map((await query(calls, OWE, [space, ...lists])).map(({ id, owed: debt }) => [id, Number(debt)]))
      return debts.map(({ id }) => owed.get(id) ?? 0)
    },
    async takeLease(lease, holder, ttl) {
      const text = `INSERT INTO postern_leases VALUES ($1, $2, $3, ${IN_MS('$4')})
        ON CONFLICT (space, name) DO UPDATE SET holder = excluded.holder, until = excluded.until
        WHERE postern_leases.until <= clock_timestamp() RETURNING 1`
      return (await query(calls, text, [space, fingerprint(lease), holder, ttl])).length === 1
    },
    async holdLease(lease, holder, ttl) {
      const text = `UPDATE postern_leases SET until = ${IN_MS('$4')}
        WHERE space = $1 AND name = $2 AND holder = $3 AND until > clock_timestamp() RETURNING 1`
      return (await query(calls, text, [space, fingerprint(lease), holder, ttl])).length === 1
    },
  }
}

const RECORD = 'version, expires_at, idx, sealed'
const IN_MS = (parameter: string): string => `clock_timestamp() + ${parameter}::bigint * interval '1 millisecond'`

/**
 * A debt is a record that is swept when it is paid: its version is what was added, its expiry the most that may be owed, in
 * microseconds. In one order everywhere, so that no two processes wait for each other; and nobody waits for the disk.
 */
const OWE = `WITH quick AS (SELECT set_config('synchronous_commit', 'off', true))
  INSERT INTO postern_records AS held (space, kind, id, version, expires_at, idx, sealed, sweep_at)
  SELECT $1, 'debt', id, more, most, '', '', clock_timestamp() + least(more, most) * interval '1 microsecond'
    FROM quick, unnest($2::text[], $3::bigint[], $4::bigint[]) AS debt (id, more, most) ORDER BY id
  ON CONFLICT (space, kind, id) DO UPDATE SET sweep_at = clock_timestamp() + interval '1 microsecond' * least(
    excluded.expires_at,
    excluded.version + greatest(0, extract(epoch FROM held.sweep_at - clock_timestamp())::float8 * 1000000))
  RETURNING id, extract(epoch FROM sweep_at - clock_timestamp())::float8 * 1000 AS owed`

/** Makes what is not there. Rejects when it may not: then an operator makes it, once (docs/high-availability.md). */
async function prepare(connection: Connection): Promise<void> {
  const isThere = async (): Promise<boolean> => {
    const [row] = await connection.query('SELECT to_regprocedure($1) IS NOT NULL AS there', [LAST_OBJECT], PATIENCE)
    return row?.['there'] === true
  }
  if (await isThere()) return
  await connection.query('BEGIN', [], PATIENCE)
  await connection.query("SELECT pg_advisory_xact_lock(hashtext('postern schema'))", [], SCHEMA_PATIENCE)
  if (!(await isThere())) for (const statement of SCHEMA) await connection.query(statement, [], SCHEMA_PATIENCE)
  await connection.query('COMMIT', [], PATIENCE)
}

function recordOf({ version, expires_at: expiry, idx, sealed }: Row): Found {
  if (typeof idx !== 'string' || typeof sealed !== 'string' || !/^\d{1,16}$/.test(String(expiry))) return 'unreadable'
  return {
    version: Number(version),
    expiresAt: Number(expiry) === 0 ? undefined : wallTime(Number(expiry)),
    index: idx === '' ? undefined : idx,
    sealed,
  }
}

function entryOf({ number, previous, change, kind, sealed_key: sealedKey }: Row): LogEntry {
  return {
    sequence: Number(number),
    previous: Number(previous),
    kind: change === 'put' ? 'put' : 'delete',
    table: String(kind),
    sealedKey: String(sealedKey),
  }
}

/** `read_only_sql_transaction`, `cannot_connect_now`. */
function isReadOnly(error: unknown): boolean {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return code === '25006' || code === '57P03'
}
