import { randomId, sha256 } from '../lib/crypto.ts'
import { readable } from '../lib/readable.ts'
import { isDemand } from '../policy/demand.ts'
import type { SignInDemand, Span, SessionId, Store, Table, WallTime } from '../types.ts'
import { later } from '../lib/time.ts'

/** What a single-use code stands for while the browser carries it from the sign-in service to an application. */
export interface Handoff {
  readonly sessionId: SessionId
  /** The only host that may redeem it. */
  readonly host: string
  readonly nonceHash: string
  readonly returnTo: string
  /** What the address asks of a sign-in. */
  readonly demand?: SignInDemand
}

const HANDOFF_LIFETIME: Span = 60_000

const handoffs: Table<Handoff> = {
  name: 'handoffs',
  parse(value) {
    if (typeof value !== 'object' || value === null) return undefined
    const { sessionId, host, nonceHash, returnTo, demand } = value as Record<string, unknown>
    return typeof sessionId === 'string' &&
      typeof host === 'string' &&
      typeof nonceHash === 'string' &&
      typeof returnTo === 'string' &&
      (demand === undefined || isDemand(demand))
      ? { sessionId, host, nonceHash, returnTo, ...(demand && { demand }) }
      : undefined
  },
}

/** A code that is good for nothing until it is issued. */
export interface Ticket {
  readonly code: string
  /** Makes it stand for this session; the last one counts. */
  readonly issue: (sessionId: SessionId) => Promise<unknown>
}

/** The store keeps only the code's hash: whoever reads the store cannot redeem anything. */
export function newTicket(store: Pick<Store, 'put'>, handoff: Omit<Handoff, 'sessionId'>, now: WallTime): Ticket {
  const code = randomId(256)
  const expiresAt = later(now, HANDOFF_LIFETIME)
  return { code, issue: (sessionId) => store.put(handoffs, sha256(code), { sessionId, ...handoff }, { expiresAt }) }
}

/** undefined: unknown, used, expired, or for another host. The code is spent in any case. */
export async function redeemHandoff(store: Store, code: string, host: string): Promise<Handoff | undefined> {
  const handoff = await readable(store.take(handoffs, sha256(code)))
  return handoff?.host === host ? handoff : undefined
}
