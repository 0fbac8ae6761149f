import { Ajv } from 'ajv'
import type { Group } from './model.ts'
import type { SourceTime, Table, WallTime } from '../types.ts'
import type { Known } from './merge.ts'

/** What is kept of one person across restarts and seen by all who share the store; the key is the person's. */
export interface DirectoryRecord extends Known {
  /** A record of another source is no answer: after a change of configuration its groups mean something else. */
  readonly source: string
  /** Our clock: what came in before is in doubt, and only a reading begun later settles it. */
  readonly doubtAt?: WallTime
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
    forgottenUpTo: { type: 'number' },
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
        type: 'array',
        minItems: 2,
        maxItems: 3,
        items: [{ type: 'string', minLength: 1 }, { type: 'string' }, { enum: ['BUILT_IN', 'APP_GROUP', 'CLAIM'] }],
      },
    },
  },
} as const

/** A group in a store of 20,000 people with 20 groups each: as small as JSON can be. No type: `OKTA_GROUP`. */
type StoredGroup = readonly [id: string, name: string, type?: Exclude<Group['type'], 'OKTA_GROUP'>]

type Stored = Omit<DirectoryRecord, 'asOf' | 'groups'> & {
  readonly asOf?: SourceTime | undefined
  readonly groups: readonly StoredGroup[]
}

export function createDirectoryTable(): Table<DirectoryRecord> {
  // A pair or a triple.
  const isStored = new Ajv({ strictTuples: false }).compile<Stored>(RECORD)
  return {
    name: 'directory',
    format: (record) => ({ ...record, groups: record.groups.map(toStored) }) satisfies Stored,
    parse: (value) =>
      isStored(value) ? { ...value, asOf: value.asOf, groups: value.groups.map(fromStored) } : undefined,
  }
}

function toStored({ id, name, type }: Group): StoredGroup {
  return type === 'OKTA_GROUP' ? [id, name] : [id, name, type]
}

function fromStored([id, name, type]: StoredGroup): Group {
  return { id, name, type: type ?? 'OKTA_GROUP' }
}
