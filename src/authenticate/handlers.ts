/**
 * The sign-in service: sign-in, the provider's callback, the hand-off to applications (whose half is
 * at-application.ts). The order of the checks is the protocol; each handler reads from top to bottom.
 */
import { AppError, toAppError } from '../errors.ts'
import { readCookie } from '../lib/cookie.ts'
import { constantTimeEqual } from '../lib/crypto.ts'
import { personKey } from '../lib/person.ts'
import type { KeyRings } from '../lib/key-ring.ts'
import { redirectReply } from '../pages/reply.ts'
import { unmetBy } from '../policy/demand.ts'
import type {
  Clock,
  Identity,
  IdentityProvider,
  IdentityProviders,
  Logger,
  SignInDemand,
  Store,
  Tokens,
  WallTime,
} from '../types.ts'
import type { Session, Sessions } from '../session/model.ts'
import type { Directory } from '../directory/model.ts'
import type { Live } from '../config/model.ts'
import type { Reply } from '../http/exchange.ts'
import {
  type ControlRequest,
  cookieHeader,
  type Header,
  isAtAuthenticate,
  isCrowded,
  makeRoom,
  namesFor,
} from './control-request.ts'
import { choicePage, readChoice } from './choice.ts'
import { createCsrf } from './csrf.ts'
import { createAtApplication } from './at-application.ts'
import { createCodeExchange } from './code-exchange.ts'
import { createFailure } from './failure.ts'
import { newTicket, type Ticket } from './handoff.ts'
import { insufficient } from './insufficient.ts'
import { flowTag, PENDING_LIFETIME, type Pending, type PendingSeal } from './pending.ts'
import { only, type Redirects, type SignInLink, type SignInRequest } from './redirect.ts'
import { createLeaving } from './leaving.ts'
import { createSessionHere } from './session-here.ts'
import { createSignOut, type SignOutDeps } from './sign-out.ts'
import type { States } from './state.ts'
import { later } from '../lib/time.ts'

export type { ControlRequest } from './control-request.ts'
export type { SignInManner } from './at-application.ts'

export interface AuthenticateDeps extends Omit<SignOutDeps, 'failure' | 'csrf' | 'leaving' | 'states'> {
  readonly keyRings: KeyRings
  readonly idps: IdentityProviders
  readonly sessions: Sessions
  readonly directory: Directory
  readonly store: Store
  readonly redirects: Redirects
  readonly pendingSeal: PendingSeal
  readonly states: States
  readonly clock: Clock
  readonly logger: Logger
  /** Tells the directory what the claims say; gives the end of a session that relies on them. */
  readonly admit: (
    provider: string,
    said: { readonly identity: Identity; readonly tokens: Tokens },
    live: Live,
    now: WallTime,
  ) => Promise<{ readonly expiresAt: WallTime }>
}

const INACTIVE = {
  error: 'access_denied',
  hint: 'account-inactive',
  waiting: 'in-vain',
  title: 'Your account is not active',
  whatToDo: 'The directory says that this account is not in use at the moment. Ask your administrator to activate it.',
}

export type Authenticate = ReturnType<typeof createAuthenticate>

