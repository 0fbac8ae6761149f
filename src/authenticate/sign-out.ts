/** Sign-out: a page with a button on GET, the deed on POST; here, on every other host, and at the provider. */
import { AppError } from '../errors.ts'
import { constantTimeEqual, deriveKey, mac } from '../lib/crypto.ts'
import type { Secret } from '../lib/secret.ts'
import { pageReply } from '../pages/render.ts'
import { redirectReply } from '../pages/reply.ts'
import type { Clock, IdentityProviders, Logger, Session, Sessions } from '../types.ts'
import type { Generation, Reply } from '../http/exchange.ts'
import { type ControlRequest, cookieHeader, namesFor } from './control-request.ts'
import type { Failure } from './failure.ts'
import { readForm } from './form.ts'
import { only } from './redirect.ts'

export interface SignOutDeps {
  readonly idps: Pick<IdentityProviders, 'of'>
  readonly sessions: Sessions
  readonly sharedSecrets: readonly [Secret, ...Secret[]]
  readonly clock: Clock
  readonly logger: Logger
  readonly failure: Failure
}

export function createSignOut({ idps, sessions, sharedSecrets, clock, failure }: SignOutDeps) {
  const csrfKeys = sharedSecrets.map((secret) => deriveKey(secret.reveal(), 'csrf'))
  const [signingKey] = csrfKeys as [Buffer]

  /** For the sign-out form of this session on this host. */
  function csrfToken(session: Session, host: string): string {
    return mac(signingKey, session.id, host)
  }

  /** Made with any of the secrets: a page that stood open during a rotation still signs out. */
  function isCsrfToken(token: string, session: Session, host: string): boolean {
    return csrfKeys.some((key) => constantTimeEqual(token, mac(key, session.id, host)))
  }

  async function signOut(request: ControlRequest): Promise<Reply> {
    const { facts, exchange, generation, origin } = request
    const { fixed, live } = generation
    const session = await sessions.read(facts.cookie, namesFor(request).session, facts.host, clock.now())
    const signedOut = live.signoutRedirectUrl ?? signedOutUrl(generation)
    const posted = facts.method === 'POST'
    if (!session) {
      // An application that was never opened knows no session, which says nothing about the others: AUTH knows.
      const atAuth = new URL(`${live.naming.controlPrefix}/sign_out`, fixed.authenticateServiceUrl)
      return redirectReply(posted ? 303 : 302, origin === atAuth.origin ? signedOut : atAuth)
    }
    if (!posted) {
      return pageReply(
        common(request),
        200,
        {
          kind: 'sign-out',
          email: session.identity.email ?? session.identity.subject,
          csrfToken: csrfToken(session, facts.host),
        },
        { formActionOrigins: signOutTargets(generation) },
      )
    }

    const form = await readForm(exchange)
    const token = form && only(form, 'csrf')
    const foreign = facts.origin !== undefined && facts.origin !== origin
    if (foreign || token === undefined || !isCsrfToken(token, session, facts.host)) {
      const refused = new AppError('ERR_BAD_REQUEST', 'sign-out: the form did not come from our page')
      return failure(request, refused, { tryAgain: new URL(`${live.naming.controlPrefix}/sign_out`, origin) })
    }
    const tokens = sessions.tokens(session)
    await sessions.revoke(session.id, 'signed-out', facts.id)
    // Signed out here in any case; a provider that cannot be asked keeps nobody signed in.
    const end =
      tokens &&
      (await idps
        .of(session)
        ?.signOutUrl(tokens.idToken, signedOut)
        .catch(() => undefined))
    return redirectReply(303, end ?? signedOut, [cookieHeader(request, namesFor(request).session, undefined)])
  }

  function signedOut(request: ControlRequest): Reply {
    const signInUrl = new URL(`${request.generation.live.naming.controlPrefix}/sign_in`, request.origin).href
    return pageReply(common(request), 200, { kind: 'signed-out', signInUrl })
  }

  function common({ facts, generation }: ControlRequest) {
    return { controlPrefix: generation.live.naming.controlPrefix, requestId: facts.id, now: clock.now() }
  }

  return { signOut, signedOut, csrfToken, isCsrfToken, signOutTargets }
}

/** Registered at the provider as a sign-out redirect URI. */
export function signedOutUrl({ fixed, live }: Pick<Generation, 'fixed' | 'live'>): URL {
  return new URL(`${live.naming.controlPrefix}/signed_out`, fixed.authenticateServiceUrl)
}

/** Where the answer to a sign-out form may lead, one redirect after the other. */
function signOutTargets({ fixed, live }: Generation): readonly string[] {
  return [
    fixed.authenticateServiceUrl.origin,
    ...fixed.idps.map(({ issuer }) => new URL(issuer).origin),
    ...(live.signoutRedirectUrl ? [live.signoutRedirectUrl.origin] : []),
  ]
}
