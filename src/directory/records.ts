import { Ajv } from 'ajv'
import type { Millis, Table } from '../types.ts'
import type { Known } from './merge.ts'

/** What is kept of one person across restarts and seen by all who share the store; the key is the subject. */
export interface DirectoryRecord extends Known {
  /** A record of another source is no answer: after a change of configuration its groups mean something else. */
  readonly source: string
  /** Our clock: what came in before is in doubt, and only a reading begun later settles it. */
  readonly doubtAt?: Millis
}

const RECORD = {
  type: 'object',
  required: ['source', 'status', 'statusText', 'groups', 'readAt'],
  additionalProperties: false,
  properties: {
    source: { type: 'string', minLength: 1 },
    status: { enum: ['active', 'inactive'] },
    statusText: { type: 'string' },
    asOf: { type: 'number' },
    readAt: { type: 'number' },
    upTo: { type: 'number' },
    statusAt: { type: 'number' },
    doubtAt: { type: 'number' },
    marks: {
      type: 'array',
      items: {
        type: 'object',
        required: ['group', 'member', 'at'],
        additionalProperties: false,
        properties: {
          group: { type: 'string', minLength: 1 },
          member: { type: 'boolean' },
          at: { type: 'number' },
          upTo: { type: 'number' },
        },
      },
    },
    groups: {
      type: 'array',
      items: {
        type: 'object',
        required: ['id', 'name', 'type'],
        additionalProperties: false,
        properties: {
          id: { type: 'string', minLength: 1 },
          name: { type: 'string', minLength: 1 },
          type: { enum: ['OKTA_GROUP', 'BUILT_IN', 'APP_GROUP', 'CLAIM'] },
        },
      },
    },
  },
} as const

type Stored = Omit<DirectoryRecord, 'asOf'> & { readonly asOf?: Millis }

export type DirectoryTable = Table<DirectoryRecord>

export function createDirectoryTable(): DirectoryTable {
  const isStored = new Ajv().compile<Stored>(RECORD)
  return {
    name: 'directory',
    parse: (value) => (isStored(value) ? { ...value, asOf: value.asOf } : undefined),
  }
}
