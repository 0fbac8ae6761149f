import { Ajv } from 'ajv'
import type { Group, Millis, Table, UserStatus } from '../types.ts'
import type { Known } from './merge.ts'

/** What is kept of one person across restarts and seen by all who share the store; the key is the subject. */
export interface DirectoryRecord extends Known {
  /** A record of another source is no answer: after a change of configuration its groups mean something else. */
  readonly source: string
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

interface Stored {
  readonly source: string
  readonly status: UserStatus
  readonly statusText: string
  readonly groups: readonly Group[]
  readonly asOf?: Millis
  readonly readAt: Millis
}

export type DirectoryTable = Table<DirectoryRecord>

export function createDirectoryTable(): DirectoryTable {
  const isStored = new Ajv().compile<Stored>(RECORD)
  return {
    name: 'directory',
    parse: (value) => (isStored(value) ? { ...value, asOf: value.asOf } : undefined),
  }
}

/** One object for each group, however many people are in it: 20,000 people hold references, not copies. */
export function createGroupPool(): (groups: readonly Group[]) => readonly Group[] {
  const pool = new Map<string, Group>()
  return (groups) =>
    groups.map((group) => {
      const key = `${group.type} ${group.id}`
      const held = pool.get(key)
      if (held?.name === group.name) return held
      const kept: Group = { id: group.id, name: group.name, type: group.type }
      pool.set(key, kept)
      return kept
    })
}
