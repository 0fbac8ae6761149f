import { expect, test } from 'vitest'
import { createAudit, sessionTag } from '../../../src/lib/audit.ts'
import { personKey } from '../../../src/lib/person.ts'
import { wallTime } from '../../../src/lib/time.ts'
import type { Session } from '../../../src/session/model.ts'

const identity = { issuer: 'https://org.okta.example', subject: '00ann', email: 'ann@corp.example', claims: {} }
const session: Session = {
  id: 'AAAAAAAAAAAAAAAAAAAAAA',
  person: personKey(identity),
  identity,
  provider: 'okta',
  createdAt: wallTime(0),
  signedInAt: wallTime(0),
  lastSeenAt: wallTime(0),
  expiresAt: wallTime(1),
  clientIp: '192.0.2.1',
  sealedTokens: 'sealed',
}

function linesOf(...events: readonly Parameters<ReturnType<typeof createAudit>>[0][]) {
  const lines: object[] = []
  const audit = createAudit({ audit: (fields, msg) => void lines.push({ ...fields, msg }) })
  for (const event of events) audit(event)
  return lines
}

test('each event is one line that names the session, the person and the reason, and holds no id', () => {
  const who = {
    session: sessionTag(session.id),
    user_id: '00ann',
    issuer: identity.issuer,
    provider: 'okta',
    email: identity.email,
    client_ip: '192.0.2.1',
  }
  const lines = linesOf(
    { event: 'session-begin', session, requestId: 'r1' },
    { event: 'session-renewed', session },
    { event: 'session-end', reason: 'signed-out', session },
    { event: 'session-end', reason: 'idle', session },
  )
  expect(lines).toEqual([
    { event: 'session-begin', ...who, request_id: 'r1', msg: 'signed in' },
    { event: 'session-renewed', ...who, request_id: undefined, msg: 'signed in again' },
    { event: 'session-end', reason: 'signed-out', ...who, request_id: undefined, msg: 'signed out' },
    { event: 'session-end', reason: 'idle', ...who, request_id: undefined, msg: 'session ended' },
  ])
  expect(JSON.stringify(lines)).not.toContain(session.id)
  expect(JSON.stringify(lines)).not.toContain('sealed')
})
