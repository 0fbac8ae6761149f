import type { Route } from '../config/route-model.ts'
import { AppError, toAppError } from '../errors.ts'
import type { Authenticator, RequestFacts } from '../http/exchange.ts'
import type { Asker } from '../policy/model.ts'
import type { WallTime } from '../types.ts'

/**
 * Who asks. Each authenticator is asked in turn, and the first that knows a credential counts:
 * - credentials of two people are refused (ERR_BAD_REQUEST): whoever put one of them there could act as the other, or have
 *   the log name the other;
 * - a bad token that is nobody's, beside a good credential, is the application's own;
 * - a client certificate counts only without any other credential.
 * A public route asks nobody. With `identity: optional`, or a `shadow_policy`, a failure counts as nobody, and
 * `doubt` says why. Gives a promise only if an authenticator does.
 */
export function identify(
  authenticators: readonly Authenticator[],
  facts: RequestFacts,
  route: Route,
  now: WallTime,
  doubt: { unidentified?: AppError | undefined },
): Asker | Promise<Asker> {
  const { policy } = route
  if (policy.kind !== 'public') return credentials(authenticators, facts, route, now)
  if (policy.identity !== 'optional' && route.shadow === undefined) return undefined
  const nobody = (thrown: unknown): undefined => {
    doubt.unidentified = toAppError(thrown)
  }
  try {
    const found = credentials(authenticators, facts, route, now)
    return found instanceof Promise ? found.catch(nobody) : found
  } catch (thrown) {
    return nobody(thrown)
  }
}

function credentials(
  authenticators: readonly Authenticator[],
  facts: RequestFacts,
  route: Route,
  now: WallTime,
  isSecond = false,
): Asker | Promise<Asker> {
  let who: Asker
  for (let i = 0; i < authenticators.length; i++) {
    const found = authenticators[i]?.identify(facts, route, now)
    if (found instanceof Promise) return identifyLater(who, found, i + 1, authenticators, facts, route, now, isSecond)
    who = samePerson(who, found)
  }
  return who
}

async function identifyLater(
  before: Asker,
  pending: Promise<Asker>,
  next: number,
  authenticators: readonly Authenticator[],
  facts: RequestFacts,
  route: Route,
  now: WallTime,
  isSecond: boolean,
): Promise<Asker> {
  let who = samePerson(before, await pending)
  let wasKnown = before !== undefined
  for (const authenticator of authenticators.slice(next)) {
    const found = authenticator.identify(facts, route, now)
    wasKnown ||= who !== undefined && found instanceof Promise
    who = samePerson(who, await found)
  }
  // One credential was known while another was asked about, and may have ended: both are looked at once more, at hand now.
  const mayHaveEnded = wasKnown && who !== undefined && who.kind !== 'bad-token'
  return mayHaveEnded && !isSecond ? credentials(authenticators, facts, route, now, true) : who
}

function samePerson(who: Asker, found: Asker): Asker {
  if (!who || !found) return who ?? found
  const nobodys = [who, found].find((each) => each.kind === 'bad-token' && each.person === undefined)
  if (nobodys) return nobodys === who ? found : who
  // A certificate comes with the whole connection: a credential of the request itself counts more.
  if (found.kind === 'certificate') return who
  if (who.person !== found.person) {
    throw new AppError('ERR_BAD_REQUEST', `credentials of two people: ${who.kind} and ${found.kind}`)
  }
  if (found.kind === 'bad-token' || who.kind === 'bad-token') return who.kind === 'bad-token' ? who : found
  return found.consumed ? { ...who, consumed: true } : who
}
