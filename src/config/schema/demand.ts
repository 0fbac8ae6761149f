import { duration, words } from './fields.ts'

/** What a route asks of the sign-in itself. */
export const demandKeys = {
  acr_values: words
    .optional()
    .describe(
      'Authentication context classes of the identity provider, such as `phr`: whoever signed in with none of them is sent there to do so. Default: every sign-in will do.',
    ),
  max_auth_age: duration
    .optional()
    .describe(
      'Longest time since the person authenticated at the identity provider; after it they do so again. At least `1m`. Default: none.',
    ),
  max_session_age: duration
    .optional()
    .describe(
      'Longest time since the person signed in here, however long `cookie_expire` is; after it they sign in, and authenticate, again. At least `1m`. Default: none.',
    ),
}
