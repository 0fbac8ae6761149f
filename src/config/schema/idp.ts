import { z } from 'zod'
import { PROVIDERS } from '../providers.ts'
import { callTimeout, duration, flag, live, oneOf, orFile, text, textMap, url, words } from './fields.ts'
import { providersSchema } from './providers.ts'

/** Who signs people in: `idp_…` and `identity_providers`. */
export const idpKeys = {
  idp_provider: oneOf(...PROVIDERS)
    .default('okta')
    .describe('`oidc` is any OpenID Connect provider; other names are `oidc` with what that product needs.'),
  idp_provider_url: url
    .optional()
    .describe(
      'Okta org (`https://org.okta.com`), custom authorization server (`…/oauth2/default`) or issuer. Required, except for `google` and `gitlab`.',
    ),
  idp_internal_url: url
    .optional()
    .describe(
      'Address at which Postern itself reaches the issuer, if it differs from the address for browsers: discovery, token, keys and userinfo are asked there, and tokens name `idp_provider_url`.',
    ),
  idp_label: text
    .optional()
    .describe('What people see on the page where they choose among several. Default: the product, or the host.'),
  ...orFile(
    'idp_ca',
    "PEM bundle (or base64 of it) of the provider's own authorities, beside the system's and `certificate_authority`.",
  ),
  idp_allow_http: flag
    .default(false)
    .describe('The provider may be `http://` on a private network: secrets and codes cross it in the clear.'),
  idp_client_id: text.optional().describe('Client id of the application. Required.'),
  ...live({
    ...orFile('idp_client_secret', 'Client secret; leave it out for a public client.'),
    idp_client_auth: oneOf('basic', 'post', 'none')
      .optional()
      .describe('Client authentication at the token endpoint. Default: `basic` with a secret, `none` without.'),
  }),
  idp_scopes: words
    .prefault(['openid', 'profile', 'email', 'offline_access'])
    .describe('Scopes of the authorization request: a list, or text with spaces or commas.'),
  idp_request_params: textMap.default({}).describe('More parameters of the authorization request, e.g. `prompt`.'),
  idp_pushed_requests: flag
    .optional()
    .describe(
      'Push authorization requests (RFC 9126). Default: where the provider offers it, unless that fails or many sign-ins begin; `true`: always where it offers it; `false`: only where it requires it.',
    ),
  idp_allow_unverified_email: flag
    .default(false)
    .describe('Accept e-mail addresses that the provider says are not verified.'),
  idp_timeout: callTimeout.prefault('10s').describe('Timeout of one call to the identity provider.'),
  ...live({
    idp_service_account: z
      .union([text, z.looseObject({ api_key: z.string() })], { error: 'an Okta API token in one of its forms' })
      .optional()
      .meta({
        description: 'Okta API token: base64 of {"api_key": "…"}, that JSON, base64 of the token, or the token.',
        writeOnly: true,
      }),
    idp_service_account_file: text.optional().describe('Path of a file that holds `idp_service_account`.'),
  }),
  identity_providers: providersSchema
    .default({})
    .describe(
      'More identity providers, by name; without the keys `idp_…` the first of them is the default one. Their secrets are live, all else needs a restart.',
    ),
  idp_refresh_directory_interval: duration.optional().describe('Old name of `directory.refresh_interval`.'),
  idp_refresh_directory_timeout: callTimeout.optional().describe('Old name of `directory.okta.timeout`.'),
}
