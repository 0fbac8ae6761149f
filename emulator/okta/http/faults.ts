import type { Json, Span } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import type { Call, Reply } from './call.ts'

/** What goes wrong, for calls whose method and path fit. The first fitting fault acts. */
export interface Fault {
  /** Prefix of the path, e.g. `/api/v1/groups`. A path with `*` segments is a whole one. */
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
  | { readonly kind: 'slow'; readonly by: Span }
  /** Closes the connection without an answer. */
  | { readonly kind: 'cut' }
  /** Sends the header and half of the body, then closes the connection. */
  | { readonly kind: 'half' }
  /** Answers 200 with JSON that does not parse. */
  | { readonly kind: 'malformed' }
  /** The correct list with one record replaced; the first by `null` unless said. What is no list is replaced whole. */
  | { readonly kind: 'record'; readonly at?: number; readonly value?: Json }
  /** Answers 200 with a page, as a gateway in between does. */
  | { readonly kind: 'html' }
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
        if (entry.left <= 0 || !fits(path, call.path) || (method && method !== call.method)) continue
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

function fits(pattern: string, path: string): boolean {
  if (!pattern.includes('*')) return path.startsWith(pattern)
  const [expected, actual] = [pattern.split('/'), path.split('/')]
  return expected.length === actual.length && expected.every((segment, at) => segment === '*' || segment === actual[at])
}

/** The body with one record spoilt, for the fault of that name. */
export function spoilRecord(body: string, act: FaultAct & { readonly kind: 'record' }): string {
  const value = act.value ?? null
  const whole: unknown = JSON.parse(body)
  if (!Array.isArray(whole)) return JSON.stringify(value)
  const at = Math.min(act.at ?? 0, whole.length - 1)
  return JSON.stringify(whole.map((record: Json, index) => (index === at ? value : record)))
}

/** Waits by the emulator's clock, so that a test with a manual clock decides when. */
export function delay(clock: Clock, by: Span): Promise<void> {
  return new Promise((resolve) => {
    clock.after(by, resolve)
  })
}
