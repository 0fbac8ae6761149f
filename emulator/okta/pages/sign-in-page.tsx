import type { VNode } from 'preact'
import type { OAuthFault } from '../oidc/texts.ts'
import { Mark, page } from './layout.tsx'

export interface SignInView {
  readonly app: string
  readonly hint: string
  /** Offered as one-click choices. */
  readonly people: readonly Offer[]
  readonly askPassword: boolean
  /** Okta's message, and an explanation that the emulator adds. */
  readonly refused?: { readonly text: string; readonly why: string }
}

export interface Offer {
  readonly name: string
  readonly login: string
  /** What is worth knowing before choosing: groups, or why it will not work. */
  readonly note: string
}

/** Posts `identifier` (and `password`) to its own address; `cancel` gives up. */
export function signInPage(view: SignInView): string {
  return page('Sign In', <SignIn {...view} />)
}

function SignIn({ app, hint, people, askPassword, refused }: SignInView): VNode {
  return (
    <>
      <main class="card">
        <div class="top">
          <Mark size={40} />
          <h1>Sign In</h1>
          <p class="soft">
            to continue to <strong>{app}</strong>
          </p>
        </div>
        {refused && (
          <p class="alert" role="alert">
            <strong>{refused.text}</strong>
            <br />
            {refused.why}
          </p>
        )}
        <form method="post">
          <div class="field">
            <label for="identifier">Username</label>
            <input id="identifier" name="identifier" value={hint} autocomplete="username" required autofocus />
          </div>
          {askPassword && (
            <div class="field">
              <label for="password">Password</label>
              <input id="password" name="password" type="password" autocomplete="current-password" />
            </div>
          )}
          <button class="primary" type="submit">
            Sign in
          </button>
        </form>
        {people.length > 0 && (
          <form method="post" aria-labelledby="people">
            <h2 id="people">Demo people</h2>
            <p class="soft small">One click, no password.</p>
            {people.map(({ name, login, note }) => (
              <button class="person" name="identifier" value={login} key={login}>
                <strong>{name}</strong> <span class="soft small">{note}</span>
              </button>
            ))}
          </form>
        )}
        <form method="post" class="cancel">
          <button name="cancel" value="yes">
            Cancel
          </button>
        </form>
      </main>
      <footer>
        This is an Okta emulator: nothing here is real.
        <br />
        <a href="/">Change people and groups</a>
      </footer>
    </>
  )
}

/** Shown where Okta keeps the browser instead of redirecting to the client. */
export function errorPage(fault: OAuthFault): string {
  return page(
    'Error',
    <main class="card">
      <div class="top">
        <Mark size={40} />
        <h1>{fault.status}</h1>
        <p class="soft">Bad Request</p>
      </div>
      <p>Your request resulted in an error. {fault.error_description}</p>
      <p class="soft small">
        <code>{fault.error}</code>
      </p>
    </main>,
  )
}
