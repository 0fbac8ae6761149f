import { type PageModel, renderPage } from './layout.tsx'
import { ButtonLink } from './parts.tsx'

export interface SignedOutModel extends PageModel {
  readonly signInUrl: string
}

/** The end of a sign-out. */
export function signedOutPage(model: SignedOutModel): string {
  return renderPage(model, {
    title: 'Signed out',
    tone: 'good',
    badge: 'Signed out',
    heading: 'You are signed out',
    children: (
      <>
        <p class="lead">
          Your session has ended in all applications. On a shared computer, close the browser as well: you may still be
          signed in at other places.
        </p>
        <div class="actions">
          <ButtonLink href={model.signInUrl}>Sign in again</ButtonLink>
        </div>
      </>
    ),
  })
}
