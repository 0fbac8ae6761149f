/** The HTTP side of the SCIM server: `/.postern/scim/v2/…` on the host of the sign-in service. */
import { readBody } from '../lib/read-body.ts'
import { utf8Text } from '../lib/strict-json.ts'
import type { Exchange, Reply, RequestFacts } from '../http/exchange.ts'
import type { ScimServer } from '../directory/model.ts'

/** The full push of a large group. */
const MOST_BYTES = 8 * 1024 * 1024

/** `base`: what the path begins with. The token is looked at before a body is read. */
export async function answerScim(
  scim: ScimServer,
  base: string,
  facts: RequestFacts,
  { head, body: sent }: Exchange,
): Promise<Reply> {
  const authorization = head.headers.first('authorization')
  const body = scim.isAuthorized(authorization) ? await readBody(sent, MOST_BYTES) : undefined
  const {
    status,
    headers,
    body: text,
  } = await scim.handle({
    method: facts.method,
    path: facts.path.slice(base.length),
    query: new URLSearchParams(facts.query),
    authorization,
    body: (body && utf8Text(body)) ?? '',
  })
  return { status, headers: [...Object.entries(headers), ['cache-control', 'no-store']], body: text }
}
