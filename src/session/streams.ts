import { inPieces } from '../lib/wait.ts'
import type { Clock, Span, Unsubscribe } from '../types.ts'
import type { CutReason, OpenStream, StreamPlace, StreamRegistry } from '../http/exchange.ts'

const SWEEP_INTERVAL: Span = 1000
/** How many streams are identified again at once. */
const AT_A_TIME = 100

/**
 * Exchanges under way, so that they end when their permission does. Expiry is looked at once a second while there are any,
 * without a timer for each. There is no index by session or person: rights change rarely, and a scan of 10,000 streams
 * takes 0.1 ms. The entries themselves form a ring: streams come and go with every request, and a Set or Map that changes
 * this often keeps a chain of old tables, and finished requests with them (measured: 20 µs per request).
 */
export function createStreamRegistry(deps: { readonly clock: Clock }): StreamRegistry {
  const { clock } = deps
  const ring = new Ring()
  let stopWaiting: Unsubscribe | undefined

  function sweep(): void {
    stopWaiting = ring.size > 0 ? clock.after(SWEEP_INTERVAL, sweep) : undefined
    const now = clock.now()
    endAll('expired', (stream) => stream.expiresAt <= now)
  }

  function endAll(reason: CutReason, concerned: (stream: OpenStream) => boolean): void {
    // Chosen before the first is cut: a cut may remove others and add new ones.
    for (const entry of ring.where(concerned)) end(entry, reason)
  }

  function end(entry: Entry, reason: CutReason): void {
    if (!ring.remove(entry)) return
    try {
      entry.stream.cut(reason)
    } catch {
      // It may be half closed already; the streams after it must be cut all the same.
    }
  }

  return {
    add(stream) {
      const entry = ring.append(stream)
      stopWaiting ??= clock.after(SWEEP_INTERVAL, sweep)
      return entry
    },
    end: (credential, reason) => endAll(reason, (stream) => stream.credential === credential),
    recheck: (person) =>
      endAll('no-longer-allowed', (stream) => (person === undefined || stream.person === person) && !passes(stream)),
    endOlder: (than, reason) =>
      endAll(reason, ({ credential, openedAt }) => credential !== undefined && openedAt < than),
    async confirm() {
      let isDone = true
      const shown = ring.where(({ credential }) => credential !== undefined)
      for await (const piece of inPieces(shown, AT_A_TIME)) {
        await Promise.all(
          piece.map(async (entry) => {
            try {
              if (await entry.stream.stillKnown()) return
            } catch {
              isDone = false
              return
            }
            end(entry, entry.stream.expiresAt <= clock.now() ? 'expired' : 'signed-out')
          }),
        )
      }
      return isDone
    },
    get size() {
      return ring.size
    },
    close() {
      stopWaiting?.()
      ring.clear()
    },
  }
}

/** Both neighbours are undefined when it is in no ring (any more). */
class Entry implements StreamPlace {
  readonly stream: OpenStream
  before: Entry | Ring | undefined
  after: Entry | Ring | undefined
  private readonly ring: Ring

  constructor(stream: OpenStream, ring: Ring) {
    this.stream = stream
    this.ring = ring
    this.before = ring.before
    this.after = ring
  }

  leave(): void {
    this.ring.remove(this)
  }
}

/** The ring closes in the object itself: it stands before the first entry and after the last. */
class Ring {
  size = 0
  before: Entry | Ring = this
  after: Entry | Ring = this

  append(stream: OpenStream): Entry {
    const entry = new Entry(stream, this)
    this.before.after = entry
    this.before = entry
    this.size++
    return entry
  }

  /** False when it was removed before. */
  remove(entry: Entry): boolean {
    const { before, after } = entry
    if (!before || !after) return false
    before.after = after
    after.before = before
    entry.before = entry.after = undefined
    this.size--
    return true
  }

  where(concerned: (stream: OpenStream) => boolean): Entry[] {
    const found: Entry[] = []
    for (let at = this.after; 'stream' in at && at.after; at = at.after) if (concerned(at.stream)) found.push(at)
    return found
  }

  clear(): void {
    for (const entry of this.where(() => true)) this.remove(entry)
  }
}

/** A decision that cannot be made is a no. */
function passes(stream: OpenStream): boolean {
  try {
    return stream.stillAllowed()
  } catch {
    return false
  }
}
