import { validator } from '../../lib/json-schema.ts'
import { EPOCH_MILLIS } from '../../lib/time.ts'
import type { Table } from '../../types.ts'
import type { Coverage } from '../view.ts'
import type { LogPosition } from './log.ts'

/** How far the feed has come; one record, written by whoever polls and read by all. */
export interface FeedRecord extends LogPosition, Coverage {
  /** More happened than the log tells one by one: the groups of policies are to be compared. */
  readonly comparisonDue: boolean
}

const RECORD = {
  type: 'object',
  required: ['lastPublished', 'since', 'upTo', 'comparisonDue'],
  additionalProperties: false,
  properties: {
    cursor: { type: 'string', pattern: '^/api/v1/logs\\?' },
    lastPublished: EPOCH_MILLIS,
    since: EPOCH_MILLIS,
    upTo: EPOCH_MILLIS,
    comparisonDue: { type: 'boolean' },
  },
} as const

type Stored = Omit<FeedRecord, 'cursor'> & { readonly cursor?: string }

/** The table of the one record; its key is the origin of the org. */
export function createFeedTable(): Table<FeedRecord> {
  const isStored = validator<Stored>(RECORD)
  return {
    name: 'directory-feed',
    parse: (value) => (isStored(value) ? { ...value, cursor: value.cursor } : undefined),
  }
}
