import { type PageModel, renderPage } from './layout.tsx'
import { ButtonLink } from './parts.tsx'

export interface SignInFailedModel extends PageModel {
  /** From the closed list of explanations: what happened, and what the person can do. */
  readonly title: string
  readonly whatToDo: string
  /** OAuth error code, e.g. `access_denied`. */
  readonly error?: string
  /** What the provider said; anybody's text, shown as a quotation. Only after `state` has matched. */
  readonly description?: string
  readonly tryAgainUrl: string
  /** Nothing changes until an administrator has changed something. */
  readonly inVain: boolean
}

/** The identity provider ended a sign-in, or gave an answer that is not believed. */
export function signInFailedPage(model: SignInFailedModel): string {
  const { title, whatToDo, error, description, tryAgainUrl, inVain } = model
  return renderPage(model, {
    title: 'Sign-in failed',
    tone: 'stop',
    badge: 'Sign-in failed',
    heading: title,
    code: 'ERR_IDP_REJECTED',
    children: (
      <>
        <p class="lead">{whatToDo}</p>
        {(description !== undefined || error !== undefined) && (
          <section>
            <h2>What the identity provider said</h2>
            {description !== undefined && <blockquote class="quote">{description}</blockquote>}
            {error !== undefined && (
              <p class="note">
                It calls this <code>{error}</code>
              </p>
            )}
          </section>
        )}
        <div class="actions">
          <ButtonLink href={tryAgainUrl} quiet={inVain}>
            Try again
          </ButtonLink>
        </div>
      </>
    ),
  })
}
