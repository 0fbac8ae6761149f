import { z } from 'zod'
import { PROVIDERS } from '../providers.ts'
import { directorySchema } from './directory.ts'
import { callTimeout, flag, live, oneOf, orFile, text, textMap, url, words } from './fields.ts'

/** `identity_providers.NAME`: what the keys `idp_…` say of the default provider, without `idp_`. */
export const providerSchema = z.strictObject(
  {
    provider: oneOf(...PROVIDERS)
      .default('oidc')
      .describe('As `idp_provider`; `oidc` is any OpenID Connect provider.'),
    label: text
      .optional()
      .describe('What people see on the page where they choose. Default: the product, or the host.'),
    url: url
      .optional()
      .describe('Okta org or issuer, as `idp_provider_url`. Required, except for `google` and `gitlab`.'),
    internal_url: url
      .optional()
      .describe('Address at which Postern reaches the issuer, where browsers use another one, as `idp_internal_url`.'),
    allow_http: flag.default(false).describe('`http://` on a private network, as `idp_allow_http`.'),
    ...orFile('ca', "PEM bundle (or base64 of it) of this provider's own authorities, as `idp_ca`."),
    client_id: text.optional().describe('Client id of the application. Required.'),
    ...live({
      ...orFile('client_secret', 'Client secret; leave it out for a public client.'),
      client_auth: oneOf('basic', 'post', 'none')
        .optional()
        .describe('Client authentication at the token endpoint. Default: `basic` with a secret, `none` without.'),
    }),
    scopes: words
      .prefault(['openid', 'profile', 'email', 'offline_access'])
      .describe('Scopes of the authorization request: a list, or text with spaces or commas.'),
    request_params: textMap.default({}).describe('More parameters of the authorization request, e.g. `prompt`.'),
    pushed_requests: flag.optional().describe('Push authorization requests (RFC 9126), as `idp_pushed_requests`.'),
    allow_unverified_email: flag
      .default(false)
      .describe('Accept e-mail addresses that the provider says are not verified.'),
    timeout: callTimeout.prefault('10s').describe('Timeout of one call to the provider.'),
    directory: directorySchema
      .prefault({})
      .describe('Source of the groups and status of its people, as `directory` of the default provider.'),
  },
  { error: 'a provider: a map such as {url: https://login.partner.example, client_id: …}' },
)

/** More providers, or all of them, by name. */
export const providersSchema = z.record(z.string(), providerSchema, {
  error: 'a map of names to providers, such as {partners: {url: …, client_id: …}}',
})

export type ProviderInput = z.output<typeof providerSchema>
