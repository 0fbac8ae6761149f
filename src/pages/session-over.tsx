import { type PageModel, renderPage } from './layout.tsx'
import { ButtonLink } from './parts.tsx'

export interface SessionOverModel extends PageModel {
  readonly signInUrl: string
  /** `insufficient`: signed in, but not as the application asks. */
  readonly why: keyof typeof WORDS
}

const WORDS = {
  ended: { heading: 'Your session is over', because: 'you are no longer signed in' },
  insufficient: {
    heading: 'Sign in once more',
    because: 'it asks for a stronger or a more recent sign-in than yours',
  },
  elsewhere: {
    heading: 'Sign in once more',
    because: 'you are signed in with an identity provider that does not count there',
  },
} as const

/** 401 for a form that was sent after the session ended: a redirect to the sign-in would lose what was typed. */
export function sessionOverPage(model: SessionOverModel): string {
  const { heading, because } = WORDS[model.why]
  return renderPage(model, {
    title: heading,
    tone: 'wait',
    badge: 'Not sent',
    heading,
    children: (
      <>
        <p class="lead">What you sent has not reached the application, because {because}.</p>
        <section>
          <h2>What you can do</h2>
          <p>Your input is still there:</p>
          <ul class="points">
            <li>Sign in, which opens in a new tab.</li>
            <li>Come back to this tab and go Back in your browser.</li>
            <li>Send the form again.</li>
          </ul>
          <div class="actions">
            <ButtonLink href={model.signInUrl} newTab>
              Sign in
            </ButtonLink>
          </div>
        </section>
      </>
    ),
  })
}
