/**
 * Programs that people run sign in with the person's browser (RFC 8252), and get a token for one host.
 *
 * 1. The program asks `ROUTE/{prefix}/api/v1/login` with the address that it listens on and a challenge (PKCE S256,
 *    RFC 7636). It gets the address to open in a browser.
 * 2. That is at AUTH, where no application's script can press the button: the person says yes, and the browser takes a
 *    one-time code to the program. A program that cannot listen gives no address, and the person copies the code.
 * 3. The program sends code and verifier to `ROUTE/{prefix}/api/v1/token`, and gets the token of that session for that host.
 *
 * Only the code is ever in an address, and it is worth nothing without the verifier.
 */
import { AppError } from '../errors.ts'
import type { Directory } from '../directory/model.ts'
import type { Reply } from '../http/exchange.ts'
import type { Audit } from '../lib/audit.ts'
import { constantTimeEqual, sha256 } from '../lib/crypto.ts'
import type { KeyRings } from '../lib/key-ring.ts'
import { elapsed, epochMillis, later } from '../lib/time.ts'
import { pageOf, pageReply } from '../pages/render.ts'
import { jsonReply, redirectReply, textReply } from '../pages/reply.ts'
import type { Clock, IdentityProviders, SignInDemand, Span, Store } from '../types.ts'
import type { Session, Sessions } from '../session/model.ts'
import { acceptedProviders } from './accepted.ts'
import { type ControlRequest, signInUrl } from './control-request.ts'
import type { OwnSessions } from './own-sessions.ts'
import type { Csrf } from './csrf.ts'
import { DEVICE_GRANT, type DeviceLogin } from './device-login.ts'
import type { Failure } from './failure.ts'
import { readForm } from './form.ts'
import { issueProgramCode, redeemProgramCode } from './program-code.ts'
import { programRedirect } from './program-redirect.ts'
import { only, type Redirects } from './redirect.ts'

/** From the program's question to the person's answer, a slow second factor included. */
const LOGIN_LIFETIME: Span = 30 * 60_000
/** RFC 7636 §4.1 and §4.2. */
const CHALLENGE = /^[\w-]{43}$/
const VERIFIER = /^[\w.~-]{43,128}$/
const MAX_STATE = 256

/** What a program asked for, sealed into the address that it opens. */
interface Asked {
  readonly origin: string
  readonly host: string
  readonly challenge: string
  /** Absent: the person copies the code. */
  readonly redirectUri?: string
  readonly state?: string
  /** Of the host's routes; absent: whichever. */
  readonly providers?: SignInDemand['providers']
  readonly expires: number
}

export interface ProgramLogin {
  /** `ROUTE/{prefix}/api/v1/login`. */
  begin(request: ControlRequest): Reply
  /** `AUTH/{prefix}/api/v1/login/confirm`. */
  confirm(request: ControlRequest): Promise<Reply>
  /** `ROUTE/{prefix}/api/v1/token`. */
  token(request: ControlRequest): Promise<Reply>
  /** `ROUTE/{prefix}/api/v1/device`: device-login.ts. */
  device(request: ControlRequest): Promise<Reply>
}

