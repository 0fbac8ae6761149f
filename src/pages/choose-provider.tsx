import { type PageModel, renderPage } from './layout.tsx'
import { ButtonLink } from './parts.tsx'

export interface ChooseProviderModel extends PageModel {
  /** In the order of the configuration; the first is the most likely one. */
  readonly providers: readonly { readonly label: string; readonly href: string }[]
  /** Labels of the providers that this browser is signed in with, none of which counts where it wants to go. */
  readonly signedInWith: readonly string[]
}

/** Several identity providers may sign somebody in, and nothing says which one knows this person. */
export function chooseProviderPage(model: ChooseProviderModel): string {
  const { providers, signedInWith } = model
  return renderPage(model, {
    title: 'Sign in',
    tone: 'wait',
    badge: 'Sign in',
    heading: 'How do you want to sign in?',
    children: (
      <>
        <p class="lead">
          {signedInWith.length === 0
            ? 'Choose where you have an account.'
            : `You are signed in with ${signedInWith.join(' and ')}, which does not count for this application.`}
        </p>
        <nav class="actions" aria-label="Identity providers">
          {providers.map(({ label, href }, i) => (
            <ButtonLink key={href} href={href} quiet={i > 0}>
              {`Sign in with ${label}`}
            </ButtonLink>
          ))}
        </nav>
      </>
    ),
  })
}
