import type { Clock, Span, Unsubscribe } from '../types.ts'
import { elapsed, later, monotonicTime } from '../lib/time.ts'

/** Something that must happen in time. */
export interface Deadline {
  /** The whole span again from now; nothing once it has expired or was stopped. */
  touch(): void
  stop(): void
}

/**
 * Deadlines for many things that wait equally long: one timer per span instead of one per request. Those of one span are
 * due in the order in which they were last touched, so a list per span is enough.
 */
export interface Deadlines {
  /** Runs `expired` once, `span` milliseconds after the last touch; never when `span` is 0. */
  start(span: Span, expired: () => void): Deadline
  close(): void
}

const NEVER: Deadline = { touch() {}, stop() {} }

export function createDeadlines(clock: Clock): Deadlines {
  const lanes = new Map<Span, Lane>()
  return {
    start(span, expired) {
      if (span <= 0) return NEVER
      let lane = lanes.get(span)
      if (!lane) lanes.set(span, (lane = new Lane(clock, span)))
      return new Entry(lane, expired)
    },
    close() {
      for (const lane of lanes.values()) lane.close()
      lanes.clear()
    },
  }
}

/** In a ring of its lane, soonest first; in no ring when it has expired or was stopped. */
class Entry implements Deadline {
  due = monotonicTime(0)
  before: Entry | undefined
  after: Entry | undefined
  private readonly lane: Lane | undefined
  readonly expired: () => void

  constructor(lane: Lane | undefined, expired: () => void) {
    this.lane = lane
    this.expired = expired
    lane?.append(this)
  }

  touch(): void {
    if (!this.after) return
    this.stop()
    this.lane?.append(this)
  }

  stop(): void {
    if (!this.before || !this.after) return
    this.before.after = this.after
    this.after.before = this.before
    this.before = this.after = undefined
  }
}

/**
 * All deadlines of one span. The ring is made of the entries themselves: a Set that changes this often leaves a chain
 * of old tables behind, through which finished requests survive (measured: 10 µs of garbage collection per request).
 */
class Lane {
  private readonly ring: Entry = new Entry(undefined, () => {})
  private readonly clock: Clock
  private readonly span: Span
  private timer: Unsubscribe | undefined

  constructor(clock: Clock, span: Span) {
    this.clock = clock
    this.span = span
    this.ring.before = this.ring.after = this.ring
  }

  append(entry: Entry): void {
    const last = this.ring.before ?? this.ring
    entry.due = later(this.clock.monotonic(), this.span)
    entry.before = last
    entry.after = this.ring
    last.after = this.ring.before = entry
    // The timer outlives the entries that it was set for: on a busy proxy it is set once per span, not per request.
    this.timer ??= this.clock.after(this.span, () => this.expire())
  }

  close(): void {
    this.timer?.()
    this.ring.before = this.ring.after = this.ring
  }

  private expire(): void {
    const now = this.clock.monotonic()
    for (let first = this.ring.after; first && first !== this.ring; first = this.ring.after) {
      if (first.due > now) {
        this.timer = this.clock.after(elapsed(first.due, now), () => this.expire())
        return
      }
      first.stop()
      first.expired()
    }
    this.timer = undefined
  }
}
