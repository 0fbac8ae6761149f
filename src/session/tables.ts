import { Ajv } from 'ajv'
import type { Session, Table } from '../types.ts'

/**
 * Members that we do not know are let pass: a newer instance beside this one may write them.
 * A change that an older instance would misread raises the store's schema number instead.
 */
const isSession = new Ajv({ strict: true }).compile<Session>({
  type: 'object',
  required: ['id', 'subject', 'identity', 'createdAt', 'expiresAt', 'sealedTokens'],
  properties: {
    id: { type: 'string', minLength: 22, maxLength: 22 },
    subject: { type: 'string', minLength: 1 },
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
    createdAt: { type: 'number' },
    expiresAt: { type: 'number' },
    sealedTokens: { type: 'string' },
  },
})

/** Sessions by id; the index is the subject. */
export const sessionsTable: Table<Session> = {
  name: 'sessions',
  parse: (value) => (isSession(value) && value.identity.subject === value.subject ? value : undefined),
  index: (session) => session.subject,
}
