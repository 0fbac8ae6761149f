/** An application's half of a sign-in: it sends the browser to the sign-in service, and takes it back. */
import { AppError } from '../errors.ts'
import { readCookie } from '../lib/cookie.ts'
import { sha256 } from '../lib/crypto.ts'
import { beginReply, returnReply } from '../pages/render.ts'
import { redirectReply } from '../pages/reply.ts'
import type { Clock, SignInDemand, Store } from '../types.ts'
import type { Sessions } from '../session/model.ts'
import type { Reply } from '../http/exchange.ts'
import {
  type ControlRequest,
  cookieHeader,
  isAtAuthenticate,
  isCrowded,
  isDocument,
  makeRoom,
  namesFor,
  signInUrl,
} from './control-request.ts'
import type { Failure } from './failure.ts'
import { redeemHandoff } from './handoff.ts'
import { NONCE_LIFETIME, nonceTag, only, type Redirects } from './redirect.ts'
import { createReturnAddresses, type ReturnAddressDeps } from './return-address.ts'
import type { States } from './state.ts'
import type { SessionHere } from './session-here.ts'

export interface AtApplicationDeps extends ReturnAddressDeps {
  readonly sessions: Pick<Sessions, 'get'>
  readonly store: Store
  readonly redirects: Redirects
  readonly states: Pick<States, 'afterSignOut'>
  readonly here: SessionHere
  readonly clock: Clock
  readonly failure: Failure
}

/** How a sign-in is begun. */
export interface SignInManner {
  /** By a page that keeps the fragment. */
  readonly keepFragment?: boolean
  /** What the route demands of it. */
  readonly demand?: SignInDemand | undefined
}

/** Longest address on the sign-in service to return to; a sign-in for a longer one ends at the front page. */
const MAX_OWN_PAGE = 1024

export function createAtApplication(deps: AtApplicationDeps) {
  const { sessions, store, redirects, states, here, clock, failure } = deps
  const addresses = createReturnAddresses(deps)

  /**
   * Sends a browser from an application's host to the sign-in service, bound to this browser by a nonce cookie.
   * `keepFragment`: by a page whose script keeps the fragment, if this is a navigation; otherwise by a redirect.
   * @param returnTo a URL of the host that was asked.
   */
  function startSignIn(
    request: ControlRequest,
    returnTo: string,
    { keepFragment = false, demand }: SignInManner = {},
  ): Reply | Promise<Reply> {
    if (isAtAuthenticate(request, request)) return redirectReply(302, signInAtService(request, new URL(returnTo)))
    const byPage = keepFragment && isDocument(request)
    const back = byPage ? addresses.indirect(request, returnTo) : addresses.shorten(request, returnTo)
    return back instanceof Promise
      ? back.then((address) => begin(request, address, byPage, demand))
      : begin(request, back, byPage, demand)
  }

  /** On the service's own pages there is no hand-off, so nothing to bind: the address is sealed into the link. */
  function signInAtService(request: ControlRequest, returnTo: URL): string {
    const { controlPrefix } = request.generation.live.naming
    const isFront = returnTo.search === '' && ['/', controlPrefix, `${controlPrefix}/`].includes(returnTo.pathname)
    if (isFront || returnTo.href.length > MAX_OWN_PAGE) return signInUrl(request)
    return `${signInUrl(request)}?state=${states.afterSignOut.seal({ returnTo, stillAtProvider: false })}`
  }

  function begin(request: ControlRequest, back: string, byPage: boolean, demand: SignInDemand | undefined): Reply {
    const prefix = namesFor(request).nonce
    const { location, nonce, nonceHash } = redirects.start({ returnTo: back, demand }, signInUrl(request), clock.now())
    const binding = cookieHeader(request, prefix + nonceTag(nonceHash), nonce, NONCE_LIFETIME)
    const cookies = [...makeRoom(request, prefix), binding]
    return byPage ? beginReply(location, back, cookies) : redirectReply(302, location, cookies)
  }

  /** `{prefix}/sign_in` on an application's host: where a script that got a 401 may send its window. */
  function signInAtRoute(request: ControlRequest): Reply | Promise<Reply> {
    const { generation, facts, origin } = request
    const query = new URLSearchParams(facts.query)
    const wanted = only(query, 'return_to') ?? '/'
    const url = URL.canParse(wanted, origin) ? new URL(wanted, origin) : undefined
    // Not by `origin` alone: it looks inside `blob:` URLs and past a user name.
    const ours = url?.origin === origin && generation.routes.allowsReturn(url)
    // Somebody who changes it signs in with less, and is then asked again by the route.
    const route = only(query, 'route')
    const demand = generation.live.routes.find(({ id }) => id === route)?.demand
    return startSignIn(request, ours ? url.href : `${origin}/`, { demand })
  }

  /** `ROUTE/{prefix}/callback`: the application's host gets its own cookie. */
  async function routeCallback(request: ControlRequest): Promise<Reply> {
    const { facts, origin } = request
    const code = only(new URLSearchParams(facts.query), 'code')
    const handoff = code === undefined ? undefined : await redeemHandoff(store, code, facts.host)
    const nonceName = handoff && namesFor(request).nonce + nonceTag(handoff.nonceHash)
    const nonces = nonceName === undefined ? [] : readCookie(facts.cookie, nonceName)
    if (!handoff || nonceName === undefined || !nonces.some((nonce) => sha256(nonce) === handoff.nonceHash)) {
      // The code was used, or its nonce was dropped in favour of newer tabs. If one of those has signed this browser in as
      // the route demands, its own session counts, not the one of the code. If newer tabs still wait, the application
      // begins again, and the sign-in service knows who this is.
      const isKnown = (await here.active(request, handoff?.demand)) !== undefined
      if (isKnown || (handoff && isCrowded(request, namesFor(request).nonce))) {
        return redirectReply(302, handoff?.returnTo ?? new URL(origin))
      }
      const unknown = new AppError(
        'ERR_SIGN_IN_STATE',
        'hand-off: the code is unknown, used, expired, or not for this browser',
      )
      return failure(request, unknown, { tryAgain: new URL(handoff?.returnTo ?? origin) })
    }
    const spent = cookieHeader(request, nonceName, undefined)
    const returnTo = new URL(handoff.returnTo)
    const session = await sessions.get(handoff.sessionId)
    // Signed out in the meantime: the application asks for a new sign-in.
    if (!session || session.expiresAt <= clock.now()) return redirectReply(302, returnTo, [spent])
    return here.enter(request, returnTo, [spent, here.cookie(request, session)])
  }

  /** `ROUTE/{prefix}/return`: leads to the address that was asked for at first. */
  async function returnToAsked(request: ControlRequest): Promise<Reply> {
    const url = await addresses.find(request)
    return isDocument(request) ? returnReply(url) : redirectReply(302, url)
  }

  return { startSignIn, signInAtRoute, routeCallback, returnToAsked }
}
