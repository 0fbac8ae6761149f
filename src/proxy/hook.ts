/** The HTTP side of Okta's event hooks: `/.postern/hooks/okta` on the host of the sign-in service. */
import { readBody } from '../lib/read-body.ts'
import { utf8Text } from '../lib/strict-json.ts'
import { jsonReply, textReply } from '../pages/reply.ts'
import type { EventHook } from '../directory/model.ts'
import type { Exchange, Reply } from '../http/exchange.ts'

/** Okta sends tens of events of a few kilobytes in one body. */
const MOST_BYTES = 4 * 1024 * 1024
const CHALLENGE = 'x-okta-verification-challenge'

const ANSWERS: Readonly<Record<ReturnType<EventHook['receive']>, readonly [status: number, text: string]>> = {
  ok: [204, ''],
  unauthorized: [401, 'the Authorization header is not the one that was configured\n'],
  malformed: [400, 'expected an event hook delivery of Okta as JSON\n'],
  'too-large': [413, 'too many events in one body\n'],
  busy: [503, 'too many deliveries at once, try again\n'],
}

/** GET verifies the endpoint, POST delivers events. Nothing of what was sent is echoed but the challenge. */
export async function answerHook(hook: EventHook, { head, body: sent }: Exchange): Promise<Reply> {
  if (head.method === 'POST') {
    const authorization = head.headers.first('authorization')
    // Whoever does not know the secret does not get to fill our memory.
    const body = hook.isAuthorized(authorization) ? await readBody(sent, MOST_BYTES) : Buffer.alloc(0)
    const outcome = body ? hook.receive(authorization, utf8Text(body) ?? '') : 'too-large'
    const [status, text] = ANSWERS[outcome]
    return textReply(status, text, [['cache-control', 'no-store']])
  }
  const verified = hook.verify(head.headers.first(CHALLENGE))
  return verified === undefined
    ? textReply(400, `expected the header ${CHALLENGE}\n`)
    : jsonReply(200, { verification: verified })
}
