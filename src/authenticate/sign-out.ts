/** Sign-out: a page with a button on GET, the deed on POST; here, on every other host, everywhere, and at the provider. */
import { AppError } from '../errors.ts'
import { sessionTag } from '../lib/audit.ts'
import { pageOf, pageReply } from '../pages/render.ts'
import { jsonReply, redirectReply } from '../pages/reply.ts'
import type { Clock, IdentityProviders } from '../types.ts'
import type { Session, Sessions } from '../session/model.ts'
import type { Generation, Reply } from '../http/exchange.ts'
import { type ControlRequest, cookieHeader, type Header, isAtAuthenticate } from './control-request.ts'
import { type Csrf, isScripted } from './csrf.ts'
import type { Failure } from './failure.ts'
import type { Leaving } from './leaving.ts'
import type { OwnSessions } from './own-sessions.ts'
import { only } from './redirect.ts'
import type { States } from './state.ts'

export interface SignOutDeps {
  readonly idps: Pick<IdentityProviders, 'of'>
  readonly sessions: Sessions
  readonly ownSessions: OwnSessions
  readonly csrf: Csrf
  readonly leaving: Leaving
  readonly states: Pick<States, 'afterSignOut'>
  readonly clock: Clock
  readonly failure: Failure
}

/** `url` is what a browser is sent to without the provider. */
interface End {
  readonly registered: URL
  readonly state?: string
  readonly url: URL
}

/** Of the address at the sign-in service that a script's window goes on to. */
const LEAVING = '?at=provider'
/** A longer address to return to makes a `state` that providers refuse. */
const MAX_RETURN_TO = 1024

export function createSignOut(deps: SignOutDeps) {
  const { idps, sessions, ownSessions, csrf, leaving, states, clock, failure } = deps

  /** `{prefix}/sign_out`, on every host. `return_to`: where the next sign-in leads; without it to the application. */
  async function signOut(request: ControlRequest): Promise<Reply> {
    const { facts } = request
    const isAtAuth = isAtAuthenticate(request, request)
    if (isAtAuth && facts.query === LEAVING) return leaveProvider(request)
    const sent = facts.method === 'POST' ? await csrf.read(request) : undefined
    const [session, ...others] = await ownSessions.all(request)
    if (!sent) {
      const back = returnAddress(request, new URLSearchParams(facts.query))
      if (session) return confirmation(request, session, back)
      // An application that was never opened knows no session, which says nothing about the others.
      return redirectReply(302, isAtAuth ? endOf(request, back).url : signOutAtAuth(request, back))
    }
    if (!session) return leave(request, endOf(request, returnAddress(request, new URLSearchParams())).url)

    const everywhere = only(sent.fields, 'scope') === 'everywhere'
    // Where an application's script can press the button, it ends no session but the one that it runs in.
    if (!sent.isFrom(session) || (everywhere && !isAtAuth)) return refused(request, 'sign_out')
    if (everywhere) await endOthers([session, ...others], facts.id)
    return end(request, [session, ...others], returnAddress(request, sent.fields))
  }

  /** `AUTH/{prefix}/end_session`: one of the person's own sessions, from the page that lists them. */
  async function endSession(request: ControlRequest): Promise<Reply> {
    const { facts, generation, origin } = request
    const ownPage = new URL(`${generation.live.naming.controlPrefix}/account`, origin)
    const sent = await csrf.read(request)
    const own = await ownSessions.all(request)
    const [session] = own
    if (!session) return leave(request, ownPage)
    const tag = sent.isFrom(session) ? only(sent.fields, 'session') : undefined
    if (tag === undefined) return refused(request, 'account')
    const here = own.find(({ id }) => sessionTag(id) === tag)
    if (here) return end(request, [here])
    // Nobody else's: it is looked for among the person's own, whatever providers know them.
    for (const { person } of own) {
      for await (const { id } of sessions.list(person)) {
        if (sessionTag(id) === tag) await sessions.revoke(id, 'ended-by-person', facts.id)
      }
    }
    return leave(request, ownPage)
  }

  /** `AUTH/{prefix}/signed_out`. */
  async function signedOut(request: ControlRequest): Promise<Reply> {
    const { facts, generation, origin } = request
    const state = only(new URLSearchParams(facts.query), 'state')
    const next = state === undefined ? undefined : states.afterSignOut.open(state)
    // An application ends its own session, and knows nothing of those with other providers.
    const [left] = await ownSessions.all(request).catch(() => [])
    const signIn = new URL(`${generation.live.naming.controlPrefix}/sign_in`, origin)
    if (state !== undefined && next?.stillAtProvider) signIn.searchParams.set('state', state)
    const back = next && generation.routes.allowsReturn(next.returnTo) ? next.returnTo : undefined
    const signInUrl = (back && !next?.stillAtProvider ? back : signIn).href
    const still = left && {
      email: left.identity.email ?? left.identity.subject,
      signOutUrl: signOutAtAuth(request, back).href,
    }
    return pageReply(common(request), 200, { kind: 'signed-out', signInUrl, ...(still && { still }) })
  }

  function confirmation(request: ControlRequest, session: Session, back: URL | undefined): Reply {
    const { facts, generation } = request
    return pageReply(
      common(request),
      200,
      {
        kind: 'sign-out',
        email: session.identity.email ?? session.identity.subject,
        csrfToken: csrf.token(session, facts.host),
        ...(back && { returnTo: back.href }),
        ...(!isAtAuthenticate(request, request) && { everywhereAt: signOutAtAuth(request, back).href }),
      },
      { formActionOrigins: signOutTargets(generation) },
    )
  }

  /** Sessions of this browser, and then the provider's own. */
  async function end(
    request: ControlRequest,
    [session, ...others]: readonly [Session, ...Session[]],
    back?: URL,
  ): Promise<Reply> {
    const tokens = sessions.tokens(session)
    // The first one's own session ends at its provider, too.
    for (const { id } of [session, ...others]) await sessions.revoke(id, 'signed-out', request.facts.id)
    const { registered, state } = endOf(request, back)
    // Signed out here in any case; a provider that cannot be asked keeps nobody signed in.
    const atProvider =
      tokens &&
      (await idps
        .of(session)
        ?.signOutUrl(tokens.idToken, registered, state)
        .catch(() => undefined))
    const forgotten = [session, ...others].map((each) =>
      cookieHeader(request, ownSessions.nameOf(request, each), undefined),
    )
    if (atProvider && isScripted(request)) {
      await leaving.keep(session.id, atProvider)
      const next = signOutAtAuth(request)
      next.search = LEAVING
      return leave(request, next, forgotten)
    }
    return leave(request, atProvider ?? endOf(request, back, true).url, forgotten)
  }

  /** A script has signed this browser out: what is left is the provider. */
  async function leaveProvider(request: ControlRequest): Promise<Reply> {
    for (const [id, cookie] of ownSessions.signedIds(request)) {
      const atProvider = await leaving.take(id)
      if (atProvider) return redirectReply(302, atProvider, [cookieHeader(request, cookie, undefined)])
    }
    return redirectReply(302, endOf(request).url)
  }

  /** First those of other browsers: when the store fails in the middle, this one can try again. */
  async function endOthers(own: readonly Session[], requestId: string): Promise<void> {
    const here = new Set(own.map(({ id }) => id))
    for (const { person } of own) {
      for await (const { id } of sessions.list(person)) {
        if (!here.has(id)) await sessions.revoke(id, 'signed-out-everywhere', requestId)
      }
    }
  }

  /**
   * Where a sign-out ends: at the configured address, or at our page, which leads back to `back`. An address is registered
   * at the provider without a query: what our page is to know travels as `state` (OpenID Connect RP-Initiated Logout §2).
   */
  function endOf({ generation }: ControlRequest, back?: URL, stillAtProvider = false): End {
    const { signoutRedirectUrl } = generation.live
    const registered = signoutRedirectUrl ?? signedOutUrl(generation)
    if (!back || signoutRedirectUrl) return { registered, url: registered }
    const state = states.afterSignOut.seal({ returnTo: back, stillAtProvider })
    const url = new URL(registered)
    url.searchParams.set('state', state)
    return { registered, state, url }
  }

  /** A script goes on by itself. */
  function leave(request: ControlRequest, url: URL, cookies: readonly Header[] = []): Reply {
    return isScripted(request) ? jsonReply(200, { redirect_to: url.href }, cookies) : redirectReply(303, url, cookies)
  }

  function refused(request: ControlRequest, path: string): Reply {
    const { facts, generation, origin } = request
    const error = new AppError('ERR_BAD_REQUEST', `${path || 'end_session'}: it did not come from our page`)
    if (isScripted(request)) return jsonReply(400, { error: error.code, request_id: facts.id })
    return failure(request, error, { tryAgain: new URL(`${generation.live.naming.controlPrefix}/${path}`, origin) })
  }

  function common({ facts, generation }: ControlRequest) {
    return pageOf(generation, facts.id, clock.now())
  }

  return { signOut, signedOut, endSession, signOutTargets }
}

