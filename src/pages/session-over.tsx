import { type PageModel, renderPage } from './layout.tsx'
import { ButtonLink } from './parts.tsx'

export interface SessionOverModel extends PageModel {
  readonly signInUrl: string
}

/** 401 for a form that was sent after the session ended: a redirect to the sign-in would lose what was typed. */
export function sessionOverPage(model: SessionOverModel): string {
  return renderPage(model, {
    title: 'Your session is over',
    tone: 'wait',
    badge: 'Not sent',
    heading: 'Your session is over',
    children: (
      <>
        <p class="lead">What you sent has not reached the application, because you are no longer signed in.</p>
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
