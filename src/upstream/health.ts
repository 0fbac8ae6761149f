/** Active health checks: whether an upstream is well, asked at intervals as long as a generation wants to know. */
import type { HealthCheck } from '../config/route-model.ts'
import type { Deadlines } from '../lib/deadlines.ts'
import type { Clock, Logger, Span, Unsubscribe, WallTime } from '../types.ts'
import type { UpstreamConnection } from './connection.ts'
import { openClient } from './open-client.ts'
import { createProbe, type Probe } from './probe.ts'

export interface CheckerDeps {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly logger: Logger
  /** From 0, below 1: checks of many upstreams do not fall on one instant. */
  readonly random: () => number
}

/** Checks one upstream. It counts as healthy until the first check, whose result counts at once; later ones by the thresholds. */
export class Checker {
  /** What is wrong; undefined: nothing. */
  problem: string | undefined
  since: WallTime
  readonly key: string
  readonly origin: string
  private readonly to: UpstreamConnection
  private readonly check: HealthCheck
  private readonly probe: Probe
  private readonly deps: CheckerDeps
  private holders = 0
  private checked = false
  /** Results in a row that differ from the state. */
  private different = 0
  private stopWaiting: Unsubscribe = () => {}
  private stopProbe: Unsubscribe = () => {}

  constructor(key: string, to: UpstreamConnection, check: HealthCheck, deps: CheckerDeps) {
    this.key = key
    this.origin = to.upstream.origin
    this.to = to
    this.check = check
    this.deps = deps
    this.probe = createProbe(check, (to) => openClient(to, deps))
    this.since = deps.clock.now()
  }

  get healthy(): boolean {
    return this.problem === undefined
  }

  hold(): void {
    if (this.holders++ === 0) this.wait(this.deps.random() * this.check.initialJitter)
  }

  /** True: nobody wants to know any more, and it has ended. */
  release(): boolean {
    if (--this.holders > 0) return false
    this.stop()
    return true
  }

  stop(): void {
    this.stopWaiting()
    this.stopProbe()
  }

  private wait(span: Span): void {
    this.stopWaiting = this.deps.clock.after(span, () => this.run())
  }

  private run(): void {
    const { clock, random } = this.deps
    const { timeout, interval, intervalJitter } = this.check
    const finish = (problem: string | undefined): void => {
      this.stopWaiting()
      this.note(problem)
      this.wait(interval + random() * intervalJitter)
    }
    this.stopWaiting = clock.after(timeout, () => {
      this.stopProbe()
      finish('no answer in time')
    })
    this.stopProbe = this.probe(this.to, finish)
  }

  private note(problem: string | undefined): void {
    const { unhealthyThreshold, healthyThreshold } = this.check
    if ((problem === undefined) === this.healthy) {
      this.different = 0
      this.checked = true
      return
    }
    const threshold = problem === undefined ? healthyThreshold : unhealthyThreshold
    if (this.checked && ++this.different < threshold) return
    this.checked = true
    this.different = 0
    this.problem = problem
    this.since = this.deps.clock.now()
    const { origin } = this
    if (problem === undefined) this.deps.logger.info({ upstream: origin }, 'an upstream is healthy again')
    else this.deps.logger.warn({ upstream: origin, cause: problem }, 'an upstream is unhealthy')
  }
}
