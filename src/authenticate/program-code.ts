import { randomId, sha256 } from '../lib/crypto.ts'
import { readable } from '../lib/readable.ts'
import { later } from '../lib/time.ts'
import type { SessionId, Span, Store, Table, WallTime } from '../types.ts'

/** What a single-use code stands for while it is on its way to a program. */
export interface ProgramCode {
  readonly sessionId: SessionId
  /** The only host that may redeem it. */
  readonly host: string
  /** SHA-256 of the verifier, base64url. */
  readonly challenge: string
}

/** A person may have to copy it. */
const PROGRAM_CODE_LIFETIME: Span = 2 * 60_000

const programCodes: Table<ProgramCode> = {
  name: 'program-codes',
  parse(value) {
    if (typeof value !== 'object' || value === null) return undefined
    const { sessionId, host, challenge } = value as Record<string, unknown>
    return typeof sessionId === 'string' && typeof host === 'string' && typeof challenge === 'string'
      ? { sessionId, host, challenge }
      : undefined
  },
}

/** The store keeps only the code's hash. */
export async function issueProgramCode(store: Store, code: ProgramCode, now: WallTime): Promise<string> {
  const text = randomId(256)
  await store.put(programCodes, sha256(text), code, { expiresAt: later(now, PROGRAM_CODE_LIFETIME) })
  return text
}

/** undefined: unknown, used, expired, or for another host. The code is spent in any case. */
export async function redeemProgramCode(store: Store, text: string, host: string): Promise<ProgramCode | undefined> {
  const code = await readable(store.take(programCodes, sha256(text)))
  return code?.host === host ? code : undefined
}
