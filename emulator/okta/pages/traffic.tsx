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
              <th scope="col">Refused</th>
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
                </td>
                <td class="number">{refused}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}

/** Newest first; `calls` are those to show. */
export function Calls({ calls }: { readonly calls: readonly LoggedCall[] }): VNode {
  return (
    <section>
      <h2>Calls received</h2>
      {calls.length === 0 ? (
        <p class="soft small">None yet.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Time (UTC)</th>
              <th scope="col">Call</th>
              <th scope="col">Status</th>
              <th scope="col" class="wide">
                Bucket
              </th>
            </tr>
          </thead>
          <tbody>
            {calls.map((call) => (
              <tr key={call.requestId}>
                <td class="time">{iso(call.at).slice(11, 19)}</td>
                <td>
                  <code>
                    {call.method} {call.path}
                  </code>
                </td>
                <td class="number">{call.status}</td>
                <td class="wide">
                  <code>{call.bucket ?? '–'}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}
