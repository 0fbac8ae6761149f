import { createFaultLog } from '../../lib/fault-tally.ts'
import { messageOf } from '../../errors.ts'
import { NEVER } from '../../lib/time.ts'
import type { Change, Clock, Logger, Monotonic, Span, Trouble, Unsubscribe } from '../../types.ts'
import { type ChangeLog, LOG_PAGE, type LogEntry } from './backend.ts'
import type { Deletions } from './deletions.ts'
import type { RecordSeal } from './sealed.ts'
import { fingerprint } from '../record.ts'

/** A write waits so long for its own change to come back. */
const ECHO_PATIENCE: Span = 1000

/** Follows the change log: every process reads it, and what it missed while it was cut off it reads afterwards. */
export interface Feed {
  /** Resolves when the position in the log is known. */
  readonly started: Promise<void>
  watch(listener: (change: Change) => void, onGap?: () => void): Unsubscribe
  /** The newest change that was heard of: no version that comes later is smaller. */
  position(): number
  /** Of changes of this process. Resolves when the listeners have been told: in their turn, or at once when the log cannot be read. */
  told(changes: readonly (readonly [sequence: number, change: Change])[]): Promise<void>
  /** What changed before this instant has been told. */
  heardAt(): Monotonic
  /** undefined: the log can be read. */
  trouble(): Trouble | undefined
  close(): void
}

export function createFeed(deps: {
  readonly log: ChangeLog
  readonly seal: RecordSeal
  readonly deletions: Deletions
  /** Before a gap is announced: the server may have lost changes that we know. */
  readonly repair: () => Promise<void>
  readonly clock: Clock
  readonly logger: Logger
}): Feed {
  const { log, seal, deletions, repair, clock, logger } = deps
  const tellFault = createFaultLog(deps)
  const listeners = new Set<{ readonly onChange: (change: Change) => void; readonly onGap: (() => void) | undefined }>()
  /** Writes that wait for the feed to come to their change. */
  let waiting: { readonly sequence: number; readonly resolve: (told: boolean) => void }[] = []
  /** Told out of turn. */
  const told = new Set<number>()
  let seen: number | undefined
  let heardAt: Monotonic = NEVER
  let trouble: Trouble | undefined
  let closed = false
  let start = (): void => {}
  const started = new Promise<void>((resolve) => (start = resolve))

  /** After a new connection: it may be another server, or one that lost something. */
  async function align(): Promise<void> {
    const last = await log.newest()
    if (seen !== undefined && last < seen) await gap()
    if (seen === undefined || last < seen) seen = last
    start()
  }

  async function follow(): Promise<void> {
    let aligned = false
    while (!closed) {
      await log.connected()
      if (closed) return
      try {
        if (!aligned) await align()
        aligned = true
        await readPage()
        trouble = undefined
      } catch (error) {
        aligned = false
        if (closed) return
        trouble = { since: trouble?.since ?? clock.now(), reason: messageOf(error) }
        log.drop(trouble.reason)
        settle(Number.POSITIVE_INFINITY, false)
      }
    }
  }

  async function readPage(): Promise<void> {
    const askedAt = clock.monotonic()
    const page = await log.after(seen ?? 0)
    for (const entry of page) await announce(entry)
    if (page.length < LOG_PAGE) heardAt = askedAt
  }

  async function announce({ sequence, previous, kind, table, sealedKey }: LogEntry): Promise<void> {
    const key = seal.openKey(table, kind, sealedKey)
    const change = key === undefined ? undefined : { table, key, kind }
    // A change that we cannot read is one that we miss.
    if (previous !== seen || !change) await gap()
    seen = sequence
    if (change?.kind === 'delete') deletions.add({ ...change, id: fingerprint(change.key), sequence })
    if (change && !told.delete(sequence)) tell(change)
    settle(sequence, true)
  }

  function tell(change: Change): void {
    for (const { onChange } of listeners) background('listener', () => onChange(change))
  }

  async function gap(): Promise<void> {
    await repair()
    logger.warn({}, 'store: changes were missed')
    told.clear()
    for (const { onGap } of listeners) if (onGap) background('listener', onGap)
  }

  function settle(upTo: number, isTold: boolean): void {
    if (waiting.length === 0) return
    const due = waiting.filter(({ sequence }) => sequence <= upTo)
    waiting = waiting.filter(({ sequence }) => sequence > upTo)
    for (const { resolve } of due) resolve(isTold)
  }

  function background(what: string, work: () => void): void {
    try {
      work()
    } catch (error) {
      tellFault(error, `store: ${what} failed`)
    }
  }

  /** Resolves with false when it takes too long. */
  function heard(sequence: number): Promise<boolean> {
    if ((seen ?? 0) >= sequence) return Promise.resolve(true)
    if (log.trouble() ?? trouble) return Promise.resolve(false)
    return new Promise((resolve) => {
      const stop = clock.after(ECHO_PATIENCE, () => resolve(false))
      waiting.push({
        sequence,
        resolve(isTold) {
          stop()
          resolve(isTold)
        },
      })
    })
  }

  void follow()
  return {
    started,
    position: () => seen ?? 0,
    heardAt: () => heardAt,
    trouble: () => log.trouble() ?? trouble,
    watch(onChange, onGap) {
      // An object of its own each time, so that one listener may watch twice and stop once.
      const own = { onChange, onGap }
      listeners.add(own)
      return () => listeners.delete(own)
    },
    async told(changes) {
      const last = changes.at(-1)
      if (!last || listeners.size === 0 || (await heard(last[0]))) return
      for (const [sequence, change] of changes) {
        if (sequence <= (seen ?? 0) || told.has(sequence)) continue
        told.add(sequence)
        tell(change)
      }
    },
    close() {
      closed = true
      listeners.clear()
      settle(Number.POSITIVE_INFINITY, true)
    },
  }
}
