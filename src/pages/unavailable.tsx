import { type ErrorCode, type ErrorInfo, ERRORS } from '../errors.ts'
import { type PageModel, renderPage } from './layout.tsx'
import { outlook } from './outlook.ts'
import { ButtonLink, named, ago, type GroupsReading, Person, type PersonModel } from './parts.tsx'
import { elapsed } from '../lib/time.ts'

export interface UnavailableModel extends PageModel {
  readonly application: string
  readonly person?: PersonModel
  /** Why it is not known, and so whether waiting helps. */
  readonly code: ErrorCode
  /** What is still known, however old. */
  readonly groups?: GroupsReading
  /** The address that was asked for; absent: a form was sent, and going Back keeps what was typed. */
  readonly tryAgainUrl?: string
}

/** 503: not denied, but what the decision needs is unknown right now. */
export function unavailablePage(model: UnavailableModel): string {
  const { application, person, code, groups, now } = model
  const info: ErrorInfo = ERRORS[code]
  const passes = info.waiting === 'helps'
  return renderPage(model, {
    title: passes ? 'Not available right now' : 'Not available',
    tone: passes ? 'wait' : 'stop',
    badge: passes ? 'Not available right now' : 'Not available',
    heading: `${application} cannot be opened${passes ? ' at the moment' : ''}`,
    code,
    children: (
      <>
        <p class="lead">
          {named(
            `You have not been refused. Postern cannot check your access${passes ? ' right now' : ''}, so it does not let you in yet.`,
            model,
          )}
        </p>
        <section>
          <h2>Why</h2>
          <p>{named(info.sentence, model)}</p>
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
          <p>{`${outlook(info)} You do not need to sign in again.`}</p>
          {model.tryAgainUrl === undefined ? (
            <p>Your input is still there: go Back in your browser, and send it again then.</p>
          ) : (
            <div class="actions">
              <ButtonLink href={model.tryAgainUrl} quiet={!passes}>
                Try again
              </ButtonLink>
            </div>
          )}
        </section>
      </>
    ),
  })
}
