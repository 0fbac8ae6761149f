import { validator } from '../lib/json-schema.ts'
import { EPOCH_MILLIS } from '../lib/time.ts'
import { isIssuer, personKey } from '../lib/person.ts'
import type { Store, Table } from '../types.ts'
import type { Session } from './model.ts'

/** The person follows from the identity, so that the two cannot disagree. Older records lack the last two times. */
type StoredSession = Omit<Session, 'person' | 'signedInAt' | 'lastSeenAt'> &
  Partial<Pick<Session, 'signedInAt' | 'lastSeenAt'>>

/**
 * Members that we do not know are let pass: a newer instance beside this one may write them.
 * A change that an older instance would misread gets a table of its own.
 */
const isStored = validator<StoredSession>({
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
    provider: { type: 'string', minLength: 1 },
    createdAt: EPOCH_MILLIS,
    expiresAt: EPOCH_MILLIS,
    signedInAt: EPOCH_MILLIS,
    lastSeenAt: EPOCH_MILLIS,
    idleTimeout: { type: 'number', exclusiveMinimum: 0 },
    userAgent: { type: 'string', maxLength: 300 },
    clientIp: { type: 'string', maxLength: 64 },
    programs: { type: 'array', items: { type: 'string' } },
    sealedTokens: { type: 'string' },
    refresh: {
      type: 'object',
      required: ['dueAt', 'lapsesAt', 'failures'],
      properties: {
        dueAt: EPOCH_MILLIS,
        lapsesAt: EPOCH_MILLIS,
        failures: { type: 'integer', minimum: 0 },
        triedAt: EPOCH_MILLIS,
      },
    },
  },
})

/** Sessions by id; the index is the person. */
export const sessionsTable: Table<Session> = {
  name: 'sessions-by-person',
  parse: (value) =>
    isStored(value) && isIssuer(value.identity.issuer)
      ? { signedInAt: value.createdAt, lastSeenAt: value.createdAt, ...value, person: personKey(value.identity) }
      : undefined,
  format: (session) => ({ ...session, person: undefined }) satisfies StoredSession & { person: undefined },
  index: ({ person }) => person,
}

/**
 * Earlier versions kept sessions by subject alone, and the MAC of a cookie did not cover its name: no cookie opens these any
 * more. Nobody reads them, and they expire.
 */
const olderTable: Table<true> = { name: 'sessions', parse: () => true }

export async function hasOlderSessions(store: Store): Promise<boolean> {
  const { done } = await store.list(olderTable)[Symbol.asyncIterator]().next()
  return done !== true
}
