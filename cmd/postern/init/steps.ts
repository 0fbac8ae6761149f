import type { Answers } from './answers.ts'
import { API_TOKEN, CLIENT_SECRET, CONFIG } from './files.ts'

/** Addresses to register, to the letter. */
export interface Uris {
  readonly redirect: string
  readonly signOut: string
  readonly backChannelLogout: string
}

/** What to click at the provider, a step a line; lines that begin with blanks belong to the step before. */
export function stepsAt(
  { provider, providerUrl }: Pick<Answers, 'provider' | 'providerUrl'>,
  uris: Uris,
): readonly string[] {
  const paste = (id: string, secret: string): readonly string[] => [
    `Copy ${id} into ${CONFIG} as idp_client_id`,
    `Copy ${secret} into ${CLIENT_SECRET}`,
  ]
  switch (provider) {
    case 'okta':
      return [
        `Open ${consoleOf(providerUrl)}, as an administrator`,
        'Applications > Applications > Create App Integration: "OIDC - OpenID Connect", "Web Application", Next',
        'Grant type: "Authorization Code" and "Refresh Token"',
        `  Sign-in redirect URIs    ${uris.redirect}`,
        `  Sign-out redirect URIs   ${uris.signOut}`,
        'Assignments: the groups that may sign in at all, or everyone. Save',
        ...paste('"Client ID"', 'the secret under "Client secrets"'),
        'Signed in as a service account with the role "Read-only Administrator": Security > API > Tokens > Create token',
        `Copy the token into ${API_TOKEN}`,
      ]
    case 'keycloak':
      return [
        `Open the admin console of ${providerUrl}, in its realm`,
        'Clients > Create client: client type "OpenID Connect", client ID "postern", Next',
        'Client authentication: On. Authentication flow: "Standard flow" alone. Next',
        `  Valid redirect URIs               ${uris.redirect}`,
        `  Valid post logout redirect URIs   ${uris.signOut}`,
        'Save. In the tab Settings, under "Logout settings":',
        `  Backchannel logout URL            ${uris.backChannelLogout}`,
        'Client scopes > postern-dedicated > Add mapper > By configuration > Group Membership:',
        '  Name and Token Claim Name "groups", "Full group path" Off',
        `Credentials: copy "Client Secret" into ${CLIENT_SECRET}`,
      ]
    case 'azure':
      return [
        'Open the Microsoft Entra admin center: App registrations > New registration',
        'Supported account types: "Accounts in this organizational directory only"',
        `  Redirect URI, of the platform "Web"   ${uris.redirect}`,
        'Register. Authentication > Web > Add URI:',
        `  for the sign-out                      ${uris.signOut}`,
        ...paste(
          '"Application (client) ID" of the Overview',
          'the Value of Certificates & secrets > New client secret',
        ),
        'Token configuration > Add groups claim > "Security groups": rules then name groups by their object id',
      ]
    case 'google':
      return [
        'Open the Google Cloud console, in a project of your organisation: Google Auth Platform > Get started',
        'Audience: "Internal", where your plan has it',
        'Clients > Create client: "Web application"',
        `  Authorized redirect URIs   ${uris.redirect}`,
        'Create',
        ...paste('"Client ID"', '"Client secret"'),
      ]
    default:
      return [
        `At ${providerUrl} make a client (an application) of the kind "web" or "confidential", for the authorization code flow with PKCE, and with refresh tokens where it asks`,
        `  Redirect URI (callback URL)          ${uris.redirect}`,
        `  Redirect URI after a sign-out        ${uris.signOut}`,
        `  Back-channel logout, where there is  ${uris.backChannelLogout}`,
        ...paste('its client id', 'its client secret'),
      ]
  }
}

/** `corp.okta.com` has its console at `corp-admin.okta.com`; who has a domain of their own knows where it is. */
function consoleOf(providerUrl: string): string {
  const { hostname } = new URL(providerUrl)
  const org = /^([\w-]+)\.(okta(?:preview|-emea)?\.com)$/.exec(hostname)
  return org ? `https://${org[1]}-admin.${org[2]}` : "your org's Admin Console"
}
