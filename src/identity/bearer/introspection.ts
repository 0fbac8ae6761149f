/** Tokens that only their issuer can read (RFC 7662): asked once, remembered for a while, and within bounds. */
import { AppError } from '../../errors.ts'
import { networkOf } from '../../lib/client-network.ts'
import { createSingleFlight } from '../../lib/single-flight.ts'
import { elapsed } from '../../lib/time.ts'
import type { Clock, JsonObject, Monotonic, Span } from '../../types.ts'
import { INTROSPECTION_AGE } from './claims.ts'

/** Somebody who was put out is out after this. What was unknown becomes nothing else, and may be a token of the application that comes with every request. */
const KNOWN_FOR: Span = INTROSPECTION_AGE
const MAX_KNOWN = 4096
const MAX_UNDER_WAY = 32
/** Unknown tokens of one client within a minute: guessing costs the issuer a call each. */
const MAX_REFUSED = 30
const REFUSED_FOR: Span = 60_000

export interface Introspection {
  /**
   * What the issuer says; `inactive`: it does not know the token, any more. `key`: of issuer and token. Rejects when it
   * cannot be asked: ERR_IDP_UNREACHABLE, and ERR_SIGN_IN_LIMIT for a client that shows too many unknown ones.
   */
  read(key: string, clientIp: string, ask: () => Promise<JsonObject | undefined>): Answer | Promise<Answer>
}

export type Answer = JsonObject | 'inactive'

export function createIntrospection({ clock }: { readonly clock: Clock }): Introspection {
  const known = new Map<string, { readonly answer: Answer; readonly at: Monotonic }>()
  const refused = new Map<string, number>()
  const flight = createSingleFlight<Answer>()
  let underWay = 0

  function remembered(key: string): Answer | undefined {
    const found = known.get(key)
    if (!found) return undefined
    if (elapsed(clock.monotonic(), found.at) < KNOWN_FOR) return found.answer
    known.delete(key)
    return undefined
  }

  function remember(key: string, answer: Answer, at: Monotonic): void {
    // The oldest first.
    for (const old of known.keys()) if (known.size >= MAX_KNOWN) known.delete(old)
    known.set(key, { answer, at })
  }

  function countRefused(client: string): void {
    refused.set(client, (refused.get(client) ?? 0) + 1)
    clock.after(REFUSED_FOR, () => {
      const left = (refused.get(client) ?? 1) - 1
      if (left > 0) refused.set(client, left)
      else refused.delete(client)
    })
  }

  async function askOnce(key: string, client: string, ask: () => Promise<JsonObject | undefined>): Promise<Answer> {
    if ((refused.get(client) ?? 0) >= MAX_REFUSED)
      throw new AppError('ERR_SIGN_IN_LIMIT', `introspection: ${MAX_REFUSED} tokens of this client were unknown`)
    if (underWay >= MAX_UNDER_WAY)
      throw new AppError('ERR_IDP_UNREACHABLE', `introspection: ${MAX_UNDER_WAY} calls are under way`)
    underWay++
    const at = clock.monotonic()
    try {
      const answer = (await ask()) ?? 'inactive'
      if (answer === 'inactive') countRefused(client)
      remember(key, answer, at)
      return answer
    } finally {
      underWay--
    }
  }

  return {
    read(key, clientIp, ask) {
      return remembered(key) ?? flight(key, () => askOnce(key, networkOf(clientIp), ask))
    },
  }
}
