import type { Route } from '../config/route-model.ts'
import { AppError, toAppError } from '../errors.ts'
import type { Authenticator, RequestFacts } from '../http/exchange.ts'
import type { Asker } from '../policy/model.ts'
import type { WallTime } from '../types.ts'

/**
 * Who asks: what the first authenticator found that knows one of the credentials. A request with credentials of two people
 * is refused (ERR_BAD_REQUEST): whoever put one of them there could act as the other, or have the log name the other. A
 * token beside a good credential that is nobody's is the application's own. Beside any other credential a client certificate is nobody's. A promise only if an authenticator answers with one. A public route asks nobody, or (`identity: optional`, or a
 * `shadow_policy`) takes what cannot be known for nobody: `doubt` says why.
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
): Asker | Promise<Asker> {
  let who: Asker
  for (let i = 0; i < authenticators.length; i++) {
    const found = authenticators[i]?.identify(facts, route, now)
    if (found instanceof Promise) return identifyLater(who, found, authenticators.slice(i + 1), facts, route, now)
    who = samePerson(who, found)
  }
  return who
}

async function identifyLater(
  before: Asker,
  pending: Promise<Asker>,
  others: readonly Authenticator[],
  facts: RequestFacts,
  route: Route,
  now: WallTime,
): Promise<Asker> {
  let who = samePerson(before, await pending)
  for (const authenticator of others) who = samePerson(who, await authenticator.identify(facts, route, now))
  return who
}

function samePerson(who: Asker, found: Asker): Asker {
  if (!who || !found) return who ?? found
  const nobodys = [who, found].find((each) => each.kind === 'bad-token' && each.person === undefined)
  if (nobodys) return nobodys === who ? found : who
  // It goes with the connection, whatever is asked by it: who says more, is that.
  if (found.kind === 'certificate') return who
  if (who.person !== found.person) {
    throw new AppError('ERR_BAD_REQUEST', `credentials of two people: ${who.kind} and ${found.kind}`)
  }
  if (found.kind === 'bad-token' || who.kind === 'bad-token') return who.kind === 'bad-token' ? who : found
  return found.consumed ? { ...who, consumed: true } : who
}
