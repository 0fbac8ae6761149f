import { Ajv } from 'ajv'
import { EPOCH_MILLIS } from '../lib/time.ts'
import { isIssuer, personKey } from '../lib/person.ts'
import type { Session, Store, Table } from '../types.ts'

/** The person follows from the identity, so that the two cannot disagree. */
type StoredSession = Omit<Session, 'person'>

/**
 * Members that we do not know are let pass: a newer instance beside this one may write them.
 * A change that an older instance would misread gets a table of its own.
 */
const isStored = new Ajv({ strict: true }).compile<StoredSession>({
  type: 'object',
  required: ['id', 'identity', 'createdAt', 'expiresAt', 'sealedTokens'],
  properties: {
    id: { type: 'string', minLength: 22, maxLength: 22 },
    identity: {
      type: 'object',
      required: ['issuer', 'subject', 'claims'],
      properties: {
        issuer: { type: 'string' },
        subject: { type: 'string', minLength: 1 },
        email: { type: 'string' },
        name: { type: 'string' },
        claims: { type: 'object' },
      },
    },
    createdAt: EPOCH_MILLIS,
    expiresAt: EPOCH_MILLIS,
    sealedTokens: { type: 'string' },
  },
})

/** Sessions by id; the index is the person. */
export const sessionsTable: Table<Session> = {
  name: 'sessions-by-person',
  parse: (value) =>
    isStored(value) && isIssuer(value.identity.issuer) ? { ...value, person: personKey(value.identity) } : undefined,
  format: (session) => ({ ...session, person: undefined }) satisfies StoredSession & { person: undefined },
  index: ({ person }) => person,
}

/** Until 0.1 the index was the subject, whoever issued it, and the subject stood in the record a second time. */
const olderTable: Table<Session> = {
  name: 'sessions',
  parse(value) {
    const session = sessionsTable.parse(value)
    return session && 'subject' in session && session.subject === session.identity.subject ? session : undefined
  },
}

/**
 * Moves the sessions that an older Postern left, so that nobody is signed out by an upgrade, and gives them. Each is taken
 * before it is written: a crash in between ends a session, and one that was revoked meanwhile never comes back.
 */
export async function moveOlderSessions(store: Store): Promise<readonly Session[]> {
  const moved: Session[] = []
  for await (const [id] of store.list(olderTable)) {
    const session = await store.take(olderTable, id)
    if (!session) continue
    const { id: own, person, identity, createdAt, expiresAt, sealedTokens } = session
    if (own !== id) continue
    const current: Session = { id, person, identity, createdAt, expiresAt, sealedTokens }
    if (await store.put(sessionsTable, id, current, { ifVersion: 0, expiresAt })) moved.push(current)
  }
  return moved
}
