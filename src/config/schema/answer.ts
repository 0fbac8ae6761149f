import { z } from 'zod'
import { flag, integer, oneOf, path, text } from './fields.ts'

const CODE = 'one of 301, 302, 303, 307, 308'
/** A page of text, a robots.txt; more is an application. */
const MAX_BODY = 65_536

/** `redirect` of a route. */
export const redirectSchema = z.strictObject(
  {
    https_redirect: flag.default(false).describe('Redirect to https.'),
    scheme_redirect: oneOf('http', 'https').optional().describe('Scheme to redirect to.'),
    host_redirect: text.optional().describe('Host to redirect to, without a port.'),
    port_redirect: integer(1, 65_535)
      .optional()
      .describe("Port to redirect to. Default: the route's, or the scheme's."),
    path_redirect: path.optional().describe('Path to redirect to; with a query, instead of the query that was asked.'),
    prefix_rewrite: path.optional().describe('Path to redirect to instead of the matched prefix.'),
    response_code: z
      .literal([301, 302, 303, 307, 308], { error: CODE })
      .default(301)
      .describe('Status; 307 and 308 keep method and body.'),
    strip_query: flag.default(false).describe('Leave out the query.'),
  },
  { error: 'a map such as {host_redirect: new.corp.example}' },
)

/** `response` of a route. */
export const responseSchema = z.strictObject(
  {
    status: integer(200, 599).default(200).describe('Status of the answer.'),
    body: z
      .string({ error: 'text' })
      .max(MAX_BODY, { error: `at most ${MAX_BODY} characters` })
      .default('')
      .describe('Plain text of the answer.'),
  },
  { error: 'a map such as {status: 410, body: "This application is gone."}' },
)

export type RedirectInput = z.output<typeof redirectSchema>
export type ResponseInput = z.output<typeof responseSchema>
