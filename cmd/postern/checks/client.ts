/** Is our client known to the provider: id, secret, redirect URIs, scopes? */
import { assertNever } from '../../../src/errors.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import type { AuthorizationAnswer, ClientInspection } from '../../../src/inspection.ts'
import type { Clock } from '../../../src/types.ts'
import type { Config, IdpConfig } from '../../../src/config/model.ts'
import { redirectUri, signOutUri } from '../commands/registration.ts'
import type { Finding } from '../finding.ts'
import { count } from '../text.ts'

/** Answers of a provider that takes the request, and nobody is signed in (OIDC Core §3.1.2.6). */
const NOBODY_IS_SIGNED_IN = new Set([
  'login_required',
  'interaction_required',
  'consent_required',
  'account_selection_required',
])

/** Of a provider that answers as this issuer. */
export async function checkClient(config: Config, idp: IdpConfig, clock: Clock): Promise<readonly Finding[]> {
  // Here and not above: what it brings with it is for those who ask.
  const { inspectClient } = await import('../../../src/inspection.ts')
  const client = {
    idp,
    redirectUri: new URL(redirectUri(config, idp)),
    signOutUri: new URL(signOutUri(config)),
    scopes: config.live.groupsScope.includes(idp.name) ? ['groups'] : [],
  }
  const found = await inspectClient(client, { clock, logger: silentLogger })
  return [
    judgeKeys(idp, found),
    ...judgeCredentials(idp, found),
    ...judgeAuthorization(idp, client.redirectUri.href, found),
    ...judgeSignOut(idp, client.signOutUri.href, found.signOut),
  ]
}

function judgeKeys({ issuer }: IdpConfig, { keys }: ClientInspection): Finding {
  const check = `signing keys of ${issuer}`
  if ('count' in keys && keys.count > 0) return { check, status: 'ok', message: count(keys.count, 'key') }
  const message = 'problem' in keys ? keys.problem : 'it publishes none, so every ID token would be refused'
  return { check, status: 'fail', message, remedy: 'see jwks_uri in its discovery document, and ask whoever runs it' }
}

function judgeCredentials(idp: IdpConfig, { token, authorization }: ClientInspection): readonly Finding[] {
  if (!token) return []
  const check = `client ${idp.clientId}`
  const isPublic = idp.clientAuth.kind === 'none'
  switch (token.kind) {
    case 'accepted':
      return [{ check, status: 'ok', message: `the provider accepts ${isPublic ? 'it' : 'its id and secret'}` }]
    case 'unknown':
      return [{ check, status: 'note', message: `cannot be proven before somebody signs in: ${token.problem}` }]
    case 'refused': {
      const { error, description } = token
      const said = description === '' ? error : `${error}: ${description}`
      const fail = (message: string, remedy: string): readonly Finding[] => [
        { check, status: 'fail', message: `${message} (${said})`, remedy },
      ]
      if (isAboutId(description) || (authorization.kind === 'refused' && authorization.about === 'client')) {
        return fail('the provider knows no such client', 'copy the Client ID of the application to idp_client_id')
      }
      if (/grant/i.test(description)) {
        return fail('it may not sign people in', 'allow the application the grant type Authorization Code')
      }
      // Where it was sent back, or only its address refused, it is known.
      const isKnown =
        authorization.kind === 'returned' ||
        (authorization.kind === 'refused' && authorization.about === 'redirect-uri')
      return isKnown && !isPublic
        ? fail(
            'the provider knows it, but does not accept its secret',
            'copy the client secret to idp_client_secret again; if it is right, see idp_client_auth',
          )
        : fail('the provider does not accept it', 'see idp_client_id, idp_client_secret and idp_client_auth')
    }
    default:
      return assertNever(token)
  }
}

/** Okta's words. */
function isAboutId(description: string): boolean {
  return /client_id/.test(description)
}

function judgeAuthorization(
  idp: IdpConfig,
  uri: string,
  { authorization: answer, token }: ClientInspection,
): readonly Finding[] {
  const check = `redirect URI ${uri}`
  switch (answer.kind) {
    case 'returned':
      return [{ check, status: 'ok', message: 'the provider knows it' }, ...judgeReturned(idp, answer)]
    case 'page':
      return [
        { check, status: 'note', message: 'the provider does not tell before somebody signs in', remedy: REGISTER },
      ]
    case 'unknown':
      return [{ check, status: 'note', message: `cannot be proven: ${answer.problem}`, remedy: REGISTER }]
    case 'refused':
      // Said of the client, where that could be asked.
      return answer.about === 'client' && token?.kind === 'refused'
        ? []
        : [{ check, status: 'fail', ...refusal(idp, answer) }]
    default:
      return assertNever(answer)
  }
}

const REGISTER = 'see that it is registered'

function refusal(
  { clientId, provider }: IdpConfig,
  { about, status }: Extract<AuthorizationAnswer, { kind: 'refused' }>,
): { readonly message: string; readonly remedy: string } {
  switch (about) {
    case 'redirect-uri':
      return {
        message: 'the provider does not know it, so no sign-in can end',
        remedy: `add it to the ${provider === 'okta' ? 'Sign-in redirect URIs' : 'redirect URIs'} of client ${clientId}, to the letter`,
      }
    case 'client':
      return { message: `the provider knows no client ${clientId}`, remedy: 'see idp_client_id' }
    case 'something else':
      return {
        message: `the provider answers ${status} to a sign-in`,
        remedy: `${REGISTER}, and the log of the provider`,
      }
    default:
      return assertNever(about)
  }
}

function judgeReturned(
  idp: IdpConfig,
  { error, description }: Extract<AuthorizationAnswer, { kind: 'returned' }>,
): readonly Finding[] {
  const check = `scopes of client ${idp.clientId}`
  const asked = ['openid', ...idp.scopes.filter((scope) => scope !== 'openid')].join(' ')
  if (NOBODY_IS_SIGNED_IN.has(error)) return [{ check, status: 'ok', message: `the provider grants ${asked}` }]
  const said = description === '' ? error : `${error}: ${description}`
  if (error === 'invalid_scope') {
    return [
      {
        check,
        status: 'fail',
        message: `the provider refuses one of ${asked} (${said})`,
        remedy: 'take it out of idp_scopes, or allow it at the authorization server',
      },
    ]
  }
  const remedy = 'see the settings of the application at the provider, idp_request_params, and the log of the provider'
  const signIn = `sign-in of client ${idp.clientId}`
  return error === ''
    ? [{ check: signIn, status: 'warn', message: 'it answers a sign-in of nobody', remedy }]
    : [{ check: signIn, status: 'fail', message: `it refuses every sign-in (${said})`, remedy }]
}

function judgeSignOut(idp: IdpConfig, uri: string, answer: AuthorizationAnswer | undefined): readonly Finding[] {
  if (!answer) return []
  const check = `sign-out URI ${uri}`
  if (answer.kind === 'refused' && answer.about === 'redirect-uri') {
    const remedy = `add it to the post-logout redirect URIs of client ${idp.clientId}, to the letter`
    return [
      { check, status: 'fail', message: 'the provider does not know it, so a sign-out ends at an error page', remedy },
    ]
  }
  if (answer.kind === 'returned' || answer.kind === 'page')
    return [{ check, status: 'ok', message: 'the provider has no objection' }]
  return [{ check, status: 'note', message: 'the provider does not tell without a session', remedy: REGISTER }]
}
