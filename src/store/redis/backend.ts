import type { RedisConfig } from '../../config/storage-model.ts'
import { epochMillis, wallTime } from '../../lib/time.ts'
import type { Clock, Logger, Span } from '../../types.ts'
import { unavailable } from '../record.ts'
import {
  type Backend,
  type Found,
  LOG_PAGE,
  LOG_SILENCE,
  type LogEntry,
  RECORD_PAGE,
  type ServerFacts,
} from '../shared/backend.ts'
import { createLink, type Link, type Session } from '../shared/link.ts'
import { type Connection, Refusal, type Reply } from './connection.ts'
import { addressOf, connectToMaster } from './locate.ts'
import { nameOf } from './names.ts'
import { commit, commitRemovals, hold, owe, type Script, sweep, SWEEP_BATCH } from './scripts.ts'

const PATIENCE: Span = 2000
/** Without any answer for so long the connection that waits for changes is given up. */
const LOG_PATIENCE: Span = LOG_SILENCE + 2000

/** Greater than what Redis itself would add to one of our numbers: an entry that somebody else wrote is read once at most. */
const LAST_OF = '18446744073709551615'

/** Another node is the right one by now, or this one cannot serve yet: look for it again. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  'READONLY',
  'MOVED',
  'ASK',
  'CLUSTERDOWN',
  'LOADING',
  'MASTERDOWN',
  'TRYAGAIN',
])

/** Two connections: one for calls, one that waits for changes. */
export function createRedisBackend({
  config,
  clock,
  logger,
}: {
  readonly config: RedisConfig
  readonly clock: Clock
  readonly logger: Logger
}): Backend {
  const names = nameOf(config.prefix)
  const connect = async (): Promise<Session<Connection>> => {
    const connection = await connectToMaster(config, clock)
    return { ...connection, name: addressOf(connection.node), connection }
  }
  const product = 'Redis'
  const calls = createLink({ connect, clock, logger, product, purpose: 'calls' })
  const changes = createLink({ connect, clock, logger, product, purpose: 'changes' })

  function call(link: Link<Connection>, args: readonly string[], patience = PATIENCE): Promise<Reply> {
    return link.use(async (connection) => {
      try {
        return await connection.call(args, patience)
      } catch (error) {
        if (error instanceof Refusal && ELSEWHERE.has(error.kind)) connection.close(error.message)
        throw error
      }
    })
  }

  /** The key says which slot is meant. */
  function run(script: Script, args: readonly string[]): Promise<Reply> {
    return calls.use(async (connection) => {
      const rest = ['1', names.changes, ...args]
      try {
        return await connection.call(['EVALSHA', script.sha1, ...rest], PATIENCE)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        if (ELSEWHERE.has(error.kind)) connection.close(error.message)
        if (error.kind !== 'NOSCRIPT') throw error
        return connection.call(['EVAL', script.text, ...rest], PATIENCE)
      }
    })
  }

  return {
    ...calls,
    product,
    log: {
      ...changes,
      async newest() {
        const reply = await call(changes, ['XREVRANGE', names.changes, '+', '-', 'COUNT', '1'])
        return parsePage(reply)[0]?.sequence ?? 0
      },
      async after(sequence) {
        const options = ['COUNT', `${LOG_PAGE}`, 'BLOCK', `${LOG_SILENCE}`]
        const reply = await call(
          changes,
          ['XREAD', ...options, 'STREAMS', names.changes, `${sequence}-${LAST_OF}`],
          LOG_PATIENCE,
        )
        return Array.isArray(reply) && Array.isArray(reply[0]) ? parsePage(reply[0][1] ?? null) : []
      },
    },
    async ping() {
      await call(calls, ['PING'])
    },
    async facts() {
      try {
        return factsIn(String(await call(calls, ['INFO'])))
      } catch (error) {
        if (error instanceof Error && error.message.includes('NOPERM')) return { version: undefined }
        throw error
      }
    },
    async read(table, id) {
      return parseRecord(await call(calls, ['GET', names.record(table, id)]))
    },
    async page(table, index, after) {
      const set = index === undefined ? names.table(table) : names.index(table, index)
      const from = after === '' ? '-' : `(${after}`
      const reply = await call(calls, ['ZRANGE', set, from, '+', 'BYLEX', 'LIMIT', '0', `${RECORD_PAGE}`])
      const ids = Array.isArray(reply) ? reply.filter((id): id is string => typeof id === 'string') : []
      if (ids.length === 0) return []
      const texts = await call(calls, ['MGET', ...ids.map((id) => names.record(table, id))])
      return ids.map((id, i) => [id, parseRecord(Array.isArray(texts) ? texts[i] : undefined)] as const)
    },
    count: async (table) => Number(await call(calls, ['ZCARD', names.table(table)])),
    async commit(writes, guard, now, known) {
      const script = writes.every(({ kind }) => kind === 'delete') ? commitRemovals : commit
      const guarded = guard ? [names.record(guard.table, guard.id), `${guard.version}`] : ['', '']
      const steps = writes.flatMap(({ kind, table, id, sealedKey, record }) => {
        const { index = '-', expiresAt, ttl = 0, sealed = '' } = record ?? {}
        const expiry = expiresAt === undefined ? 0 : epochMillis(expiresAt)
        return [kind, table, id, index, `${expiry}`, `${ttl}`, sealed, sealedKey]
      })
      const reply = await run(script, [names.tag, `${epochMillis(now)}`, `${known}`, ...guarded, ...steps])
      return Array.isArray(reply) ? writes.map((_, i) => (reply[i] === '-' ? undefined : Number(reply[i]))) : undefined
    },
    sweep: async () => (await run(sweep, [names.tag])) === SWEEP_BATCH,
    async owe(debts) {
      const micros = (span: Span): string => `${Math.round(1000 * span)}`
      const reply = await run(
        owe,
        debts.flatMap(({ id, more, most }) => [names.debt(id), micros(more), micros(most)]),
      )
      return Array.isArray(reply) ? reply.map((debt) => Number(debt) / 1000) : []
    },
    takeLease: async (name, holder, ttl) =>
      (await call(calls, ['SET', names.lease(name), holder, 'NX', 'PX', `${ttl}`])) === 'OK',
    holdLease: async (name, holder, ttl) => (await run(hold, [names.lease(name), holder, `${ttl}`])) === 1,
  }
}

