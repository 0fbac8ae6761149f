import { z } from 'zod'
import { integer, oneOf, orFile, text } from './fields.ts'

const NAME_FORMS = 'a map with one of dns, email, ip_address, uri, user_principal_name'

/** Client certificates (`downstream_mtls`). */
export const downstreamMtlsSchema = z.strictObject(
  {
    ...orFile(
      'ca',
      'PEM bundle (or base64 of it) of the authorities of client certificates, with their roots. With it clients are asked for a certificate.',
    ),
    ...orFile(
      'crl',
      'PEM lists (or base64 of them) of revoked certificates: with one, every authority of a chain needs one that is in date.',
    ),
    enforcement: oneOf('policy_with_default_deny', 'policy', 'reject_connection')
      .default('policy_with_default_deny')
      .describe(
        'Without a valid certificate: `policy_with_default_deny` refuses the request on every route (495), `policy` leaves it to rules, `reject_connection` closes the connection, of every host.',
      ),
    match_subject_alt_names: z
      .array(
        z
          .strictObject(
            {
              dns: text.optional(),
              email: text.optional(),
              ip_address: text.optional(),
              uri: text.optional(),
              user_principal_name: text.optional(),
            },
            { error: NAME_FORMS },
          )
          .refine((names) => Object.values(names).filter((pattern) => pattern !== undefined).length === 1, {
            error: NAME_FORMS,
          })
          .meta({ minProperties: 1, maxProperties: 1 }),
        { error: 'a list of {dns: …}, {email: …} and the like' },
      )
      .default([])
      .describe(
        'Names of which a certificate must have one, `{dns: RE2}`, `{email: …}`, `{ip_address: …}`, `{uri: …}`, `{user_principal_name: …}`: the expression matches all of the name. Default: whatever its names.',
      ),
    max_verify_depth: integer(0, 32)
      .default(1)
      .describe(
        'Longest chain from a certificate to one of `ca`: 1 is a certificate that one of these has signed itself; 0: no limit.',
      ),
  },
  { error: 'a map with ca, and perhaps crl, enforcement, match_subject_alt_names, max_verify_depth' },
)
