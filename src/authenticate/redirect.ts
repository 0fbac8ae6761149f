/**
 * The way from an application to the sign-in service and back.
 *
 * 1. The application's host answers 302 to `AUTH/{prefix}/sign_in` with the address to return to, signed, and
 *    gives the browser a nonce cookie; only the nonce's hash is in the URL.
 * 2. AUTH hands back a single-use code, bound to that host and that hash, valid for a minute.
 * 3. The host takes the code only from the browser that holds the nonce, and sets its own session cookie.
 *
 * So a stolen or planted URL signs nobody in (login CSRF, RFC 9700 §4.7), and no URL ever carries a session.
 */
import { NONCE_VERSION } from '../lib/cookie-form.ts'
import { randomId, sha256 } from '../lib/crypto.ts'
import type { KeyRings } from '../lib/key-ring.ts'
import { formatDemand, parseDemand } from '../policy/demand.ts'
import type { SignInDemand, Span, WallTime } from '../types.ts'
import type { RouteTable } from '../routing/model.ts'
import { PENDING_LIFETIME } from './pending.ts'
import { epochMillis, later } from '../lib/time.ts'

/** Of a signed link and of the nonce that it belongs to: as long as a sign-in may take, and some time to begin it. */
export const NONCE_LIFETIME: Span = PENDING_LIFETIME + 10 * 60_000

export interface SignInRequest {
  readonly returnTo: URL
  /** What the route that asks for a sign-in asks of it. */
  readonly demand?: SignInDemand
  /** Somebody else wants to sign in, and the provider has to ask who. */
  readonly chooseAccount?: boolean
  /** Absent when the sign-in began at the sign-in service itself: no hand-off follows. */
  readonly nonceHash?: string
}

export type SignInLink =
  | { readonly kind: 'good'; readonly asked: SignInRequest }
  /** Ours, but older than its nonce: only the application can begin again, with another one. */
  | { readonly kind: 'expired'; readonly returnTo: URL }
  /** Not signed by us, or the address is not one of ours (any more). */
  | { readonly kind: 'refused' }

export interface Redirects {
  /**
   * @param returnTo a URL of ours.
   * @param signInUrl of the sign-in service, without a query.
   */
  start(
    asked: { readonly returnTo: string; readonly demand?: SignInDemand | undefined },
    signInUrl: string,
    now: WallTime,
  ): { readonly location: string; readonly nonce: string; readonly nonceHash: string }
  check(query: URLSearchParams, routes: RouteTable, now: WallTime): SignInLink
}

const REFUSED: SignInLink = { kind: 'refused' }

export function createRedirects(keyRings: KeyRings): Redirects {
  const ring = keyRings('sign-in-url')
  return {
    start({ returnTo, demand }, signInUrl, now) {
      const nonce = NONCE_VERSION + randomId()
      const nonceHash = sha256(nonce)
      const expires = String(epochMillis(later(now, NONCE_LIFETIME)))
      const demands = demand ? [formatDemand(demand)] : []
      const signature = ring.mac(returnTo, nonceHash, expires, ...demands)
      // 302 answers to people whom nobody knows are cheap: base64url and digits need no escape, and nothing is parsed here.
      let location = `${signInUrl}?return_to=${encodeURIComponent(returnTo)}&nonce=${nonceHash}&expires=${expires}`
      for (const text of demands) location += `&demand=${encodeURIComponent(text)}`
      return { location: `${location}&signature=${signature}`, nonce, nonceHash }
    },

    check(query, routes, now) {
      const [returnTo, nonceHash, expires, signature] = ['return_to', 'nonce', 'expires', 'signature'].map((name) =>
        only(query, name),
      )
      if (returnTo === undefined || nonceHash === undefined || expires === undefined || signature === undefined)
        return REFUSED
      const demands = query.getAll('demand')
      if (!ring.isMac(signature, returnTo, nonceHash, expires, ...demands)) return REFUSED
      const demand = demands[0] === undefined ? undefined : parseDemand(demands[0])
      if (demands.length > 0 && !demand) return REFUSED
      // Signed, but a route may have gone since; and a signing key is no reason to redirect anywhere.
      const url = URL.canParse(returnTo) ? new URL(returnTo) : undefined
      if (!url || !routes.allowsReturn(url)) return REFUSED
      return Number(expires) > epochMillis(now)
        ? { kind: 'good', asked: { returnTo: url, nonceHash, ...(demand && { demand }) } }
        : { kind: 'expired', returnTo: url }
    },
  }
}

/** Ends the name of the nonce's cookie, so that sign-ins of several tabs do not overwrite one another. */
export function nonceTag(nonceHash: string): string {
  return nonceHash.slice(0, 12)
}

/** The parameter's value when it was given exactly once. */
export function only(query: URLSearchParams, name: string): string | undefined {
  const [value, ...more] = query.getAll(name)
  return more.length === 0 ? value : undefined
}
