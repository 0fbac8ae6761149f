/** An OAuth error as Okta words it (okta-api.md#oauth-errors). `status` is the one of the JSON form. */
export interface OAuthFault {
  readonly status: number
  readonly error: string
  readonly error_description: string
}

export const fault = (status: number, error: string, error_description: string): OAuthFault => ({
  status,
  error,
  error_description,
})

export const FAULTS = {
  notAssigned: fault(400, 'access_denied', 'User is not assigned to the client application.'),
  noPolicy: fault(
    401,
    'access_denied',
    'Policy evaluation failed for this request, please check the policy configurations.',
  ),
  denied: fault(403, 'access_denied', 'The resource owner or authorization server denied the request.'),
  notLoggedIn: fault(400, 'login_required', 'The client specified not to prompt, but the user is not logged in.'),
  needsLogin: fault(
    400,
    'login_required',
    'The client specified not to prompt, but the client app requires re-authentication or MFA.',
  ),
  unmetAcr: fault(
    400,
    'unmet_authentication_requirements',
    "Unable to meet the authentication requirements imposed by 'acr_values' parameter.",
  ),
  scope: fault(400, 'invalid_scope', 'One or more scopes are not configured for the authorization server resource.'),
  pkceRequired: fault(400, 'invalid_request', 'PKCE code challenge is required by the application.'),
  maxAge: fault(400, 'invalid_request', "Invalid value for 'max_age' parameter. It should be within range 0 - 2^31-1."),
  promptNoneMaxAge: fault(
    400,
    'invalid_request',
    "'prompt' parameter must not have the value 'none' for request with 'zero' as max_age.",
  ),
  state: fault(400, 'invalid_request', "The authentication request has an invalid 'state' parameter."),
  tooManyGroups: fault(
    400,
    'server_error',
    'The groups claim matched too many groups and must be configured to match fewer groups.',
  ),
  clientId: fault(400, 'invalid_client', "Invalid value for 'client_id' parameter."),
  redirectUri: fault(
    400,
    'invalid_request',
    "The 'redirect_uri' parameter must be a Login redirect URI in the client app settings.",
  ),
  postLogoutUri: fault(
    400,
    'illegal_post_logout_redirect_uri',
    "The 'post_logout_redirect_uri' parameter must be a Logout redirect URI in the client app settings.",
  ),
  idTokenHint: fault(400, 'invalid_id_token_hint', "The 'id_token_hint' parameter is missing or not valid."),
  otherSubject: fault(
    400,
    'id_token_does_not_match_session',
    "The 'id_token_hint' parameter does not match the current session.",
  ),
  code: fault(400, 'invalid_grant', 'The authorization code is invalid or has expired.'),
  pkce: fault(400, 'invalid_grant', 'PKCE verification failed.'),
  codeRedirect: fault(
    400,
    'invalid_grant',
    "The 'redirect_uri' does not match the redirection URI used in the authorization request.",
  ),
  otherClient: fault(
    400,
    'invalid_grant',
    "The grant was issued to another client. Please make sure the 'client_id' matches the one used at the authorize request.",
  ),
  refreshToken: fault(400, 'invalid_grant', 'The refresh token is invalid or expired.'),
  noCredentials: fault(401, 'invalid_client', 'No client credentials found.'),
  unknownClient: fault(401, 'invalid_client', "Invalid value for 'client_id' parameter."),
  clientSecret: fault(401, 'invalid_client', 'The client secret supplied for a confidential client is invalid.'),
  manyCredentials: fault(
    401,
    'invalid_request',
    'Cannot supply multiple client credentials. Use one of the following: credentials in the Authorization header, credentials in the post body, or a client_assertion in the post body.',
  ),
  queryCredentials: fault(400, 'invalid_request', 'Client credentials cannot be supplied via query parameters.'),
  browserGrant: fault(
    400,
    'invalid_request',
    'Browser requests to the token endpoint may only use the authorization_code grant_type.',
  ),
} as const satisfies Record<string, OAuthFault>

/** The parts of oidc-provider's errors that tell them apart. */
export interface ProviderFault {
  readonly status: number
  readonly error: string
  readonly description: string
  /** Its reason for the log. */
  readonly detail: string
}

/** By oidc-provider's reason or description: these are stable within a pinned version, and a table test pins them here. */
const BY_REASON: Readonly<Record<string, OAuthFault>> = {
  'authorization code not found': FAULTS.code,
  'authorization code is expired': FAULTS.code,
  'authorization code already consumed': FAULTS.code,
  'authorization code invalid (referenced account not found)': FAULTS.code,
  'grant not found': FAULTS.code,
  'grant is expired': FAULTS.code,
  'authorization code redirect_uri mismatch': FAULTS.codeRedirect,
  'client mismatch': FAULTS.otherClient,
  'code_verifier must be provided': FAULTS.pkce,
  'code_verifier does not match code_challenge': FAULTS.pkce,
  'unsupported code_challenge_method': FAULTS.pkce,
  'refresh token not found': FAULTS.refreshToken,
  'refresh token is expired': FAULTS.refreshToken,
  'refresh token already used': FAULTS.refreshToken,
  'refresh token invalid (referenced account not found)': FAULTS.refreshToken,
  'client not found': FAULTS.unknownClient,
  'invalid secret provided': FAULTS.clientSecret,
  'no client authentication mechanism provided': FAULTS.noCredentials,
  'the provided authentication mechanism does not match the registered client authentication method':
    FAULTS.noCredentials,
  'client authentication must only be provided using one mechanism': FAULTS.manyCredentials,
}

/** Grants that Okta has and an app may lack; any other grant is unknown to Okta. */
const GRANTS = new Set([
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'password',
  'implicit',
  'urn:ietf:params:oauth:grant-type:device_code',
  'urn:ietf:params:oauth:grant-type:token-exchange',
])

/** Okta's error for a failed call of /token, /introspect, /revoke or /par. */
export function tokenFault(
  from: ProviderFault,
  grant: { readonly asked: string; readonly configured: readonly string[] },
): OAuthFault {
  const configured = `Configured grant types: [${grant.configured.join(', ')}].`
  if (from.error === 'unsupported_grant_type' && !GRANTS.has(grant.asked)) {
    return fault(
      400,
      'unsupported_grant_type',
      `The authorization grant type is not supported by the authorization server. ${configured}`,
    )
  }
  if (
    from.error === 'unsupported_grant_type' ||
    from.description === 'requested grant type is not allowed for this client'
  ) {
    return fault(
      400,
      'unauthorized_client',
      `The client is not authorized to use the provided grant type. ${configured}`,
    )
  }
  if (from.description.startsWith('code_verifier ')) return FAULTS.pkce
  return BY_REASON[from.detail] ?? BY_REASON[from.description] ?? fault(from.status, from.error, from.description)
}
