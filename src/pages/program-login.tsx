import type { WallTime } from '../types.ts'
import { type PageModel, renderPage, Time } from './layout.tsx'
import { ButtonLink } from './parts.tsx'

export interface ProgramLoginModel extends PageModel {
  /** As whom: an e-mail address or a user id. */
  readonly person: string
  /** Host of the application that the program may use. */
  readonly application: string
  /** Where the program waits for the answer; absent: a person copies the code. */
  readonly program?: string
  readonly until: WallTime
  readonly csrfToken: string
}

/** Asks before a program gets a token: a link somewhere else must not be able to do it. */
export function programLoginPage(model: ProgramLoginModel): string {
  const { person, application, program, until, csrfToken } = model
  return renderPage(model, {
    title: 'Sign in a program',
    tone: 'wait',
    badge: 'Your answer is needed',
    heading: 'Sign in a program?',
    children: (
      <>
        <p class="lead">
          A program asks to use <strong>{application}</strong> as <strong>{person}</strong>. It could do there what you
          can, until <Time at={until} /> or until you sign out.
        </p>
        <p>
          Say yes only if you have started it yourself, just now.{' '}
          {program === undefined ? (
            'You will get a code to copy into it. Give that code to nobody.'
          ) : (
            <>
              It waits at <code>{program}</code>.
            </>
          )}
        </p>
        <form method="post" class="actions">
          <input type="hidden" name="csrf" value={csrfToken} />
          <button type="submit" class="button" name="answer" value="allow">
            Yes, sign it in
          </button>
          <button type="submit" class="button quiet" name="answer" value="deny">
            No
          </button>
        </form>
      </>
    ),
  })
}

export interface ProgramDoneModel extends PageModel {
  /** To copy into the program. */
  readonly code?: string
  /** Where the browser takes the answer. */
  readonly back?: string
}

export function programDonePage(model: ProgramDoneModel): string {
  const { code, back } = model
  return renderPage(model, {
    title: 'Sign in a program',
    tone: 'good',
    badge: 'Answered',
    heading: code === undefined ? 'Go back to the program' : 'Copy this code into the program',
    children:
      code !== undefined ? (
        <>
          <p class="lead">
            <code>{code}</code>
          </p>
          <p>It works once, within two minutes.</p>
        </>
      ) : back === undefined ? (
        <p class="lead">The program was not signed in. You can close this window.</p>
      ) : (
        <>
          <p class="lead">It gets your answer now.</p>
          <div class="actions">
            <ButtonLink href={back}>Continue</ButtonLink>
          </div>
        </>
      ),
  })
}
