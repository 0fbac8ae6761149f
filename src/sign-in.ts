/** How people and their programs sign in. */
import { createDeviceLogin } from './authenticate/device-login.ts'
import { createFailure } from './authenticate/failure.ts'
import { createAuthenticate } from './authenticate/handlers.ts'
import { createOwnSessions } from './authenticate/own-sessions.ts'
import { createPendingSeal } from './authenticate/pending.ts'
import { createProgramLogin } from './authenticate/program-login.ts'
import { createRedirects } from './authenticate/redirect.ts'
import { createStates } from './authenticate/state.ts'
import type { Process } from './process.ts'

export function createSignIn(shared: Process) {
  const { sharedSecrets } = shared.fixed
  const ownSessions = createOwnSessions(shared)
  const redirects = createRedirects(sharedSecrets)
  const common = { ...shared, sharedSecrets, ownSessions, redirects, admit: shared.claims.admit }
  const authenticate = createAuthenticate({
    ...common,
    pendingSeal: createPendingSeal(sharedSecrets),
    states: createStates(sharedSecrets),
  })
  const programs = createProgramLogin({
    ...common,
    csrf: authenticate.csrf,
    deviceLogin: createDeviceLogin(common),
    failure: createFailure(shared),
  })
  return { ownSessions, authenticate, programs }
}
