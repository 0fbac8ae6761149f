import type { ErrorCode } from '../errors.ts'
import type { Reason } from '../policy/model.ts'
import { type PageModel, renderPage } from './layout.tsx'
import { ButtonLink, GroupNames, Groups, type GroupsReading, isFromSignIn, Person, type PersonModel } from './parts.tsx'
import { reasonsInWords, whatToDo } from './reasons.ts'

export interface DeniedModel extends PageModel {
  /** The route's name. */
  readonly application: string
  readonly code: ErrorCode
  /** Absent: nobody is signed in, and a sign-in would not help. */
  readonly person?: PersonModel
  /** Empty: the operator wants nobody to know (`show_error_details`). */
  readonly reasons: readonly Reason[]
  /** Groups of which one would have been enough; empty when the rules are not about groups. */
  readonly wantedGroups: readonly string[]
  /** Of the person. */
  readonly groups?: GroupsReading
  /** The address that was asked for; absent: it says less than what was sent. */
  readonly tryAgainUrl?: string
}

/** Longer addresses are not worth a longer link: the front page of the application will do. */
const MAX_RETURN_TO = 1024

/** 403: which application, as whom, why, which groups were asked for and which ones the person has, what to do. */
export function deniedPage(model: DeniedModel): string {
  const { application, code, person, reasons, wantedGroups, groups, now } = model
  const sentences = reasonsInWords(reasons)
  // Only the next sign-in can tell.
  const isUntold = reasons.includes('groups-claim-absent')
  return renderPage(model, {
    title: 'Access denied',
    tone: 'stop',
    badge: 'Access denied',
    heading: `You cannot open ${application}`,
    code,
    children: (
      <>
        <p class="lead">
          {person ? (
            <>
              You are signed in as <Person {...person} />.
            </>
          ) : (
            'It does not matter who you are: nobody may open it in this way.'
          )}
        </p>
        <section>
          <h2>Why</h2>
          {sentences.length === 1 ? (
            <p>{sentences[0]}</p>
          ) : (
            <ul class="points">
              {sentences.map((sentence) => (
                <li key={sentence}>{sentence}</li>
              ))}
            </ul>
          )}
          <div class="pair">
            {wantedGroups.length > 0 && (
              <div>
                <h3>{wantedGroups.length === 1 ? 'Group that may open it' : 'Groups that may open it'}</h3>
                <GroupNames names={wantedGroups} wanted />
              </div>
            )}
            {groups !== undefined && (
              <div>
                <h3>Your groups</h3>
                {isUntold ? <p>Unknown.</p> : <Groups reading={groups} now={now} />}
              </div>
            )}
          </div>
        </section>
        <section>
          <h2>What you can do</h2>
          <p>{whatToDo(reasons, groups !== undefined && groups !== 'unknown' && isFromSignIn(groups.source))}</p>
          <div class="actions">
            {model.tryAgainUrl !== undefined && (
              <ButtonLink href={model.tryAgainUrl} quiet={isUntold}>
                Try again
              </ButtonLink>
            )}
            {person && (
              <ButtonLink href={signOutUrl(model)} quiet={!isUntold}>
                {isUntold ? 'Sign out' : 'Use another account'}
              </ButtonLink>
            )}
            {person && (
              <ButtonLink href={`${model.controlPrefix}/`} quiet>
                Your applications
              </ButtonLink>
            )}
          </div>
        </section>
      </>
    ),
  })
}

/** Whoever signs in instead comes back to what was refused. */
function signOutUrl({ controlPrefix, tryAgainUrl = '/' }: DeniedModel): string {
  const back = tryAgainUrl.length > MAX_RETURN_TO ? '/' : tryAgainUrl
  return `${controlPrefix}/sign_out?${new URLSearchParams({ return_to: back })}`
}
