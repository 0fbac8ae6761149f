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
  const { keyRings } = shared
  const ownSessions = createOwnSessions(shared)
  const redirects = createRedirects(keyRings)
  const common = { ...shared, ownSessions, redirects, admit: shared.claims.admit }
  const authenticate = createAuthenticate({
    ...common,
    pendingSeal: createPendingSeal(keyRings),
    states: createStates(keyRings),
  })
  const programs = createProgramLogin({
    ...common,
    csrf: authenticate.csrf,
    deviceLogin: createDeviceLogin(common),
    failure: createFailure(shared),
  })
  return { ownSessions, authenticate, programs }
}
