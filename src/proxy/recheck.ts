/** An exchange that is under way, judged again: the session, the groups or the configuration may have changed since. */
import type { Directory } from '../directory/model.ts'
import type { AppError } from '../errors.ts'
import type { Generation, RequestFacts } from '../http/exchange.ts'
import type { Route } from '../config/route-model.ts'
import { credentialOf } from '../policy/credential.ts'
import { judge, mayUpgrade } from '../policy/judge.ts'
import type { Principal } from '../policy/model.ts'
import { asSeen } from '../routing/consumed.ts'
import type { Clock } from '../types.ts'
import { identify } from './identify.ts'

interface World {
  readonly generation: () => Generation
  readonly directory: Pick<Directory, 'membership' | 'status'>
  readonly clock: Clock
}

/**
 * With what is known now of the person, and by the configuration that is in force now.
 * @param asked as it was parsed. `route`: the one that let it in.
 */
export function isStillAllowed(
  { generation: current, directory, clock }: World,
  {
    asked,
    route,
    who,
  }: {
    readonly asked: RequestFacts | undefined
    readonly route: Route | undefined
    readonly who: Principal | undefined
  },
): boolean {
  if (!asked) return false
  const generation = current()
  const seen = asSeen(asked, generation.routes.match(asked), who)
  const verdict = judge(generation, seen.facts, who && knownNow(who, directory), clock.now(), seen.match)
  if (verdict.outcome !== 'allow' || verdict.grant.route.action.kind !== 'forward') return false
  // A tunnel is no request like any other any more.
  if (route && mayUpgrade(route, asked) && !mayUpgrade(verdict.grant.route, asked)) return false
  // The application was told who this is, and would not be told again.
  const { principal, route: next } = verdict.grant
  return !(who && !principal && next.policy.kind === 'public' && next.policy.identity === 'optional')
}

/**
 * By what the request itself showed, with what is said of them by now. undefined: it lets in nobody any more, or
 * somebody else. Rejects when that cannot be known.
 */
export async function identifyAgain(
  { generation, clock }: World,
  { facts, route, who }: { readonly facts: RequestFacts; readonly route: Route; readonly who: Principal },
): Promise<Principal | undefined> {
  const doubt: { unidentified?: AppError } = {}
  // A stream that is under way is no use of a session.
  const shown: RequestFacts = { ...facts, wants: 'upgrade' }
  const asker = await identify(generation().authenticators, shown, route, clock.now(), doubt)
  if (doubt.unidentified) throw doubt.unidentified
  if (asker === undefined || asker.kind === 'bad-token') return undefined
  return credentialOf(asker) === credentialOf(who) ? asker : undefined
}

/** With what the directory knows now, if it is the directory that knows. */
function knownNow(who: Principal, directory: World['directory']): Principal {
  const tokenSays =
    who.kind === 'service' || who.kind === 'certificate' || (who.kind === 'token' && who.groupsFrom === 'token')
  return tokenSays
    ? who
    : { ...who, membership: directory.membership(who.person), status: directory.status(who.person) }
}
