/** Arithmetic of instants that knows whose clock they are of. V8 inlines each of these to one instruction. */
import type { Monotonic, SourceTime, Span, WallTime } from '../types.ts'

type Instant = WallTime | Monotonic | SourceTime

export function elapsed<T extends Instant>(now: T, then: T): Span {
  return (now as unknown as number) - (then as unknown as number)
}

export function later<T extends Instant>(instant: T, by: Span): T {
  return ((instant as unknown as number) + by) as unknown as T
}

export function earlier<T extends Instant>(instant: T, by: Span): T {
  return later(instant, -by)
}

export function latest<T extends Instant>(left: T, right: T): T {
  return left < right ? right : left
}

export function earliest<T extends Instant>(left: T, right: T): T {
  return right < left ? right : left
}

/** From a number that something outside wrote: a record, a token, a date. */
export function wallTime(sinceEpoch: number): WallTime {
  return sinceEpoch as unknown as WallTime
}

export function sourceTime(sinceEpoch: number): SourceTime {
  return sinceEpoch as unknown as SourceTime
}

export function monotonicTime(millis: number): Monotonic {
  return millis as unknown as Monotonic
}

/** Before every other instant, on each clock. */
export const NEVER = Number.NEGATIVE_INFINITY as never

/** After every other instant, on each clock. */
export const FOREVER = Number.POSITIVE_INFINITY as never

/** For schemas of records: an instant that a date can hold (ECMA-262 §21.4.1.1); anything else cannot be shown to anybody. */
export const EPOCH_MILLIS = { type: 'number', minimum: 0, maximum: 8.64e15 } as const

/** Milliseconds since the Unix epoch. */
export function epochMillis(instant: WallTime | SourceTime): number {
  return instant as unknown as number
}

/** Whole seconds since the Unix epoch, as tokens carry them. */
export function epochSeconds(instant: WallTime | SourceTime): number {
  return Math.floor(epochMillis(instant) / 1000)
}

export function isoTime(instant: WallTime | SourceTime): string {
  return new Date(epochMillis(instant)).toISOString()
}

/** For a source that has no clock but ours, and where two clocks must be taken for one. */
export function asSourceTime(wall: WallTime): SourceTime {
  return sourceTime(epochMillis(wall))
}

export function asWallTime(source: SourceTime): WallTime {
  return wallTime(epochMillis(source))
}
