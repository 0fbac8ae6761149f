import { z } from 'zod'
import { callTimeout, duration, live, oneOf, orFile, text, texts, url } from './fields.ts'

const oktaSchema = z.strictObject(
  {
    url: url.optional().describe("Origin of Okta's API. Default: the origin of `idp_provider_url`."),
    ...live(orFile('api_token', 'SSWS API token of a read-only administrator.')),
    budget: z
      .number({ error: 'a number from 0.01 to 1' })
      .min(0.01, { error: 'a number from 0.01 to 1' })
      .max(1, { error: 'a number from 0.01 to 1' })
      .default(0.5)
      .describe('Share of each Okta rate limit that Postern may use.'),
    timeout: callTimeout.prefault('10s').describe('Timeout of one call to the API.'),
    log_interval: duration
      .prefault('10s')
      .describe("How often Okta's System Log is read; a change counts after this time."),
    ...live({
      ...orFile(
        'event_hook_secret',
        "Value of the Authorization header of Okta's event hook. With a hook, changes count at once.",
      ),
      client_id: text.optional().describe('Client id of an API Services app that reads Okta, instead of an API token.'),
      ...orFile('private_key', 'PEM private key of that app (or base64 of it).'),
      key_id: text.optional().describe('Id of that key in Okta (`kid`).'),
      scopes: texts
        .default(['okta.users.read', 'okta.groups.read', 'okta.logs.read'])
        .describe('Scopes that Okta has granted to that app.'),
    }),
  },
  { error: 'a map such as {url: …, api_token_file: …}' },
)

/** People that somebody wrote down. */
export const staticSchema = z.strictObject(
  {
    users: z.array(
      z.strictObject(
        {
          id: text.describe('The subject of the sign-in (`00u…`).'),
          login: text.optional().describe('A note for readers of the file; not used.'),
          email: text.optional().describe('A note for readers of the file; not used.'),
          status: oneOf('active', 'inactive').default('active').describe('`inactive`: this person has no access.'),
          groups: texts.default([]).describe('Names or ids of groups, as rules write them.'),
        },
        { error: 'a user: a map with `id` and `groups`' },
      ),
      { error: 'a list of users' },
    ),
  },
  { error: 'a map such as {users: [{id: 00u…, groups: [Engineering]}]}' },
)

/** `directory`: where people's groups and status come from. */
export const directorySchema = z.strictObject(
  {
    refresh_interval: duration
      .prefault('60s')
      .describe(
        "Age after which a signed-in person's groups are read again. With Okta's System Log nobody is: then the time within which a change that the log does not tell is found by comparing the groups that policies name, as far as the rate budget allows.",
      ),
    max_staleness: duration
      .prefault('1h')
      .describe('Age after which groups are unknown, and rules about groups answer 503.'),
    sign_in_timeout: callTimeout.prefault('5s').describe('How long a sign-in waits for groups.'),
    sources: z
      .array(oneOf('okta', 'scim', 'static'), { error: 'a list of okta, scim, static' })
      .optional()
      .describe('Order of the sources; the first one that has a person is used. Default: all that are configured.'),
    ...live(orFile('scim_token', 'Bearer token that Okta sends when it pushes people and groups (SCIM 2.0).')),
    static: z
      .union([text, staticSchema], { error: 'a map such as {users: [{id: 00u…, groups: [Engineering]}]}' })
      .optional()
      .describe('People and their groups in this file: a map, or YAML text of it.'),
    static_file: text.optional().describe('Path of a YAML file that holds `static`.'),
    okta: oktaSchema.prefault({}).describe("Okta's API."),
  },
  { error: 'a map such as {refresh_interval: 60s, okta: {…}}' },
)

export type StaticInput = z.output<typeof staticSchema>
