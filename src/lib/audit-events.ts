/** The events of the audit log and their fields: the compiler, docs/audit.md and the schema that tests hold lines to. */
import type { LogFields } from './log-fields.ts'

/** Changes when a field goes or means something else; new events and fields do not change it. */
export const AUDIT_SCHEMA = 1

interface Event {
  readonly text: string
  readonly always: readonly (keyof LogFields)[]
  readonly sometimes: readonly (keyof LogFields)[]
  /** Operators look for it in the log, wherever audit lines go. */
  readonly logged?: true
}

const PERSON = {
  always: ['session', 'user_id', 'issuer'],
  sometimes: ['provider', 'email', 'client_ip', 'request_id'],
} as const
const TOKEN = {
  always: ['token', 'service_account', 'expires_at', 'token_routes', 'methods', 'groups'],
  sometimes: ['operator'],
} as const

export const AUDIT_EVENTS = {
  configuration: {
    text: 'A configuration is in force from now on, or was not accepted (`outcome`). Names of keys and routes, never a secret; `problem` may quote what it refuses.',
    always: ['outcome', 'trigger'],
    sometimes: [
      'checksum',
      'routes',
      'summary',
      'changed',
      'routes_changed',
      'needs_restart',
      'problem',
      'error',
      'remedy',
    ],
    logged: true,
  },
  'session-begin': { text: 'Somebody signed in.', ...PERSON },
  'session-renewed': { text: 'The same person signed in again in the same browser; the session goes on.', ...PERSON },
  'session-end': {
    text: 'A session is over, for `reason`.',
    always: [...PERSON.always, 'reason'],
    sometimes: [...PERSON.sometimes, 'operator'],
  },
  'sign-in-failed': {
    text: 'A sign-in did not complete. Nobody knows yet who it was.',
    always: ['request_id', 'client_ip', 'error', 'error_message'],
    sometimes: ['idp_error', 'idp_error_description', 'hint', 'limit', 'cause', 'stack', 'remedy', 'repeated'],
    logged: true,
  },
  'program-allowed': {
    text: 'Somebody let a program sign in as them, at `host`.',
    always: [...PERSON.always, 'host'],
    sometimes: PERSON.sometimes,
  },
  'program-refused': {
    text: 'Somebody did not let a program sign in.',
    always: [...PERSON.always, 'host'],
    sometimes: PERSON.sometimes,
  },
  'program-signed-in': {
    text: 'A program got its token for `host`.',
    always: [...PERSON.always, 'host'],
    sometimes: PERSON.sometimes,
  },
  'token-create': { text: 'A service token was made.', ...TOKEN },
  'token-revoke': { text: 'A service token was revoked.', ...TOKEN },
  'lines-lost': { text: 'So many events before this one could not be written.', always: ['lines'], sometimes: [] },
} as const satisfies Readonly<Record<string, Event>>

type AuditEventName = keyof typeof AUDIT_EVENTS

/** One event; `schema` is added where it is written. */
export interface AuditFields extends LogFields {
  readonly event: AuditEventName
}
