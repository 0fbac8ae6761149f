import type { DirectoryHealth } from '../directory/model.ts'
import { describeDuration } from '../lib/duration.ts'
import type { Span, WallTime } from '../types.ts'
import type { Registry } from './registry.ts'
import { elapsed, epochMillis } from '../lib/time.ts'

type Failure = NonNullable<DirectoryHealth['lastError']>

/** What the directory knows about itself, as far as it is exported; ages are spans. */
export interface DirectoryState {
  readonly people: number
  readonly staleness: Span | undefined
  /** Up to when the feed has told of everything, on our clock. */
  readonly coverage: { readonly upTo: WallTime } | undefined
  readonly skipped: number
  readonly feed:
    | {
        readonly mode: 'log' | 'delta'
        readonly leading: boolean
        readonly lastSuccess: WallTime | undefined
        readonly lastError: Failure | undefined
      }
    | undefined
  readonly buckets: readonly {
    readonly name: string
    readonly limit: number
    readonly remaining: number
    readonly allowance: number
  }[]
  readonly calls: readonly { readonly bucket: string; readonly status: number; readonly count: number }[]
}

/** One line for people: `fresh 3 seconds ago; feed by log, 4 seconds behind; 540 of 600 calls left in /api/v1/users`. */
export function describeDirectory({ staleness, feed, coverage, buckets }: DirectoryState, now: WallTime): string {
  const [lowest] = buckets.toSorted((left, right) => left.remaining / left.limit - right.remaining / right.limit)
  const behind = coverage
    ? `${describeDuration(Math.max(0, elapsed(now, coverage.upTo)))} behind`
    : 'not at its end yet'
  return [
    staleness === undefined ? 'not read yet' : `fresh ${describeDuration(staleness)} ago`,
    ...(feed ? [`feed by ${feed.mode === 'log' ? 'log' : 'lists'}, ${behind}`] : []),
    ...(lowest ? [`${lowest.remaining} of ${lowest.limit} calls left in ${lowest.name}`] : []),
  ].join('; ')
}

/** Okta's buckets are a dozen names at the most, statuses a handful: the labels are bounded. */
export function exportDirectory(metrics: Registry, state: () => DirectoryState): void {
  metrics.gauge('directory_people', 'People whose groups are in memory.', () => state().people, 'max')
  metrics.gauge(
    'directory_staleness_seconds',
    'Seconds since the groups in memory were known to be up to date.',
    () => {
      const { staleness } = state()
      return staleness === undefined ? undefined : staleness / 1000
    },
    'max',
  )
  metrics.gauge(
    'directory_feed_last_success_timestamp_seconds',
    'Unix time at which this process last read the change feed.',
    () => {
      const at = state().feed?.lastSuccess
      return at === undefined ? undefined : epochMillis(at) / 1000
    },
    'max',
  )
  metrics.gauges(
    'directory_feed_info',
    '1 for the source of changes (log or delta). Label leading: this process reads it.',
    ['mode', 'leading'],
    () => {
      const { feed } = state()
      return feed ? [[[feed.mode, String(feed.leading)], 1]] : []
    },
    'max',
  )
  metrics.gauges(
    'directory_rate_limit_limit',
    'Rate limit of Okta in calls a minute, by bucket.',
    ['endpoint'],
    () => state().buckets.map(({ name, limit }) => [[name], limit] as const),
    'max',
  )
  metrics.gauges(
    'directory_rate_limit_remaining',
    'Calls left of the rate limit of Okta in this minute, by bucket.',
    ['endpoint'],
    () => state().buckets.map(({ name, remaining }) => [[name], remaining] as const),
    'min',
  )
  metrics.gauges(
    'directory_rate_limit_allowance',
    'Calls a minute that Postern may use of the rate limit, by bucket.',
    ['endpoint'],
    () => state().buckets.map(({ name, allowance }) => [[name], allowance] as const),
    'max',
  )
  metrics.totals(
    'directory_requests_total',
    'Calls to the directory, by bucket and HTTP status; 0: no answer.',
    ['endpoint', 'code'],
    () => state().calls.map(({ bucket, status, count }) => [[bucket, String(status)], count] as const),
  )
  metrics.totals('directory_records_skipped_total', 'Invalid directory records that were skipped.', [], () => [
    [[], state().skipped],
  ])
}
