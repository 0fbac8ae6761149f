import type { Span } from '../../../src/types.ts'

/** One call as Okta received it. */
export interface LoggedCall {
  readonly at: Span
  readonly requestId: string
  readonly method: string
  readonly path: string
  readonly query: string
  readonly status: number
  readonly bucket: string | undefined
  /** Id of the API token or service app, never a credential. */
  readonly tokenId: string | undefined
  readonly userAgent: string
}

export interface CallLog {
  add(call: LoggedCall): void
  /** Oldest first; at most the last 5,000. */
  list(): readonly LoggedCall[]
  clear(): void
}

const KEPT = 5000

export function createCallLog(): CallLog {
  let calls: LoggedCall[] = []
  return {
    add(call) {
      calls.push(call)
      if (calls.length > 2 * KEPT) calls = calls.slice(-KEPT)
    },
    list: () => calls.slice(-KEPT),
    clear() {
      calls = []
    },
  }
}
