/**
 * Addresses to return to, as a sign-in carries them. A long one waits in the store while its person signs in, and a short
 * one of the same host (`{prefix}/return?to=…`) leads to it: so signed URLs, `state` and cookies stay small, and the address
 * is kept whole. Where the browser keeps the fragment (pages/onward.tsx) it returns by that path in any case, and
 * `to` is the address itself when it is short.
 */
import { sha256 } from '../lib/crypto.ts'
import type { KeyRings } from '../lib/key-ring.ts'
import { readable } from '../lib/readable.ts'
import { later } from '../lib/time.ts'
import type { Clock, Logger, Span, Store, Table } from '../types.ts'
import { networkOf } from '../lib/client-network.ts'
import type { ControlRequest } from './control-request.ts'
import { only } from './redirect.ts'

/** Longer addresses wait in the store. */
const MAX_CARRIED = 512
/** What nginx reads of a request line by default (large_client_header_buffers). */
const MAX_KEPT = 8192
/** Longer than a sign-in may take. */
const LIFETIME: Span = 2 * 60 * 60_000
/** Nobody who begins a sign-in is known, so that what they make us keep is bounded: for each client, and for all. */
const MAX_OF_CLIENT = 500
const MAX_OF_ALL = 10_000

const longAddresses: Table<string> = {
  name: 'long-addresses',
  parse: (value) => (typeof value === 'string' && URL.canParse(value) ? value : undefined),
}

export interface ReturnAddresses {
  /** `returnTo`, or a short address that leads to it, or the front page when it cannot be kept. Rejects ERR_STORE_UNAVAILABLE. */
  shorten(request: ControlRequest, returnTo: string): string | Promise<string>
  /** As `shorten`, but always an address of `{prefix}/return`, where the fragment is put back. */
  indirect(request: ControlRequest, returnTo: string): string | Promise<string>
  /** Where the address leads: the one that was asked for, or the front page when that has expired. */
  find(request: ControlRequest): Promise<string>
}

export interface ReturnAddressDeps {
  readonly store: Store
  readonly keyRings: KeyRings
  readonly clock: Clock
  readonly logger: Logger
}

export function createReturnAddresses({ store, keyRings, clock, logger }: ReturnAddressDeps): ReturnAddresses {
  const ring = keyRings('long-address')
  /** What this process keeps, by client. */
  const kept = new Map<string, Set<string>>()
  let total = 0

  /** false: this client, or all clients, have too many. */
  function count(client: string, id: string): boolean {
    const ids = kept.get(client) ?? new Set()
    if (ids.has(id)) return true
    if (ids.size >= MAX_OF_CLIENT || total >= MAX_OF_ALL) return false
    kept.set(client, ids.add(id))
    total++
    clock.after(LIFETIME, () => {
      ids.delete(id)
      total--
      if (ids.size === 0) kept.delete(client)
    })
    return true
  }

  function frontPage({ facts, origin }: ControlRequest, reason: string): string {
    logger.warn({ request_id: facts.id, reason }, 'the sign-in ends at the front page')
    return `${origin}/`
  }

  async function keep(request: ControlRequest, href: string): Promise<string> {
    if (href.length > MAX_KEPT) {
      return frontPage(request, `the address has ${href.length} characters, and at most ${MAX_KEPT} are kept`)
    }
    // The same for the same address: a page that is loaded again and again is kept once. Nobody can guess it.
    const id = ring.mac(href)
    if (!count(networkOf(request.facts.clientIp), id)) {
      return frontPage(request, `too many long addresses wait for a sign-in (${MAX_OF_CLIENT} of one client at most)`)
    }
    await store.put(longAddresses, sha256(id), href, { expiresAt: later(clock.now(), LIFETIME) })
    return by(request, id)
  }

  /** `to`: an id, or a path with its query. */
  function by({ generation, origin }: ControlRequest, to: string): string {
    // Browsers escape the apostrophe by themselves (WHATWG URL §1.3), and find the fragment under their own spelling.
    const escaped = encodeURIComponent(to).replaceAll("'", '%27')
    return `${origin}${generation.live.naming.controlPrefix}/return?to=${escaped}`
  }

  async function wanted(request: ControlRequest): Promise<URL | undefined> {
    const to = only(new URLSearchParams(request.facts.query), 'to')
    if (to === undefined) return undefined
    if (to.startsWith('/')) return URL.canParse(to, request.origin) ? new URL(to, request.origin) : undefined
    const href = (await readable(store.get(longAddresses, sha256(to))))?.value
    return href === undefined ? undefined : new URL(href)
  }

  return {
    shorten: (request, returnTo) => (returnTo.length > MAX_CARRIED ? keep(request, returnTo) : returnTo),

    indirect(request, returnTo) {
      const asked = returnTo.slice(request.origin.length)
      const url = by(request, asked)
      // What begins with two slashes would name another host (RFC 3986 §4.2).
      return url.length > MAX_CARRIED || asked.startsWith('//') ? keep(request, returnTo) : url
    },

    async find(request) {
      const url = await wanted(request)
      // Only to the host that was asked, and with no name and password for it: the link is no way to any other place.
      if (url?.origin === request.origin && request.generation.routes.allowsReturn(url)) return url.href
      return frontPage(request, 'the long address is unknown or has expired')
    },
  }
}
