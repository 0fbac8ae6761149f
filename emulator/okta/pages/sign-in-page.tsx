import type { VNode } from 'preact'
import type { Person } from '../model/types.ts'
import type { OAuthFault } from '../oidc/texts.ts'
import { page } from './layout.tsx'

export interface SignInView {
  readonly app: string
  readonly hint: string
  /** Offered as one-click choices. */
  readonly people: readonly Person[]
  readonly askPassword: boolean
  /** What Okta says, and what the emulator adds for whoever is trying things out. */
  readonly refused?: { readonly text: string; readonly why: string }
}

/** Posts `identifier` (and `password`) to its own address; `cancel` gives up. */
export function signInPage(view: SignInView): string {
  return page('Sign In', <SignIn {...view} />)
}

function SignIn({ app, hint, people, askPassword, refused }: SignInView): VNode {
  return (
    <main class="card">
      <h1>Sign In</h1>
      <p class="soft">
        to continue to <strong>{app}</strong>
      </p>
      {refused && (
        <p class="alert" role="alert">
          <strong>{refused.text}</strong>
          <br />
          <span class="soft">{refused.why}</span>
        </p>
      )}
      <form method="post">
        <label for="identifier">Username</label>
        <input id="identifier" name="identifier" value={hint} autocomplete="username" required autofocus />
        {askPassword && (
          <>
            <label for="password">Password</label>
            <input id="password" name="password" type="password" autocomplete="current-password" />
          </>
        )}
        <button class="primary" type="submit">
          Sign in
        </button>
      </form>
      {people.length > 0 && (
        <form method="post" aria-label="Demo people">
          <h2>Demo people</h2>
          {people.map((person) => (
            <button class="person" name="identifier" value={person.login} key={person.id}>
              {person.firstName} {person.lastName} <span class="soft">{person.login}</span>
            </button>
          ))}
        </form>
      )}
      <form method="post">
        <p>
          <button name="cancel" value="yes">
            Cancel
          </button>
        </p>
      </form>
      <p class="soft">This is an Okta emulator. Nothing here is real.</p>
    </main>
  )
}

/** Shown where Okta keeps the browser instead of redirecting to the client. */
export function errorPage(fault: OAuthFault): string {
  return page(
    'Error',
    <main class="card">
      <h1>{fault.status}</h1>
      <h2>Bad Request</h2>
      <p>Your request resulted in an error. {fault.error_description}</p>
      <p class="soft">
        <code>{fault.error}</code>
      </p>
    </main>,
  )
}
