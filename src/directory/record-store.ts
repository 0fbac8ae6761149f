import type { FaultLog } from '../lib/fault-tally.ts'
import { AppError, toAppError, faultFields } from '../errors.ts'
import type { Issuer } from '../lib/person.ts'
import type { Logger, Span, PersonKey, Store, Subject, Versioned } from '../types.ts'
import { isSame } from './evidence.ts'
import { createDirectoryTable, type DirectoryRecord } from './records.ts'
import { later } from '../lib/time.ts'
import { inPieces, yieldToEventLoop } from '../lib/wait.ts'

const SAVE_ATTEMPTS = 5
/** Records that are loaded before others have their turn: a few milliseconds. */
const AT_A_TIME = 100

/** What is known, in the store under the keys of people: shared with earlier runs and with other processes. */
export interface RecordStore {
  /** Everything that an earlier run or another process has stored, unless the signal aborts. Never rejects. */
  load(): Promise<void>
  /** Writes what is known now; rejects when that cannot be made durable. */
  save(user: Subject): Promise<void>
  /** Reads what another process has stored; with true when this one knows more than that. Never rejects. */
  fetch(user: Subject): Promise<boolean>
  delete(user: Subject): Promise<void>
  /** Calls back when any process has written or deleted a record, also when this one did not hear of it at once. */
  watch(listener: (user: Subject, kind: 'put' | 'delete') => void): () => void
}

/** `current` is what there is to store now, `adopt` takes what others have stored. */
export function createRecordStore(deps: {
  readonly issuer: Issuer
  readonly store: Store
  readonly logger: Logger
  readonly tell: FaultLog
  readonly retention: Span
  readonly signal: AbortSignal
  /** Who is known here. */
  readonly known: () => readonly Subject[]
  readonly current: (user: Subject) => DirectoryRecord | undefined
  readonly adopt: (user: Subject, record: DirectoryRecord) => void
}): RecordStore {
  const { issuer, store, logger, tell, retention, signal, known, current, adopt } = deps
  const table = createDirectoryTable()

  /** A record that nobody can read is there to be replaced. */
  function readStored(user: Subject): Promise<Versioned<DirectoryRecord> | 'corrupt' | undefined> {
    return store.get(table, issuer.person(user)).catch((error: unknown) => {
      if (toAppError(error).code === 'ERR_STORE_CORRUPT') return 'corrupt'
      throw error
    })
  }

  /** Whose records there are; undefined: not all could be read. */
  async function load(): Promise<ReadonlySet<Subject> | undefined> {
    const stored = new Set<Subject>()
    let count = 0
    try {
      for await (const [key, { value }] of store.list(table)) {
        if (signal.aborted) return undefined
        if (++count % AT_A_TIME === 0) await yieldToEventLoop()
        // Of another issuer, or of an older Postern, which kept people by their subject alone: both expire by themselves.
        const user = issuer.subject(key as PersonKey)
        if (user === undefined) continue
        stored.add(user)
        adopt(user, value)
      }
      return stored
    } catch (error) {
      tell(error, 'stored readings of the group directory could not all be loaded')
      return undefined
    }
  }

  /** Changes were missed: what is not there any more was deleted meanwhile. */
  async function loadAgain(deleted: (user: Subject) => void): Promise<void> {
    const before = known()
    const stored = await load()
    if (!stored) return
    for await (const piece of inPieces(before, AT_A_TIME))
      for (const user of piece) if (!stored.has(user)) deleted(user)
  }

  return {
    load: async () => void (await load()),

    async save(user) {
      for (let attempt = 0; attempt < SAVE_ATTEMPTS; attempt++) {
        const stored = await readStored(user)
        if (stored !== 'corrupt' && stored) adopt(user, stored.value)
        // What is known now, which another reading or process may have made newer than what we came with.
        const record = current(user)
        if (!record || (stored !== 'corrupt' && stored && isStored(record, stored.value))) return
        const expiresAt = later(record.readAt, retention)
        const when = stored === 'corrupt' ? { expiresAt } : { ifVersion: stored?.version ?? 0, expiresAt }
        if (await store.put(table, issuer.person(user), record, when)) return
      }
      throw new AppError(
        'ERR_STORE_UNAVAILABLE',
        `directory: ${SAVE_ATTEMPTS} attempts to store a person met other writers`,
      )
    },

    async fetch(user) {
      try {
        const stored = await store.get(table, issuer.person(user))
        if (!stored) return false
        adopt(user, stored.value)
        const record = current(user)
        return record !== undefined && !isStored(record, stored.value)
      } catch (error) {
        // The next reading replaces it. To write in answer to what cannot be read could go on for ever.
        logger.debug({ user_id: user, ...faultFields(error) }, 'a reading of another process could not be loaded')
        return false
      }
    },

    delete: (user) => store.delete(table, issuer.person(user)),

    watch: (listener) =>
      store.watch(
        ({ table: name, key, kind }) => {
          const user = name === table.name ? issuer.subject(key as PersonKey) : undefined
          if (user !== undefined) listener(user, kind)
        },
        () => void loadAgain((user) => listener(user, 'delete')),
      ),
  }
}

function isStored(record: DirectoryRecord, stored: DirectoryRecord): boolean {
  return record.source === stored.source && record.doubtAt === stored.doubtAt && isSame(record, stored)
}