export function createAuthenticate(deps: AuthenticateDeps) {
  const { idps, ownSessions, sessions, directory, store, redirects, pendingSeal, states, clock } = deps
  const failure = createFailure(deps)
  const exchangeCode = createCodeExchange(deps)
  const here = createSessionHere(deps)
  const atApplication = createAtApplication({ ...deps, here, failure })

  /** `AUTH/{prefix}/sign_in`. */
  async function signIn(request: ControlRequest): Promise<Reply> {
    const { query, chosen } = readChoice(request.facts.query)
    const link = linkOf(request, query)
    if (link.kind === 'refused') {
      const refused = new AppError('ERR_RETURN_URL', 'sign-in: the link is not signed by us, or leads elsewhere')
      return failure(request, refused)
    }
    if (link.kind === 'expired') return redirectReply(302, link.returnTo)
    const { asked } = link
    const session = asked.chooseAccount ? undefined : await here.active(request, asked.demand)
    if (!session) return askSomebody(request, asked, chosen)
    const ticket = ticketFor(request, asked)
    await ticket?.issue(session.id)
    return handOff(request, asked, ticket)
  }

  /** Where the link comes from: an application, our page after a sign-out, or nowhere (no query). */
  function linkOf({ generation: { fixed, routes } }: ControlRequest, query: URLSearchParams): SignInLink {
    if (query.size === 0) return { kind: 'good', asked: { returnTo: fixed.authenticateServiceUrl } }
    const state = only(query, 'state')
    if (state === undefined) return redirects.check(query, routes, clock.now())
    const next = states.afterSignOut.open(state)
    return next && routes.allowsReturn(next.returnTo)
      ? { kind: 'good', asked: { returnTo: next.returnTo, chooseAccount: next.stillAtProvider } }
      : { kind: 'refused' }
  }

  /** Goes to the only identity provider that will do, or to the one that the person chose; otherwise shows the page to choose. */
  async function askSomebody(
    request: ControlRequest,
    asked: SignInRequest,
    chosen?: string,
    again = false,
  ): Promise<Reply> {
    const { providers } = asked.demand ?? {}
    const [first, ...others] = idps.all.filter(({ name }) => providers?.includes(name) ?? true)
    if (!first) {
      // A reload brought a route that names a new provider, but providers are read at the start only.
      const missing = new AppError(
        'ERR_IDP_UNUSABLE',
        `sign-in: no provider is called ${providers?.join(' or ')} (yet)`,
      )
      return failure(request, missing, { tryAgain: asked.returnTo })
    }
    const usable = [first, ...others]
    const idp = usable.length === 1 ? first : usable.find(({ name }) => name === chosen)
    if (idp) return askProvider(request, idp, asked, again)
    const own = (await ownSessions.all(request)).flatMap((session) => idps.of(session) ?? [])
    const elsewhere = own.filter((each) => !usable.includes(each))
    return choicePage(request, usable, elsewhere, clock)
  }

  async function askProvider(
    request: ControlRequest,
    idp: IdentityProvider,
    { demand: asks = {}, ...asked }: SignInRequest,
    again = false,
  ): Promise<Reply> {
    const { live } = request.generation
    const now = clock.now()
    const wanted = live.groupsScope.includes(idp.name) ? ['groups'] : []
    const { chooseAccount = false } = asked
    // If this sign-in has to begin again, it begins at this provider.
    const demand: SignInDemand = { ...asks, providers: [idp.name] }
    const state = states.seal({ returnTo: asked.returnTo, again, demand })
    const begun = await idp
      .begin(AbortSignal.timeout(idp.timeout), { scopes: wanted, state, demand, chooseAccount })
      .catch(toAppError)
    if (begun instanceof AppError) return failure(request, begun, { tryAgain: asked.returnTo })
    const { returnTo, chooseAccount: _, ...binding } = asked
    const pending: Pending = {
      ...begun.pending,
      ...binding,
      demand,
      returnTo: returnTo.href,
      provider: idp.name,
      expiresAt: later(now, PENDING_LIFETIME),
    }
    const prefix = namesFor(request).pending
    const cookie = cookieHeader(request, prefix + flowTag(pending.state), pendingSeal.seal(pending), PENDING_LIFETIME)
    return redirectReply(302, begun.redirect, [...makeRoom(request, prefix), cookie])
  }

  /** `AUTH` + `authenticate_callback_path`. */
  async function idpCallback(request: ControlRequest): Promise<Reply> {
    const { facts, generation } = request
    const { fixed } = generation
    const state = only(new URLSearchParams(facts.query), 'state') ?? ''
    const name = namesFor(request).pending + flowTag(state)
    const [sealed] = readCookie(facts.cookie, name)
    const pending = sealed === undefined ? undefined : pendingSeal.open(sealed, clock.now())
    // Removed, whatever follows. A copy of it is of no use: the state is spent together with the code.
    const spent = cookieHeader(request, name, undefined)
    const idp = pending && idps.named(pending.provider)
    // A code that came to another provider's redirect URI must not be sent to this one (mix-up, RFC 9700 §4.4).
    if (!idp || facts.path !== idp.callbackPath || !constantTimeEqual(pending.state, state)) {
      const unknown = new AppError('ERR_SIGN_IN_STATE', 'callback: no sign-in of this browser waits for this state')
      return withoutPending(request, state, unknown)
    }

    const { returnTo, nonceHash, demand } = pending
    const tryAgain = new URL(returnTo)
    const callback = new URL(idp.callbackPath + facts.query, fixed.authenticateServiceUrl)
    const completed = await exchangeCode(idp, callback, pending, facts.clientIp, idp.timeout).catch(toAppError)
    if (completed instanceof AppError) {
      if (completed.code === 'ERR_SIGN_IN_STATE') return withoutPending(request, state, completed, [spent])
      // Refused before the state was spent: the same callback may still succeed.
      const unspent = completed.code === 'ERR_SIGN_IN_LIMIT' || completed.code === 'ERR_STORE_UNAVAILABLE'
      return failure(request, completed, { cookies: unspent ? [] : [spent], tryAgain })
    }

    const { identity, tokens } = completed
    const now = clock.now()
    const { expiresAt } = await deps.admit(idp.name, completed, generation.live, now)
    const person = personKey(identity)
    const { signInTimeout } = (fixed.idps.find(({ name }) => name === idp.name) ?? fixed.idps[0]).directory
    await directory.refresh(person, AbortSignal.timeout(signInTimeout))
    if (directory.status(person) === 'inactive') {
      const refused = new AppError('ERR_IDP_REJECTED', 'sign-in: the directory says that this account is not active', {
        details: INACTIVE,
      })
      return failure(request, refused, { cookies: [spent], tryAgain })
    }

    const asked: SignInRequest = {
      returnTo: new URL(returnTo),
      ...(demand && { demand }),
      ...(nonceHash !== undefined && { nonceHash }),
    }
    const unmet = demand && unmetBy({ identity, signedInAt: now }, demand, now)
    const ticket = unmet ? undefined : ticketFor(request, asked)
    const session = await sessionFor(request, idp, identity, tokens, expiresAt, ticket)
    const cookies = [spent, here.cookie(request, session)]
    // The session is good for other routes. For this one the person has to try again by hand, so that there is no redirect loop.
    if (unmet) return failure(request, insufficient(unmet), { cookies, tryAgain })
    return handOff(request, asked, ticket, cookies)
  }

  /**
   * A callback whose sign-in this browser does not hold: used, expired, or dropped in favour of newer tabs. Only the address
   * that we sealed into its state is used, and it is checked like any other link. The person is the one of the browser's
   * own session, so a planted callback signs nobody in (RFC 9700 §4.7), and its code is not spent. A state that is not ours
   * gives no address: whoever is signed in goes to the front page.
   */
  async function withoutPending(
    request: ControlRequest,
    state: string,
    error: AppError,
    cookies: readonly Header[] = [],
  ): Promise<Reply> {
    const { fixed, routes } = request.generation
    const wanted = states.open(state)
    const known = wanted && routes.allowsReturn(wanted.returnTo) ? wanted : undefined
    // The application will ask for a hand-off if it needs one.
    if (await here.active(request, known?.demand)) {
      return redirectReply(302, known?.returnTo ?? fixed.authenticateServiceUrl, cookies)
    }
    if (!known) return failure(request, error, { cookies })
    const { returnTo, again, demand } = known
    // Only once, and only in a browser that keeps our cookies: otherwise this would be a redirect loop.
    if (!again && isCrowded(request, namesFor(request).pending)) {
      return askSomebody(request, { returnTo, demand }, undefined, true)
    }
    return failure(request, error, { cookies, tryAgain: returnTo })
  }

  /**
   * Parallel tabs of one person share a session; another person's session at the same provider in this browser ends.
   * `ticket` is issued at the same moment, so that the store can commit both at once; its code is not known to anybody yet.
   */
  async function sessionFor(
    request: ControlRequest,
    idp: IdentityProvider,
    identity: Identity,
    tokens: Tokens,
    expiresAt: WallTime,
    ticket: Ticket | undefined,
  ): Promise<Session> {
    const { facts } = request
    const { sessionIdleTimeout: idle } = request.generation.live
    const from = {
      provider: idp.name,
      requestId: facts.id,
      userAgent: facts.userAgent,
      clientIp: facts.clientIp,
      ...(idle > 0 && { idleTimeout: idle }),
    }
    const create = () => sessions.create(identity, tokens, expiresAt, from, ticket?.issue)
    const before = (await ownSessions.all(request)).find((session) => idps.of(session) === idp)
    if (before?.person === personKey(identity)) {
      const renewing = sessions.renew(before, tokens, identity, expiresAt, from)
      const [renewed] = await Promise.all([renewing, ticket?.issue(before.id)])
      return renewed ?? create()
    }
    if (before) await sessions.revoke(before.id, 'replaced', facts.id)
    return create()
  }

  /** The hand-off of the session to the application. undefined: none is needed. */
  function ticketFor(request: ControlRequest, { returnTo, nonceHash, demand }: SignInRequest): Ticket | undefined {
    // The sign-in service has its session already.
    if (nonceHash === undefined || isAtAuthenticate(request, returnTo)) return undefined
    const handoff = { host: canonicalHost(returnTo), nonceHash, returnTo: returnTo.href, ...(demand && { demand }) }
    return newTicket(store, handoff, clock.now())
  }

  /** `ticket` has been issued. */
  function handOff(
    request: ControlRequest,
    { returnTo }: SignInRequest,
    ticket: Ticket | undefined,
    cookies: readonly Header[] = [],
  ): Reply {
    if (isAtAuthenticate(request, returnTo)) return here.enter(request, returnTo, cookies)
    if (!ticket) return redirectReply(302, returnTo, cookies)
    const location = new URL(`${request.generation.live.naming.controlPrefix}/callback`, returnTo)
    location.searchParams.set('code', ticket.code)
    return redirectReply(302, location, cookies)
  }

  const csrf = createCsrf(deps.keyRings)
  const signOut = createSignOut({ ...deps, csrf, leaving: createLeaving(deps), failure })
  return { ...atApplication, signIn, idpCallback, csrf, ...signOut }
}

/** As routing/target.ts writes a host: lower case, without port and trailing dot. */
function canonicalHost(url: URL): string {
  return url.hostname.replace(/\.$/, '')
}
