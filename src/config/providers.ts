/** Products that speak OpenID Connect, each with what its own documentation asks for. All of them are `oidc` otherwise. */
export interface Product {
  readonly name: string
  /** The issuer of everybody. */
  readonly issuer?: string
  /** What the issuer looks like, where everybody has one of their own. */
  readonly example?: string
  /** Unless `idp_scopes` is written. Without `offline_access` where the provider refuses a scope that it does not know. */
  readonly scopes?: readonly string[]
  /** Unless `idp_request_params` says otherwise. */
  readonly requestParams?: Readonly<Record<string, string>>
  /** What a rule about groups has to know when no directory is read. */
  readonly groups?: string
  /** Anybody may have an account at `issuer`. */
  readonly isOpen?: true
  /** Sign-out is not OpenID Connect's (RP-Initiated Logout). */
  readonly logout?: 'cognito'
}

const PLAIN_SCOPES = ['openid', 'profile', 'email']

export const PRODUCTS: Readonly<Partial<Record<string, Product>>> = {
  // developers.google.com/identity/openid-connect: refresh tokens by access_type, an unknown scope is refused.
  google: {
    name: 'Google',
    issuer: 'https://accounts.google.com',
    isOpen: true,
    scopes: PLAIN_SCOPES,
    requestParams: { access_type: 'offline', prompt: 'select_account consent' },
    groups: 'Google puts no groups into its tokens',
  },
  auth0: {
    name: 'Auth0',
    example: 'https://your-tenant.auth0.com',
    groups: 'Auth0 puts no groups into its tokens unless an Action adds a claim, whose name is a URL',
  },
  // learn.microsoft.com/entra/identity-platform/access-tokens: the overage claim.
  azure: {
    name: 'Entra ID',
    example: 'https://login.microsoftonline.com/your-tenant-id/v2.0',
    groups: 'Entra ID sends ids of groups, and none for people in more than 200',
  },
  onelogin: {
    name: 'OneLogin',
    example: 'https://your-company.onelogin.com/oidc/2',
    scopes: [...PLAIN_SCOPES, 'groups'],
  },
  // docs.gitlab.com/integration/openid_connect_provider: an unknown scope is refused.
  gitlab: { name: 'GitLab', issuer: 'https://gitlab.com', isOpen: true, scopes: PLAIN_SCOPES },
  ping: { name: 'PingOne', example: 'https://auth.pingone.com/your-environment-id/as' },
  // docs.aws.amazon.com/cognito/latest/developerguide: an unknown scope is refused; /logout has parameters of its own.
  cognito: {
    name: 'Cognito',
    example: 'https://cognito-idp.region.amazonaws.com/your-pool-id',
    scopes: PLAIN_SCOPES,
    groups: 'Cognito sends them in the claim "cognito:groups": write `groups_claim: cognito:groups`',
    logout: 'cognito',
  },
  keycloak: {
    name: 'Keycloak',
    example: 'https://keycloak.corp.example/realms/your-realm',
    groups: 'Keycloak sends no groups unless the client has a group mapper, which writes /paths with "Full group path"',
  },
}

export const PROVIDERS = [
  'okta',
  'oidc',
  'auth0',
  'azure',
  'cognito',
  'gitlab',
  'google',
  'keycloak',
  'onelogin',
  'ping',
] as const

export const HOSTED =
  "this is Pomerium's hosted sign-in, which works for Pomerium alone and would see everybody's codes: register an application with your own provider, and give sign-in a host of your own"

/** Values of `idp_provider` in Pomerium that cannot be had, and what to do. */
export const OTHER_PROVIDERS: Readonly<Record<string, string>> = {
  github: 'GitHub is OAuth 2 without OpenID Connect: put Dex, Keycloak or Okta between, as `oidc`',
  apple:
    'Apple posts its answer and wants a client secret that is signed again and again: put Keycloak or Okta between, as `oidc`',
  hosted: HOSTED,
}