export function createProgramLogin(deps: {
  readonly sessions: Pick<Sessions, 'get' | 'programToken'>
  readonly ownSessions: OwnSessions
  readonly idps: Pick<IdentityProviders, 'of'>
  readonly directory: Pick<Directory, 'status'>
  readonly store: Store
  readonly redirects: Pick<Redirects, 'start'>
  readonly csrf: Csrf
  readonly keyRings: KeyRings
  readonly deviceLogin: DeviceLogin
  readonly failure: Failure
  readonly clock: Clock
  readonly audit: Audit
}): ProgramLogin {
  const {
    sessions,
    ownSessions,
    idps,
    directory,
    store,
    redirects,
    csrf,
    keyRings,
    deviceLogin,
    failure,
    clock,
    audit,
  } = deps
  const ring = keyRings('program login')

  function begin(request: ControlRequest): Reply {
    const { facts, generation, origin } = request
    const { fixed, live } = generation
    const query = new URLSearchParams(facts.query)
    const redirectName = live.compatibility === 'pomerium' ? 'pomerium_redirect_uri' : 'redirect_uri'
    if (
      ['redirect_uri', redirectName, 'code_challenge', 'code_challenge_method', 'state'].some(
        (name) => query.getAll(name).length > 1,
      )
    )
      return refused('each parameter once')
    const challenge = query.get('code_challenge') ?? ''
    if (query.get('code_challenge_method') !== 'S256' || !CHALLENGE.test(challenge))
      return refused(
        'expected code_challenge and code_challenge_method=S256 (RFC 7636); no token is ever put into an address',
      )
    const state = query.get('state') ?? undefined
    if (state !== undefined && state.length > MAX_STATE)
      return refused(`expected a state of at most ${MAX_STATE} characters`)
    const wanted = query.get('redirect_uri') ?? query.get(redirectName) ?? undefined
    const redirect =
      wanted === undefined ? undefined : programRedirect(wanted, live.programmaticRedirectDomainWhitelist)
    if (wanted !== undefined && !redirect)
      return refused(
        'expected a redirect_uri at http://127.0.0.1 or http://[::1], or at a host of programmatic_redirect_domain_whitelist',
      )
    const providers = acceptedProviders(request)
    const asked: Asked = {
      origin,
      host: facts.host,
      challenge,
      ...(redirect && { redirectUri: redirect.href }),
      ...(state !== undefined && { state }),
      ...(providers && { providers }),
      expires: epochMillis(later(clock.now(), LOGIN_LIFETIME)),
    }
    const address = new URL(`${live.naming.controlPrefix}/api/v1/login/confirm`, fixed.authenticateServiceUrl)
    address.searchParams.set('request', ring.seal(JSON.stringify(asked), CONTEXT))
    return textReply(200, `${address.href}\n`, NO_STORE)
  }

  async function confirm(request: ControlRequest): Promise<Reply> {
    const { facts, generation, origin } = request
    const sealed = only(new URLSearchParams(facts.query), 'request')
    const asked = sealed === undefined ? undefined : openAsked(sealed)
    if (!asked || !generation.routes.allowsReturn(new URL(asked.origin))) {
      return failure(request, new AppError('ERR_RETURN_URL', 'program login: the address is not ours, or too old'))
    }
    const sent = facts.method === 'POST' ? await csrf.read(request) : undefined
    const own = await ownSessions.all(request)
    const { providers } = asked
    const session = own.find(
      (each) =>
        directory.status(each.person) !== 'inactive' && (providers?.includes(idps.of(each)?.name ?? '') ?? true),
    )
    if (!session) {
      // What a form sent is lost: the person is asked again.
      const here = { returnTo: origin + facts.path + facts.query, demand: providers && { providers } }
      return redirectReply(303, redirects.start(here, signInUrl(request), clock.now()).location)
    }
    if (!sent) {
      return pageReply(
        common(request),
        200,
        {
          kind: 'program-login',
          person: session.identity.email ?? session.identity.subject,
          application: asked.host,
          ...(asked.redirectUri !== undefined && { program: new URL(asked.redirectUri).host }),
          until: session.expiresAt,
          csrfToken: csrf.token(session, facts.host),
        },
        { formActionOrigins: [] },
      )
    }

    // An application's page is another origin, and cannot read the token.
    if (!sent.isFrom(session)) {
      return failure(request, new AppError('ERR_BAD_REQUEST', 'program login: the form did not come from our page'))
    }
    const allowed = only(sent.fields, 'answer') === 'allow'
    const { host, challenge, redirectUri, state } = asked
    audit({ event: allowed ? 'program-allowed' : 'program-refused', session, host, requestId: facts.id })
    const code = allowed
      ? await issueProgramCode(store, { sessionId: session.id, host, challenge }, clock.now())
      : undefined
    if (redirectUri === undefined) {
      return pageReply(common(request), 200, { kind: 'program-done', ...(code !== undefined && { code }) })
    }
    const back = new URL(redirectUri)
    if (code === undefined) back.searchParams.set('error', 'access_denied')
    else back.searchParams.set('code', code)
    if (state !== undefined) back.searchParams.set('state', state)
    // Not a redirect: `form-action` would have to name the program's address, and has no words for [::1].
    const headers = [['refresh', `0;url=${back.href}`]] as const
    return pageReply(common(request), 200, { kind: 'program-done', back: back.href }, { headers })
  }

  async function token(request: ControlRequest): Promise<Reply> {
    const form = await readForm(request.exchange)
    const grant = form && only(form, 'grant_type')
    const deviceCode = form && only(form, 'device_code')
    if (form && grant === DEVICE_GRANT && deviceCode !== undefined) {
      const polled = await deviceLogin.poll(request, deviceCode)
      return 'status' in polled ? polled : tokenOf(request, polled)
    }
    const code = form && only(form, 'code')
    const verifier = form && only(form, 'code_verifier')
    if (grant !== 'authorization_code' || code === undefined || verifier === undefined)
      return refused('expected a form with grant_type=authorization_code, code and code_verifier')
    // Spent in any case: nobody gets a second guess.
    const granted = await redeemProgramCode(store, code, request.facts.host)
    const proven = granted && VERIFIER.test(verifier) && constantTimeEqual(sha256(verifier), granted.challenge)
    const session = proven ? await sessions.get(granted.sessionId) : undefined
    if (!session || session.expiresAt <= clock.now() || directory.status(session.person) === 'inactive') return OVER
    return tokenOf(request, session)
  }

  /** RFC 6749 §5.1. */
  async function tokenOf({ facts }: ControlRequest, session: Session): Promise<Reply> {
    const issued = await sessions.programToken(session.id, facts.host)
    if (issued === undefined) return OVER
    audit({ event: 'program-signed-in', session, host: facts.host, requestId: facts.id })
    return jsonReply(200, {
      access_token: issued,
      token_type: 'Bearer',
      expires_in: Math.floor(elapsed(session.expiresAt, clock.now()) / 1000),
    })
  }

  function openAsked(sealed: string): Asked | undefined {
    const text = ring.open(sealed, CONTEXT)
    // Sealed by us: what opens is what `begin` wrote.
    const asked = text === undefined ? undefined : (JSON.parse(text) as Asked)
    return asked && asked.expires > epochMillis(clock.now()) ? asked : undefined
  }

  function common({ facts, generation }: ControlRequest) {
    return pageOf(generation, facts.id, clock.now())
  }

  return { begin, confirm, token, device: (request) => deviceLogin.begin(request) }
}

const CONTEXT = 'program login'
const NO_STORE = [['cache-control', 'no-store']] as const

const OVER = jsonReply(400, {
  error: 'invalid_grant',
  error_description: 'the code is unknown, used, too old, or of another program or host',
})

/** RFC 6749 §5.2. */
function refused(description: string): Reply {
  return jsonReply(400, { error: 'invalid_request', error_description: description })
}
