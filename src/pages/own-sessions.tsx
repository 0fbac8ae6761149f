import type { WallTime } from '../types.ts'
import { elapsed } from '../lib/time.ts'
import { describeDevice } from './device.ts'
import { ago } from './parts.tsx'

/** A session of the person who looks. */
export interface OwnSession {
  /** Names it without revealing its id. */
  readonly tag: string
  /** Of the browser that shows the page. */
  readonly isThis: boolean
  readonly userAgent?: string
  readonly clientIp?: string
  /** Hosts for which programs have a token of it. */
  readonly programs?: readonly string[]
  readonly signedInAt: WallTime
  readonly lastSeenAt: WallTime
}

/** More than these are counted, not listed. */
const MAX_LISTED = 30

/** Where the person is signed in, with a button that ends each session but this one: that is what signing out is for. */
export function OwnSessions(props: {
  readonly sessions: readonly OwnSession[]
  readonly controlPrefix: string
  readonly csrfToken: string
  readonly now: WallTime
}) {
  const { sessions, controlPrefix, csrfToken, now } = props
  const more = sessions.length - MAX_LISTED
  return (
    <ul class="sessions">
      {sessions
        .slice(0, MAX_LISTED)
        .map(({ tag, isThis, userAgent, clientIp, programs = [], signedInAt, lastSeenAt }) => (
          <li key={tag}>
            <div>
              <strong>{describeDevice(userAgent)}</strong>
              {isThis && ' (this one)'}
              <p class="note">
                Signed in {ago(elapsed(now, signedInAt))}
                {clientIp !== undefined && ` from ${clientIp}`}, last seen {ago(elapsed(now, lastSeenAt))}
              </p>
              {programs.length > 0 && <p class="note">Programs use it for {programs.join(', ')}</p>}
            </div>
            {!isThis && (
              <form method="post" action={`${controlPrefix}/end_session`}>
                <input type="hidden" name="csrf" value={csrfToken} />
                <input type="hidden" name="session" value={tag} />
                <button type="submit" class="button quiet" aria-label={`End this one: ${describeDevice(userAgent)}`}>
                  End this one
                </button>
              </form>
            )}
          </li>
        ))}
      {more > 0 && <li key="">{`and ${more} more`}</li>}
    </ul>
  )
}