/** Of the answer to INFO. */
function factsIn(info: string): ServerFacts {
  const said = (name: string): string | undefined => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1]
  const [valkey, redis, policy] = [said('valkey_version'), said('redis_version'), said('maxmemory_policy')]
  const version = valkey === undefined ? redis && `Redis ${redis}` : `Valkey ${valkey}`
  if (Number.parseInt(redis ?? '7', 10) < 7) {
    const message = `${version} is older than what Postern is tested with`
    return { version, doubt: { message, remedy: 'use Redis 7.0 or Valkey 7.2, or newer' } }
  }
  return policy === undefined || policy === 'noeviction'
    ? { version }
    : {
        version,
        doubt: {
          message: `a full memory deletes sessions, and people sign in again (maxmemory-policy ${policy})`,
          remedy: 'set maxmemory-policy noeviction',
        },
      }
}

/** As `scripts.ts` writes one. */
function parseRecord(text: Reply | undefined): Found {
  if (typeof text !== 'string') return undefined
  const parts = /^(\d{1,16}) (\d{1,16}) (\S{1,64}) (\S+)$/.exec(text)
  if (!parts) return 'unreadable'
  const [, version, expiry, index, sealed = ''] = parts
  return {
    version: Number(version),
    expiresAt: expiry === '0' ? undefined : wallTime(Number(expiry)),
    index: index === '-' ? undefined : index,
    sealed,
  }
}

function parsePage(reply: Reply): readonly LogEntry[] {
  return Array.isArray(reply) ? reply.map(parseEntry) : []
}

function parseEntry(reply: Reply): LogEntry {
  const [id, fields] = Array.isArray(reply) ? (reply as readonly Reply[]) : []
  if (typeof id !== 'string' || !Array.isArray(fields))
    throw unavailable('Redis: the change log holds what is no change')
  const [, previous, , kind, , table, , sealedKey] = fields as readonly Reply[]
  return {
    sequence: Number(id.split('-', 1)[0]),
    previous: Number(previous),
    kind: kind === 'put' ? 'put' : 'delete',
    table: String(table),
    sealedKey: String(sealedKey),
  }
}
