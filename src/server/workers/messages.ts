/** What the primary asks of a worker, and what it answers: structured clones over the channel that Node opens for a child. */
import type { RecordedFiles } from '../../config/recorded.ts'
import type { ErrorCode } from '../../errors.ts'
import type { Debt, Span } from '../../types.ts'
import type { Metric } from '../exposition.ts'
import type { Component } from '../health.ts'

/** What a configuration was made of. The environment is the same in all processes. */
export interface ConfigInput {
  readonly file: string | undefined
  readonly files: RecordedFiles
}

/** What processes have in force: of the one the keys that need a restart, of the other those that a reload changes. */
export interface InForce {
  readonly fixed: ConfigInput
  readonly live: ConfigInput
}

export type Order =
  | { readonly kind: 'start'; readonly worker: number; readonly inForce: InForce; readonly ticketKeys: Buffer }
  /** Builds a configuration; one of the next two follows. */
  | { readonly kind: 'prepare'; readonly input: ConfigInput }
  | { readonly kind: 'commit' }
  | { readonly kind: 'abandon' }
  /** A configuration was not taken over: for whoever looks at the status page. */
  | { readonly kind: 'refused'; readonly problem: string }
  | { readonly kind: 'report' }
  | { readonly kind: 'ticket-keys'; readonly keys: Buffer }
  /** The process ends when it has drained, and says at last what it has counted. */
  | { readonly kind: 'drain' }

/** How a worker is doing. */
export interface WorkerReport {
  readonly components: readonly Component[]
  readonly metrics: readonly Metric[]
}

/** `host:port` of the listener. */
export interface Started {
  readonly address: string
}

interface Answers {
  readonly start: Started
  readonly report: WorkerReport
  readonly drain: readonly Metric[]
}

export type AnswerTo<K extends Order['kind']> = K extends keyof Answers ? Answers[K] : void

export interface Fault {
  readonly code: ErrorCode
  readonly message: string
  /** What the error said that caused it. */
  readonly cause?: string
}

export interface Asked {
  readonly id: number
  readonly order: Order
}

/** Of the answer that a worker gives unasked: it listens now. Node drops what is sent before. */
export const LISTENS = 0

export type Answered = { readonly id: number } & ({ readonly value: unknown } | { readonly fault: Fault })

/** What a worker asks of its primary, with the answer: the debts that all of its workers have in common. */
export interface Owing {
  readonly owing: number
  readonly debts: readonly Debt[]
}

export interface Owed {
  readonly owing: number
  readonly owed: readonly Span[]
}
