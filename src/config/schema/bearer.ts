import { z } from 'zod'
import { flag, oneOf, scalars, text, texts, url } from './fields.ts'

/** Pomerium's names. `default`: the header is the application's own. */
export const bearerFormat = oneOf('default', 'idp_access_token', 'idp_identity_token', 'jwt')

const AUDIENCES = 'an audience, or a list of audiences'
export const audiences = z
  .union([text, texts.min(1, { error: AUDIENCES })], { error: AUDIENCES })
  .transform((written): string[] => [written].flat())

const tokenIssuer = z.strictObject(
  {
    issuer: url.describe('`iss` of its tokens, exactly.'),
    jwks_url: url
      .optional()
      .describe('Where its keys are. Default: what `<issuer>/.well-known/openid-configuration` says.'),
    audience: audiences
      .optional()
      .describe('`aud` of tokens that are meant for us, or a list. A route may have its own.'),
    algorithms: z
      .array(oneOf('RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'), { error: 'a list of algorithms, [RS256]' })
      .min(1, { error: 'at least one algorithm' })
      .default(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'])
      .describe('Signatures that are accepted.'),
    required_claims: z
      .record(z.string(), scalars, { error: 'a map of claim names to lists of values' })
      .default({})
      .describe('Claims that every token must have, each with one of its values: `{repository_owner: [corp]}`.'),
    account_claim: text
      .default('sub')
      .describe('Claim that names the program, for policies (`service_account`) and the log.'),
    groups_claim: text.optional().describe('Claim with its groups. Default: it has none.'),
    allow_http: flag.default(false).describe('The keys may be read by `http://` on a private network.'),
  },
  { error: 'a map with `issuer` and `audience`' },
)

export const tokenIssuers = z.record(z.string().regex(/^[\w.-]{1,64}$/, { error: 'a name' }), tokenIssuer, {
  error: 'a map of names to issuers',
})

export type TokenIssuerInput = z.output<typeof tokenIssuer>
