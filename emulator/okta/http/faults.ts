import type { Clock, Millis } from '../../../src/types.ts'
import type { Call, Reply } from './call.ts'

/** What goes wrong, for calls whose method and path fit. The first fitting fault acts. */
export interface Fault {
  /** Prefix of the path, e.g. `/api/v1/groups`. */
  readonly path: string
  readonly method?: string
  /** How many calls it hits; without it every one until `clear`. */
  readonly times?: number
  /** Lets this many fitting calls pass first. */
  readonly after?: number
  readonly act: FaultAct
}

export type FaultAct =
  /** Answers with this status instead; the body is HTML unless given. */
  | { readonly kind: 'status'; readonly status: number; readonly body?: string; readonly headers?: Reply['headers'] }
  /** Answers correctly, this much later. */
  | { readonly kind: 'slow'; readonly by: Millis }
  /** Closes the connection without an answer. */
  | { readonly kind: 'cut' }
  /** Sends the header and half of the body, then closes the connection. */
  | { readonly kind: 'half' }
  /** Answers 200 with JSON that does not parse. */
  | { readonly kind: 'malformed' }
  /** The correct answer with these headers replaced (an empty value removes one), e.g. a foreign `link`. */
  | { readonly kind: 'headers'; readonly headers: Readonly<Record<string, string>> }

export interface FaultPlan {
  add(fault: Fault): void
  clear(): void
  next(call: Call): FaultAct | undefined
}

export function createFaultPlan(): FaultPlan {
  let plan: { fault: Fault; skip: number; left: number }[] = []
  return {
    add(fault) {
      plan.push({ fault, skip: fault.after ?? 0, left: fault.times ?? Number.POSITIVE_INFINITY })
    },
    clear() {
      plan = []
    },
    next(call) {
      for (const entry of plan) {
        const { path, method, act } = entry.fault
        if (entry.left <= 0 || !call.path.startsWith(path) || (method && method !== call.method)) continue
        if (entry.skip > 0) {
          entry.skip -= 1
          continue
        }
        entry.left -= 1
        return act
      }
      return undefined
    },
  }
}

/** Waits by the emulator's clock, so that a test with a manual clock decides when. */
export function delay(clock: Clock, by: Millis): Promise<void> {
  return new Promise((resolve) => {
    clock.after(by, resolve)
  })
}
