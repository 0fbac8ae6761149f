import { randomBytes } from 'node:crypto'
import { PRODUCTS } from '../../../src/config/providers.ts'
import { type Answers, domainOf, knownIssuer } from './answers.ts'

/** A file of the new configuration; its text is secret, or will be. */
export interface NewFile {
  readonly name: string
  readonly text: string
  readonly secret: boolean
}

export const CONFIG = 'config.yaml'
export const SHARED_SECRET = 'secrets/shared-secret'
export const CLIENT_SECRET = 'secrets/client-secret'
export const API_TOKEN = 'secrets/okta-api-token'

/** Everything that a first start needs. What only the provider knows is empty, for the person to paste. */
export function filesOf(answers: Answers): readonly [NewFile, ...NewFile[]] {
  const secret = (name: string, text = ''): NewFile => ({ name, text, secret: true })
  return [
    { name: CONFIG, text: configOf(answers), secret: false },
    secret(SHARED_SECRET, `${randomBytes(32).toString('base64')}\n`),
    secret(CLIENT_SECRET),
    ...(answers.provider === 'okta' ? [secret(API_TOKEN)] : []),
  ]
}

function configOf({ provider, providerUrl, authenticateUrl, app }: Answers): string {
  const { protocol, port } = new URL(authenticateUrl)
  return `# Written by \`postern init\`. Judge it with \`postern check --online ${CONFIG}\`, run it with \`postern run ${CONFIG}\`.

# The sign-in service: a host of its own, beside those of the applications.
authenticate_service_url: ${authenticateUrl}
shared_secret_file: ${SHARED_SECRET}

idp_provider: ${provider}
${knownIssuer(provider) === providerUrl ? '' : `idp_provider_url: ${scalar(providerUrl)}\n`}${clientOf(provider)}idp_client_secret_file: ${CLIENT_SECRET}
${provider === 'okta' ? OKTA_DIRECTORY : ''}
${protocol === 'https:' ? BEHIND_TLS : `address: 127.0.0.1:${port || 80}\n`}
# Applications get a signed identity in X-Postern-Jwt-Assertion.
pass_identity_headers: true

routes:
  - name: ${new URL(app.from).hostname.split('.')[0]}
    from: ${app.from}
    to: ${scalar(app.to)}
${ruleOf({ provider, providerUrl, authenticateUrl })}`
}

/** Keycloak's clients are called as one likes; elsewhere the provider gives the id. */
function clientOf(provider: Answers['provider']): string {
  return provider === 'keycloak' ? 'idp_client_id: postern\n' : 'idp_client_id: ""\n'
}

const OKTA_DIRECTORY = `# Groups are read from Okta's API and are fresh within seconds. Without this line they are those that the sign-in says.
idp_service_account_file: ${API_TOKEN}
`

const BEHIND_TLS = `# A load balancer or an ingress in front ends TLS, and speaks plain HTTP with Postern. Without one remove this line, and
# give certificate_file and certificate_key_file, or autocert: true.
insecure_server: true
address: :8080
`

/** Where anybody may have an account, who signed in is not yet one of the organisation. */
function ruleOf({ provider, providerUrl, authenticateUrl }: Omit<Answers, 'app'>): string {
  const product = PRODUCTS[provider]
  return product?.isOpen && product.issuer === providerUrl
    ? `    # Everybody in the world can sign in with ${product.name}.
    allowed_domains: [${domainOf(authenticateUrl)}]
`
    : `    # Or: allowed_groups: [Engineering], allowed_domains: [corp.example], or a policy.
    allow_any_authenticated_user: true
`
}

/** A text that YAML might read as something else is quoted. */
function scalar(text: string): string {
  return /^[\w.:/@-]+$/.test(text) ? text : JSON.stringify(text)
}
