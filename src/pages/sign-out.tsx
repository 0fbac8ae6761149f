import { type PageModel, renderPage } from './layout.tsx'
import { ButtonLink, SignOutForm } from './parts.tsx'

export interface SignOutModel extends PageModel {
  /** As whom: an e-mail address or a user id. */
  readonly email: string
  readonly csrfToken: string
  /** Where they came from, and where the next sign-in leads. */
  readonly returnTo?: string
  /** Page that can end the person's other sessions; absent: this one. */
  readonly everywhereAt?: string
}

/** Asks before signing out: a link somewhere else must not be able to do it. */
export function signOutPage(model: SignOutModel): string {
  const { email, csrfToken, returnTo, everywhereAt, controlPrefix } = model
  return renderPage(model, {
    title: 'Sign out',
    tone: 'good',
    badge: 'Signed in',
    heading: 'Do you want to sign out?',
    children: (
      <>
        <p class="lead">
          You are signed in as <strong>{email}</strong>. Signing out ends this session in every application that you
          opened with it, and closes what is still running there. Signing out everywhere also ends your sessions in
          other browsers and on other devices.
        </p>
        <div class="actions">
          <SignOutForm
            controlPrefix={controlPrefix}
            csrfToken={csrfToken}
            returnTo={returnTo}
            everywhereAt={everywhereAt}
          />
          <ButtonLink href={returnTo ?? `${controlPrefix}/`} quiet>
            Stay signed in
          </ButtonLink>
        </div>
      </>
    ),
  })
}
