import { AppError } from '../errors.ts'
import { type Unmet, unmetBy } from '../policy/demand.ts'
import type { SignInDemand, WallTime } from '../types.ts'
import type { Session } from '../session/model.ts'

/** Is the sign-in of the session what a route asks for? */
export function isEnough(session: Session, demand: SignInDemand | undefined, now: WallTime): boolean {
  return !demand || unmetBy(session, demand, now) === undefined
}

/** The provider signed somebody in, but not as the route asks (RFC 9470 §5): an ERR_IDP_REJECTED with words for the page. */
export function insufficient(unmet: Unmet): AppError {
  const { message, ...details } = WORDS[unmet]
  return new AppError('ERR_IDP_REJECTED', `sign-in: ${message}`, { details })
}

const WORDS = {
  acr: {
    message: 'the identity provider reached none of the acr_values of the route',
    error: 'unmet_authentication_requirements',
    hint: 'stronger-sign-in',
    title: 'A stronger sign-in is needed',
    whatToDo:
      'You are signed in, but not with a factor that this application asks for. Set one up at the identity provider, for example an authenticator app, then try again.',
  },
  'auth-time': {
    message:
      'the identity provider did not ask again who this is, as max_auth_age or max_session_age of the route wants',
    error: 'login_required',
    hint: 'interaction-needed',
    title: 'A more recent sign-in is needed',
    whatToDo:
      'You are signed in, but this application wants you to prove again who you are, and the identity provider did not ask you. Sign out there, then try again.',
  },
  'session-age': {
    message: 'the session is older than max_session_age of the route although somebody has just signed in',
    error: 'login_required',
    hint: 'interaction-needed',
    title: 'A more recent sign-in is needed',
    whatToDo: 'This application wants a sign-in that is more recent than yours. Sign out, then try again.',
  },
} as const satisfies Record<Unmet, Readonly<Record<string, string>>>
