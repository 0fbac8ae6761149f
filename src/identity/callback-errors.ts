/** Why a sign-in ended at the provider, as a closed list: stable in logs, with words of our own on the page. */
export type CallbackHint = keyof typeof EXPLANATIONS

export interface CallbackExplanation {
  readonly hint: CallbackHint
  readonly title: string
  /** For the person in front of the page; sentences, no markup. */
  readonly whatToDo: string
  /** Trying again brings the same until an administrator has changed something. */
  readonly waiting?: 'in-vain'
  /** For the log, where it is the set-up's fault and everybody's: what to do first. */
  readonly remedy?: string
}

const EXPLANATIONS = {
  'not-assigned': {
    waiting: 'in-vain',
    title: 'Your account has not been given access',
    whatToDo:
      'Your account works, but it is not assigned to this application at the identity provider. Ask your administrator to assign you, then try again. To use another account, sign out at the identity provider first.',
  },
  'policy-refused': {
    waiting: 'in-vain',
    title: 'The sign-in policy refused this sign-in',
    whatToDo:
      'No rule of the identity provider’s access policy allows it. Ask your administrator to check the access policy of the authorization server that this application uses.',
  },
  'scopes-refused': {
    waiting: 'in-vain',
    remedy: 'Allow `idp_scopes` in the access policy of the authorization server, or ask for fewer.',
    title: 'The sign-in policy refused this sign-in',
    whatToDo:
      'The identity provider granted none of the scopes that were asked for. Ask your administrator to allow them in the access policy.',
  },
  'network-zone': {
    title: 'You cannot sign in from this network',
    whatToDo:
      'The identity provider only accepts sign-ins from certain networks. Connect to your company network or VPN, then try again.',
  },
  cancelled: {
    title: 'The sign-in was cancelled',
    whatToDo: 'Nothing has happened. Try again when you are ready.',
  },
  'account-inactive': {
    waiting: 'in-vain',
    title: 'Your account is not active',
    whatToDo:
      'The identity provider says that this account is not in use at the moment. Ask your administrator to activate it.',
  },
  'account-unmatched': {
    title: 'Your account could not be found',
    whatToDo:
      'The sign-in worked, but it does not belong to an account of your organisation. Try another account, or ask your administrator.',
  },
  'access-denied': {
    title: 'The sign-in was refused',
    whatToDo:
      'The identity provider did not allow this sign-in. Try again, perhaps with another account. If that does not help, ask your administrator.',
  },
  expired: {
    title: 'The sign-in took too long',
    whatToDo: 'It has expired or was already used. Start again.',
  },
  'interaction-needed': {
    title: 'The identity provider needs you to sign in again',
    whatToDo: 'Try again. If you come back to this page, sign out at the identity provider first.',
  },
  'consent-needed': {
    title: 'Your agreement is needed',
    whatToDo:
      'The identity provider needs consent before it may pass on your details. Try again and accept, or ask your administrator to give consent for everyone.',
  },
  'stronger-sign-in': {
    title: 'A stronger sign-in is needed',
    whatToDo:
      'The application asks for a sign-in factor that your account does not have. Set one up at the identity provider, for example an authenticator app, then try again.',
  },
  'scope-missing': {
    waiting: 'in-vain',
    remedy: 'Compare `idp_scopes` with the scopes of the authorization server.',
    title: 'Sign-in is not set up correctly',
    whatToDo:
      'The identity provider does not know one of the scopes that were asked for. Ask your administrator to compare the configured scopes with those of the authorization server.',
  },
  'too-many-groups': {
    waiting: 'in-vain',
    title: 'You are in too many groups for this sign-in',
    whatToDo:
      'The identity provider gives up when its groups claim matches too many groups. Ask your administrator to narrow the filter of the groups claim.',
  },
  'claim-failed': {
    waiting: 'in-vain',
    title: 'Your account could not be read completely',
    whatToDo:
      'The identity provider could not work out one of the details of your account. Ask your administrator to check the claims of this application.',
  },
  'set-up-wrong': {
    waiting: 'in-vain',
    remedy:
      'Compare client id, secret, grant types and redirect URI with what the provider shows: `postern check --online`.',
    title: 'Sign-in is not set up correctly',
    whatToDo:
      'The identity provider does not accept the settings of this application. Ask your administrator to check the client id, the secret, the grant types and the redirect address.',
  },
  'provider-failed': {
    title: 'The identity provider had a problem',
    whatToDo: 'Try again in a minute. If it stays this way, tell your administrator.',
  },
  'provider-busy': {
    title: 'The identity provider is busy',
    whatToDo: 'It is overloaded or under maintenance. Try again in a few minutes.',
  },
  'bad-answer': {
    remedy: 'Compare what the log line says of the answer with the settings of this application at the provider.',
    title: 'The identity provider gave an answer that cannot be trusted',
    whatToDo: 'You have not been signed in. Try again. If it stays this way, tell your administrator.',
  },
  unknown: {
    title: 'The sign-in did not work',
    whatToDo: 'Try again. If it stays this way, tell your administrator.',
  },
} as const satisfies Record<string, Omit<CallbackExplanation, 'hint'>>

/** `error`, a piece of the description in lower case (`''`: any), hint. The first row that fits wins (okta-api.md#oauth-errors). */
const ROWS: readonly (readonly [error: string, piece: string, hint: CallbackHint])[] = [
  ['access_denied', 'not assigned to the client application', 'not-assigned'],
  ['access_denied', 'policy evaluation failed', 'policy-refused'],
  ['access_denied', 'requested scopes were rejected', 'scopes-refused'],
  ['access_denied', 'network zone', 'network-zone'],
  ['access_denied', 'canceled', 'cancelled'],
  ['access_denied', 'user status is invalid', 'account-inactive'],
  ['access_denied', 'could not match social profile', 'account-unmatched'],
  ['access_denied', '', 'access-denied'],
  ['login_required', 'request expired', 'expired'],
  ['login_required', '', 'interaction-needed'],
  ['interaction_required', '', 'interaction-needed'],
  ['account_selection_required', '', 'interaction-needed'],
  ['consent_required', '', 'consent-needed'],
  ['unmet_authentication_requirements', '', 'stronger-sign-in'],
  ['invalid_scope', '', 'scope-missing'],
  ['server_error', 'too many groups', 'too-many-groups'],
  ['server_error', 'claim could not be evaluated', 'claim-failed'],
  ['server_error', '', 'provider-failed'],
  ['temporarily_unavailable', '', 'provider-busy'],
  ['invalid_grant', '', 'expired'],
  ['invalid_request', '', 'set-up-wrong'],
  ['invalid_client', '', 'set-up-wrong'],
  ['unauthorized_client', '', 'set-up-wrong'],
  ['unsupported_response_type', '', 'set-up-wrong'],
  ['unsupported_grant_type', '', 'set-up-wrong'],
  ['bad_answer', '', 'bad-answer'],
]

/**
 * Words for an OAuth `error` and its `error_description`. The description only selects a row and is
 * never repeated here: it is the provider's text, and anybody may put one into a URL.
 */
export function explainCallbackError(error: string, description = ''): CallbackExplanation {
  const text = description.toLowerCase()
  const hint = ROWS.find(([code, piece]) => code === error && text.includes(piece))?.[2] ?? 'unknown'
  return { hint, ...EXPLANATIONS[hint] }
}
