import { clearCookie, readCookies, setCookie } from '../lib/cookie.ts'
import type { Span } from '../types.ts'
import type { Exchange, Generation, RequestFacts } from '../http/exchange.ts'

/** A request to the sign-in service or to the control paths of an application's host. */
export interface ControlRequest {
  readonly facts: RequestFacts
  readonly exchange: Pick<Exchange, 'head' | 'body'>
  readonly generation: Generation
  /** External origin of the host that was asked, from configuration. */
  readonly origin: string
}

export type Header = readonly [name: string, value: string]

/** The names of our cookies on the host that was asked. */
export function namesFor({ generation, origin }: ControlRequest) {
  return generation.cookieNames[isHttps(origin) ? 'https' : 'http']
}

/** A `Set-Cookie` header for the host that was asked; `undefined` forgets the cookie. Lax: `strict` cookies would be lost on the way back from the provider. */
export function cookieHeader(
  { origin }: ControlRequest,
  name: string,
  value: string | undefined,
  maxAge: Span = 0,
  sameSite: 'lax' | 'strict' | 'none' = 'lax',
): Header {
  const secure = isHttps(origin)
  return [
    'set-cookie',
    value === undefined
      ? clearCookie(name, { secure, sameSite })
      : setCookie(name, value, { maxAge, secure, sameSite }),
  ]
}

/** Is it of the sign-in service, where no application's script runs? */
export function isAtAuthenticate({ generation }: ControlRequest, { origin }: { readonly origin: string }): boolean {
  return origin === generation.fixed.authenticateServiceUrl.origin
}

/**
 * Does a person look at the whole answer, in a browser that says so (https://www.w3.org/TR/fetch-metadata/)? Such a one runs
 * scripts; of what is framed, older or no browser this is not known.
 */
export function isDocument({ facts, exchange }: ControlRequest): boolean {
  return (
    facts.method === 'GET' && facts.wants === 'html' && exchange.head.headers.first('sec-fetch-dest') === 'document'
  )
}

/** Sign-ins that one browser may have begun at a time, on one host. */
const MAX_FLOWS = 5

/** Does the browser hold so many cookies of a prefix that older ones may have been dropped? */
export function isCrowded({ facts }: ControlRequest, prefix: string): boolean {
  return readCookies(facts.cookie, prefix).length >= MAX_FLOWS
}

/** Drops the oldest cookies of a prefix, so that one more makes at most five. */
export function makeRoom(request: ControlRequest, prefix: string): readonly Header[] {
  if (request.facts.cookie === '') return []
  const held = readCookies(request.facts.cookie, prefix)
  return held
    .slice(0, Math.max(0, held.length - (MAX_FLOWS - 1)))
    .map(([name]) => cookieHeader(request, name, undefined))
}

/** Of the sign-in service. Without a query it ends at the page about the person, at the service itself. */
export function signInUrl({ generation: { fixed, live } }: Pick<ControlRequest, 'generation'>): string {
  return `${fixed.authenticateServiceUrl.origin}${live.naming.controlPrefix}/sign_in`
}

function isHttps(origin: string): boolean {
  return origin.startsWith('https:')
}
