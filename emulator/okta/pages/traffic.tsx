import type { VNode } from 'preact'
import type { LoggedCall } from '../http/call-log.ts'
import type { BucketState } from '../http/rate-limit.ts'
import { iso } from '../management/render.ts'

/** What is left of each rate limit in the running minute. */
export function Budgets({ buckets }: { readonly buckets: readonly BucketState[] }): VNode {
  return (
    <section>
      <h2>Rate budget</h2>
      {buckets.length === 0 ? (
        <p class="soft small">No call in the last minute: every bucket is full.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Bucket</th>
              <th scope="col" class="wide">
                Counted for
              </th>
              <th scope="col">Remaining</th>
            </tr>
          </thead>
          <tbody>
            {buckets.map(({ bucket, scope, remaining, limit, refused }) => (
              <tr key={`${bucket} ${scope}`}>
                <th scope="row">
                  <code>{bucket}</code>
                </th>
                <td class="wide">
                  <code>{scope}</code>
                </td>
                <td>
                  <meter value={remaining} max={limit} aria-label={`${bucket}, ${scope}`} /> {remaining} of {limit}
                  {refused > 0 && `, ${refused} refused`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}

/** Newest first; `calls` are those to show. Times are UTC. */
export function Calls({ calls }: { readonly calls: readonly LoggedCall[] }): VNode {
  return (
    <section>
      <h2>Calls received</h2>
      {calls.length === 0 ? (
        <p class="soft small">None yet.</p>
      ) : (
        <ol class="calls">
          {calls.map((call) => (
            <li key={call.requestId}>
              <span class="soft">{iso(call.at).slice(11, 19)}</span>
              <code>
                {call.method} {call.path}
              </code>
              <span>{call.status}</span>
              <code class="wide soft">{call.bucket ?? 'no limit'}</code>
            </li>
          ))}
        </ol>
      )}
    </section>
  )
}
