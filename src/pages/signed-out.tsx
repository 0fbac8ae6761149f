import { type PageModel, renderPage } from './layout.tsx'
import { ButtonLink } from './parts.tsx'

export interface SignedOutModel extends PageModel {
  /** To where they came from. */
  readonly signInUrl: string
  /** With another identity provider this browser still has a session: whose, and where that one ends. */
  readonly still?: { readonly email: string; readonly signOutUrl: string }
}

/** The end of a sign-out. */
export function signedOutPage(model: SignedOutModel): string {
  const { still } = model
  if (still) {
    return renderPage(model, {
      title: 'Still signed in',
      tone: 'wait',
      badge: 'Still signed in',
      heading: 'You are still signed in',
      children: (
        <>
          <p class="lead">
            This browser is still signed in as <strong>{still.email}</strong>, and applications may open with that.
          </p>
          <div class="actions">
            <ButtonLink href={still.signOutUrl}>Sign out there, too</ButtonLink>
            <ButtonLink href={model.signInUrl} quiet>
              Sign in again
            </ButtonLink>
          </div>
        </>
      ),
    })
  }
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
