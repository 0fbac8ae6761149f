import { validator } from '../lib/json-schema.ts'
import type { SourceTime, Table, WallTime } from '../types.ts'
import { EPOCH_MILLIS } from '../lib/time.ts'
import { factsOf, type Facts, type Known, knownFrom } from './evidence.ts'
import type { Group } from './model.ts'

/** What is kept of one person across restarts and seen by all who share the store; the key is the person's. */
export interface DirectoryRecord extends Known {
  /** A record of another source is no answer: after a change of configuration its groups mean something else. */
  readonly source: string
  /** Our clock: what came in before is in doubt, and only a reading begun later settles it. */
  readonly doubtAt?: WallTime
}

const TIME = EPOCH_MILLIS
const GROUP = [
  { type: 'string', minLength: 1 },
  { type: 'string' },
  { enum: ['BUILT_IN', 'APP_GROUP', 'CLAIM'] },
] as const
const RECORD = {
  type: 'object',
  required: ['source', 'status', 'statusText', 'groups', 'readAt'],
  additionalProperties: false,
  properties: {
    source: { type: 'string', minLength: 1 },
    status: { enum: ['active', 'inactive'] },
    statusText: { type: 'string' },
    asOf: TIME,
    readAt: TIME,
    upTo: TIME,
    doubtAt: TIME,
    inactive: {
      type: 'object',
      required: ['at', 'statusText'],
      additionalProperties: false,
      properties: { at: TIME, statusText: { type: 'string' } },
    },
    groups: { type: 'array', items: { type: 'array', minItems: 2, maxItems: 3, items: GROUP } },
    removed: {
      type: 'array',
      items: { type: 'array', minItems: 2, maxItems: 2, items: [{ type: 'string', minLength: 1 }, TIME] },
    },
    added: { type: 'array', items: { type: 'array', minItems: 3, maxItems: 4, items: [TIME, ...GROUP] } },
  },
} as const

/** A group in a store of 20,000 people with 20 groups each: as small as JSON can be. No type: `OKTA_GROUP`. */
type StoredGroup = readonly [id: string, name: string, type?: Exclude<Group['type'], 'OKTA_GROUP'>]

/** The reading as it was, and what was told since. */
interface Stored extends Omit<Facts, 'asOf' | 'groups' | 'events'> {
  readonly source: string
  readonly asOf?: SourceTime
  readonly doubtAt?: WallTime
  readonly groups: readonly StoredGroup[]
  readonly removed?: readonly (readonly [group: string, at: SourceTime])[]
  readonly added?: readonly (readonly [at: SourceTime, ...group: StoredGroup])[]
}

export function createDirectoryTable(): Table<DirectoryRecord> {
  // A pair or a triple.
  const isStored = validator<Stored>(RECORD)
  return { name: 'directory', format, parse: (value) => (isStored(value) ? parse(value) : undefined) }
}

function format(record: DirectoryRecord): Stored {
  const { source, doubtAt } = record
  const { asOf, readAt, upTo, status, statusText, groups, events, inactive } = factsOf(record)
  const told = [...(events ?? [])]
  const added = told.flatMap(([, { at, group }]) => (group ? [[at, ...toStored(group)] as const] : []))
  const removed = told.flatMap(([id, { at, group }]) => (group ? [] : [[id, at] as const]))
  return {
    source,
    status,
    statusText,
    groups: groups.map(toStored),
    readAt,
    ...(asOf !== undefined && { asOf }),
    ...(upTo !== undefined && { upTo }),
    ...(doubtAt !== undefined && { doubtAt }),
    ...(inactive && { inactive: { at: inactive.at, statusText: inactive.statusText } }),
    ...(removed.length > 0 && { removed }),
    ...(added.length > 0 && { added }),
  }
}

function parse({ source, doubtAt, removed = [], added = [], asOf, ...stored }: Stored): DirectoryRecord {
  const given = added.map(([at, ...group]) => [group[0], { at, group: fromStored(group) }] as const)
  const events = new Map([...removed.map(([id, at]) => [id, { at }] as const), ...given])
  const known = knownFrom({ ...stored, asOf, groups: stored.groups.map(fromStored), events })
  return { source, ...known, ...(doubtAt !== undefined && { doubtAt }) }
}

function toStored({ id, name, type }: Group): StoredGroup {
  return type === 'OKTA_GROUP' ? [id, name] : [id, name, type]
}

function fromStored([id, name, type]: StoredGroup): Group {
  return { id, name, type: type ?? 'OKTA_GROUP' }
}
