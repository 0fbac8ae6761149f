import type { OutlierDetection } from '../config/route-model.ts'
import { elapsed, later } from '../lib/time.ts'
import type { Monotonic, Span } from '../types.ts'
import type { Outcome } from './lease.ts'

/** Time without requests for an upstream that refused a connection; nginx's `fail_timeout` is the same. */
const SET_ASIDE: Span = 10_000

/** What the answers of one upstream say about it (passive health checks). A reload keeps it. */
export class Standing {
  private readonly rules: OutlierDetection | undefined
  private asideUntil: Monotonic | undefined
  private ejectedUntil: Monotonic | undefined
  /** In a row: each is longer than the one before. */
  private ejections = 0
  private errors = 0
  private gatewayErrors = 0

  constructor(rules: OutlierDetection | undefined) {
    this.rules = rules
  }

  /** It took no connection. */
  setAside(now: Monotonic): void {
    this.asideUntil = later(now, SET_ASIDE)
  }

  isAside(now: Monotonic): boolean {
    return this.asideUntil !== undefined && this.asideUntil > now
  }

  /** One request finds out whether it is back; the others stay away until then. */
  chosen(now: Monotonic): void {
    if (this.asideUntil !== undefined) this.setAside(now)
  }

  /** It takes connections. True: it had been set aside. */
  back(): boolean {
    const wasAside = this.asideUntil !== undefined
    this.asideUntil = undefined
    return wasAside
  }

  isEjected(now: Monotonic): boolean {
    return this.ejectedUntil !== undefined && this.ejectedUntil > now
  }

  /** Counts errors in a row. True: so many that it is to be ejected. Failures count as the 502, 503 or 504 that the client gets. */
  count(outcome: Outcome): boolean {
    const { rules } = this
    if (!rules || outcome.kind === 'abandoned') return false
    const status = outcome.kind === 'failed' ? outcome.error.info.status : outcome.status
    this.errors = status >= 500 ? this.errors + 1 : 0
    this.gatewayErrors = status >= 502 && status <= 504 ? this.gatewayErrors + 1 : 0
    return reached(this.errors, rules.consecutive5xx) || reached(this.gatewayErrors, rules.consecutiveGatewayFailure)
  }

  /** Gives how long it gets no requests. */
  eject(now: Monotonic): Span {
    const { baseEjectionTime = 0, maxEjectionTime = 0 } = this.rules ?? {}
    const { ejectedUntil } = this
    // It was good for as long as the longest ejection: the count begins again.
    const relapse = ejectedUntil !== undefined && elapsed(now, ejectedUntil) < maxEjectionTime
    this.ejections = relapse ? this.ejections + 1 : 1
    this.errors = this.gatewayErrors = 0
    const span = Math.min(baseEjectionTime * this.ejections, Math.max(maxEjectionTime, baseEjectionTime))
    this.ejectedUntil = later(now, span)
    return span
  }
}

/** 0: such errors never count. */
function reached(count: number, limit: number): boolean {
  return limit > 0 && count >= limit
}
