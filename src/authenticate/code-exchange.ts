/** The one place where an authorization code is sent to the provider: once for each sign-in, bounded for each client. */
import { AppError, toAppError } from '../errors.ts'
import { sha256 } from '../lib/crypto.ts'
import type { Clock, IdentityProvider, Span, Store, Table } from '../types.ts'
import { networkOf } from '../lib/client-network.ts'
import type { Pending } from './pending.ts'

/** Most codes of one client address that are under way or were refused within a minute. A person needs one, an office a few. */
const MAX_ATTEMPTS = 30
const REFUSED_FOR: Span = 60_000
/** Most sign-ins of one client address that wait for their turn: a whole office on Monday morning. */
const MAX_WAITING = 1000

/** States that were used, by hash, until their sign-in would have expired. */
const usedStates: Table<true> = {
  name: 'used-states',
  parse: (value) => (value === true ? value : undefined),
}

export interface CodeExchangeDeps {
  readonly store: Store
  readonly clock: Clock
}

/** The sign-ins that come from one address. */
interface Client {
  underWay: number
  refused: number
  /** Begin, or give up, in the order in which they came. */
  readonly waiting: Set<() => void>
}

export function createCodeExchange({ store, clock }: CodeExchangeDeps) {
  const clients = new Map<string, Client>()

  function clientAt(address: string): Client {
    let client = clients.get(address)
    if (!client) clients.set(address, (client = { underWay: 0, refused: 0, waiting: new Set() }))
    return client
  }

  /** Resolves when one more code of the client may be under way, and counts it. Rejects ERR_SIGN_IN_LIMIT: too many were refused, or it takes too long. */
  async function takeTurn(client: Client, timeout: Span): Promise<void> {
    let inTime = true
    while (inTime && client.refused < MAX_ATTEMPTS) {
      if (client.underWay + client.refused < MAX_ATTEMPTS) return void client.underWay++
      if (client.waiting.size >= MAX_WAITING) break
      await new Promise<void>((resolve) => {
        const stop = clock.after(timeout, () => {
          inTime = false
          wake()
        })
        const wake = (): void => {
          client.waiting.delete(wake)
          stop()
          resolve()
        }
        client.waiting.add(wake)
      })
    }
    throw new AppError(
      'ERR_SIGN_IN_LIMIT',
      `callback: ${MAX_ATTEMPTS} codes of this client are under way or were refused`,
    )
  }

  /** A refusal counts for a minute; a provider that is down or misbehaves is no sign of guessing. */
  function ended(address: string, client: Client, refused: boolean): void {
    client.underWay--
    if (refused) {
      client.refused++
      clock.after(REFUSED_FOR, () => {
        client.refused--
        forgetIfIdle(address, client)
      })
    }
    // With all attempts refused, everybody who waits is told now.
    const woken = client.refused >= MAX_ATTEMPTS ? client.waiting.size : 1
    for (const wake of [...client.waiting].slice(0, woken)) wake()
    forgetIfIdle(address, client)
  }

  function forgetIfIdle(address: string, { underWay, refused, waiting }: Client): void {
    if (underWay + refused + waiting.size === 0) clients.delete(address)
  }

  /**
   * The cookie of a sign-in can be copied and sent a hundred times, each time with another guess at the code, and each would
   * be a call to the token endpoint with our secret. So the state is spent first, in the store that all processes share
   * (RFC 9700 §4.7.1). Rejects ERR_SIGN_IN_STATE, ERR_SIGN_IN_LIMIT, ERR_STORE_UNAVAILABLE, and what `complete` rejects.
   */
  return async function exchangeCode(
    idp: Pick<IdentityProvider, 'complete'>,
    callback: URL,
    pending: Pending,
    clientIp: string,
    timeout: Span,
  ) {
    // Without a code there is no call: only the provider's error to be explained.
    if (!callback.searchParams.has('code')) return idp.complete(callback, pending, AbortSignal.timeout(timeout))
    const address = networkOf(clientIp)
    const client = clientAt(address)
    await takeTurn(client, timeout)
    let refused = false
    try {
      const first = await store.put(usedStates, sha256(pending.state), true, {
        ifVersion: 0,
        expiresAt: pending.expiresAt,
      })
      if (!first) throw new AppError('ERR_SIGN_IN_STATE', 'callback: the state was used before')
      return await idp.complete(callback, pending, AbortSignal.timeout(timeout))
    } catch (error) {
      refused = isRefusal(toAppError(error))
      throw error
    } finally {
      ended(address, client, refused)
    }
  }
}

function isRefusal({ code, details }: AppError): boolean {
  return code === 'ERR_IDP_REJECTED' && details['error'] !== 'bad_answer'
}
