import { z } from 'zod'
import { duration, flag, orFile, path, text, textMap, texts, url } from './fields.ts'

/** One entry of `routes:` (or of Pomerium's `policy:`). */
export const routeSchema = z.strictObject(
  {
    name: text.optional().describe('For people: pages, logs and messages. Default: host and path.'),
    from: url.describe(
      'External origin, `https://app.corp.example`; `*` stands for any run of characters in the host.',
    ),
    to: z
      .union([url, z.array(url).min(1, { error: 'at least one URL' })], { error: 'a URL, or a list of URLs' })
      .describe(
        'Upstream, `http://host:port`; several with `,weight` behind each. A path replaces the matched prefix.',
      ),
    prefix: path.optional().describe('Matches this path and everything below it, on segment boundaries.'),
    path: path.optional().describe('Matches exactly this path.'),
    regex: text.optional().describe('RE2 expression that the whole path must match.'),
    prefix_rewrite: path.optional().describe('Replaces the matched prefix on the way to the upstream.'),
    preserve_host_header: flag.default(false).describe("Send the client's Host instead of the upstream's."),
    set_request_headers: textMap.default({}).describe('Headers to set on the way to the upstream; wins over removing.'),
    remove_request_headers: texts.default([]).describe('Headers to remove on the way to the upstream.'),
    allow_request_headers: texts
      .default([])
      .describe(
        'Headers of other proxies that are believed here, such as `X-WEBAUTH-USER`; elsewhere they are removed, because clients forge them.',
      ),
    timeout: duration
      .optional()
      .describe('Until the response header of the upstream; 0 is none. Default: `default_upstream_timeout`.'),
    allow_websockets: flag.default(true).describe('WebSockets and other upgrades, judged like every request.'),
    allow_origins: texts
      .default([])
      .describe("More origins that may open a WebSocket, beside the route's own: `https://other.corp.example`."),
    pass_identity_headers: flag
      .optional()
      .describe('Send the signed identity and claim headers upstream. Default: the global key of this name.'),
    tls_skip_verify: flag.default(false).describe("Do not verify the upstream's certificate."),
    ...orFile('tls_custom_ca', "PEM bundle (or base64 of it) that replaces the system's authorities."),
    tls_server_name: text.optional().describe("Name to ask for and verify instead of the upstream's host."),
    tls_upstream_server_name: text.optional().describe('The same as `tls_server_name`, over which it wins.'),
    allow_public_unauthenticated_access: flag.default(false).describe('Everybody, without sign-in. Alone.'),
    allow_any_authenticated_user: flag.default(false).describe('Everybody who is signed in.'),
    allowed_users: texts.default([]).describe('User ids or e-mail addresses.'),
    allowed_groups: texts
      .default([])
      .describe('Group ids (`00g…`) or names; names match Okta groups and `Everyone`, never imported groups.'),
    allowed_domains: texts.default([]).describe('Domains of e-mail addresses.'),
    allowed_idp_claims: z
      .record(z.string(), texts, { error: 'a map of claim names to lists of values' })
      .default({})
      .describe('Claim → values, any of which is enough.'),
    max_directory_age: duration
      .optional()
      .describe(
        'Groups that were last known to be right longer ago than this are unknown here: 503 instead of access.',
      ),
    policy: z
      .unknown()
      .optional()
      .describe('PPL: `allow` and `deny` with `and`, `or`, `not`, `nor` lists of criteria.'),
  },
  { error: 'a route: a map with `from` and `to`' },
)

export type RouteInput = z.output<typeof routeSchema>
