/** The HTTP side of Okta's event hooks: `/.postern/hooks/okta` on the authenticate host. */
import type { IncomingMessage } from 'node:http'
import { jsonReply, textReply } from '../pages/reply.ts'
import type { EventHook, Reply } from '../types.ts'

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
export async function answerHook(hook: EventHook, method: string, req: IncomingMessage): Promise<Reply> {
  if (method === 'POST') {
    const body = await readBody(req)
    const outcome = body === undefined ? 'too-large' : hook.receive(req.headers.authorization, body)
    const [status, text] = ANSWERS[outcome]
    return textReply(status, text, [['cache-control', 'no-store']])
  }
  const challenge = req.headers[CHALLENGE]
  const verified = hook.verify(typeof challenge === 'string' ? challenge : undefined)
  return verified === undefined
    ? textReply(400, `expected the header ${CHALLENGE}\n`)
    : jsonReply(200, { verification: verified })
}

/** undefined: longer than it may be. What is too long is read and dropped, so that the answer arrives. */
function readBody(req: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  return new Promise((resolve) => {
    req.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= MOST_BYTES) chunks.push(chunk)
      else resolve(undefined)
    })
    req.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    req.once('close', () => resolve(undefined))
  })
}
