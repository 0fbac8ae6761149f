import { describeDuration } from '../lib/duration.ts'
import type { Reason } from '../policy/model.ts'
import { type PageModel, renderPage } from './layout.tsx'
import { ButtonLink, ago, type GroupsReading, Person, type PersonModel } from './parts.tsx'
import { reasonsInWords } from './reasons.ts'
import { elapsed } from '../lib/time.ts'

export interface UnavailableModel extends PageModel {
  readonly application: string
  readonly person?: PersonModel
  readonly reasons: readonly Reason[]
  /** What is still known, however old. */
  readonly groups?: GroupsReading
  /** Seconds. */
  readonly retryAfter: number
  /** The address that was asked for; absent: a form was sent, and going Back keeps what was typed. */
  readonly tryAgainUrl?: string
}

/** 503: not denied, but what the decision needs is unknown right now. */
export function unavailablePage(model: UnavailableModel): string {
  const { application, person, reasons, groups, retryAfter, now } = model
  return renderPage(model, {
    title: 'Not available right now',
    tone: 'wait',
    badge: 'Not available right now',
    heading: `${application} cannot be opened at the moment`,
    children: (
      <>
        <p class="lead">
          You have not been refused. Postern cannot check your access right now, so it does not let you in yet.
        </p>
        <section>
          <h2>Why</h2>
          {reasonsInWords(reasons).map((sentence) => (
            <p key={sentence}>{sentence}</p>
          ))}
          {groups !== undefined && groups !== 'unknown' && (
            <p class="note">
              Your groups were last read {ago(elapsed(now, groups.freshAt))}, which is too long ago to rely on.
            </p>
          )}
          {person !== undefined && (
            <p class="note">
              You are signed in as <Person {...person} />.
            </p>
          )}
        </section>
        <section>
          <h2>What you can do</h2>
          <p>{`Try again in ${describeDuration(Math.max(1, retryAfter) * 1000)}. You do not need to sign in again.`}</p>
          {model.tryAgainUrl === undefined ? (
            <p>Your input is still there: go Back in your browser, and send it again then.</p>
          ) : (
            <div class="actions">
              <ButtonLink href={model.tryAgainUrl}>Try again</ButtonLink>
            </div>
          )}
        </section>
      </>
    ),
  })
}
