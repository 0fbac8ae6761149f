import { validator } from '../../lib/json-schema.ts'
import type { Group, UserStatus } from '../model.ts'

/** The parts of Okta's records that are read (okta-api.md#users, #groups); anything more may come and go without notice. */
export interface OktaUser {
  readonly id: string
  readonly status: string
  /** ISO 8601. */
  readonly statusChanged?: string | null
  readonly lastUpdated?: string | null
}

export interface OktaGroup {
  readonly id: string
  readonly type: string
  readonly lastUpdated?: string | null
  /** Moves with every change of members. */
  readonly lastMembershipUpdated?: string | null
  readonly profile: { readonly name: string }
}

export interface OktaError {
  /** The only contractual part of an error body. */
  readonly errorCode: string
  /** For people, whatever it is. */
  readonly errorSummary?: unknown
  readonly errorCauses?: unknown
}

/**
 * Ids of people and groups. They become a part of a path, where anything else would address another resource, `me` and
 * logins included; and what cannot stand in a path makes undici's pool lose a connection for each call.
 */
const ID = '^[A-Za-z0-9_-]{1,100}$'
const ID_PATTERN = new RegExp(ID)

export function isOktaId(text: string): boolean {
  return ID_PATTERN.test(text)
}

const RECORD_ID = { type: 'string', pattern: ID } as const
const WORD = { type: 'string', minLength: 1, maxLength: 100 } as const
const DATE = { type: ['string', 'null'], maxLength: 40 } as const
const USER = {
  type: 'object',
  required: ['id', 'status'],
  properties: { id: RECORD_ID, status: WORD, statusChanged: DATE, lastUpdated: DATE },
} as const
const GROUP = {
  type: 'object',
  required: ['id', 'type', 'profile'],
  properties: {
    id: RECORD_ID,
    type: WORD,
    lastUpdated: DATE,
    lastMembershipUpdated: DATE,
    profile: {
      type: 'object',
      required: ['name'],
      properties: { name: { type: 'string', minLength: 1, maxLength: 1024 } },
    },
  },
} as const
const ERROR = { type: 'object', required: ['errorCode'], properties: { errorCode: WORD } } as const

export const isOktaUser = validator<OktaUser>(USER)
export const isOktaGroup = validator<OktaGroup>(GROUP)
export const isOktaError = validator<OktaError>(ERROR)

/**
 * Whose session lives on (okta-api.md#users): an expired password or a recovery stops the next sign-in, not this person.
 * Any other word, a new one too, is inactive.
 */
export function statusOf(text: string): UserStatus {
  return text === 'ACTIVE' || text === 'PASSWORD_EXPIRED' || text === 'RECOVERY' ? 'active' : 'inactive'
}

/** A type that we do not know may carry any name, like an imported group: rules match it by id only. */
export function toGroup({ id, type, profile }: OktaGroup): Group {
  return { id, name: profile.name, type: type === 'OKTA_GROUP' || type === 'BUILT_IN' ? type : 'APP_GROUP' }
}