/** The same page of the sign-in service, which knows the session of an application that was never opened. */
function signOutAtAuth({ generation: { fixed, live } }: ControlRequest, back?: URL): URL {
  const url = new URL(`${live.naming.controlPrefix}/sign_out`, fixed.authenticateServiceUrl)
  if (back) url.searchParams.set('return_to', back.href)
  return url
}

/** Registered at the provider as a sign-out redirect URI. */
function signedOutUrl({ fixed, live }: Pick<Generation, 'fixed' | 'live'>): URL {
  return new URL(`${live.naming.controlPrefix}/signed_out`, fixed.authenticateServiceUrl)
}

/**
 * `return_to`, when it is on the host that was asked; at the sign-in service, on any of ours. Otherwise the front page
 * of the application that was asked; undefined at the sign-in service.
 */
function returnAddress(request: ControlRequest, query: URLSearchParams): URL | undefined {
  const { generation, origin } = request
  const wanted = only(query, 'return_to')
  const url = wanted !== undefined && URL.canParse(wanted, origin) ? new URL(wanted, origin) : undefined
  const isAtAuth = isAtAuthenticate(request, request)
  const isOurs = url && url.href.length <= MAX_RETURN_TO && generation.routes.allowsReturn(url)
  if (isOurs && (isAtAuth || url.origin === origin)) return url
  return isAtAuth ? undefined : new URL('/', origin)
}

/** Where the answer to a sign-out form may lead, one redirect after the other. */
function signOutTargets({ fixed, live }: Generation): readonly string[] {
  return [
    fixed.authenticateServiceUrl.origin,
    ...fixed.idps.map(({ issuer }) => new URL(issuer).origin),
    ...(live.signoutRedirectUrl ? [live.signoutRedirectUrl.origin] : []),
  ]
}
