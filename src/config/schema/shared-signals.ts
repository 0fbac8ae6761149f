import { z } from 'zod'
import { live, orFile, text, url } from './fields.ts'

/** A transmitter of the Shared Signals Framework, such as an Okta org. */
export const sharedSignalsSchema = z.strictObject(
  {
    issuer: url.optional().describe('Issuer of the events. Default: the origin of `idp_provider_url`, as at Okta.'),
    audience: text
      .optional()
      .describe(
        'What the events call us, `aud` of the stream. Default: the address that they are sent to, `…/.postern/ssf`, or its origin.',
      ),
    ...live(
      orFile(
        'authorization',
        'Value of the Authorization header that the sender shows, at least 16 characters. Without it nothing is taken.',
      ),
    ),
  },
  { error: 'a map such as {authorization_file: …}' },
)
