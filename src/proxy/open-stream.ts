/** A forwarded exchange among the open streams: judged again when the session, the groups or the configuration change. */
import type { Directory } from '../directory/model.ts'
import type { AppError } from '../errors.ts'
import type { Exchange, Generation, OpenStream, RequestFacts } from '../http/exchange.ts'
import type { Route } from '../config/route-model.ts'
import { FOREVER } from '../lib/time.ts'
import { credentialOf } from '../policy/credential.ts'
import { judge, mayUpgrade } from '../policy/judge.ts'
import type { Principal } from '../policy/model.ts'
import { asSeen } from '../routing/consumed.ts'
import type { Clock, Monotonic } from '../types.ts'
import { identify } from './identify.ts'

interface World {
  readonly generation: () => Generation
  readonly directory: Pick<Directory, 'membership' | 'status'>
  readonly clock: Clock
}

/** What was let in, and as whom. */
interface Admitted {
  readonly exchange: Pick<Exchange, 'abort'>
  /** As it was parsed. */
  readonly asked: RequestFacts
  /** As the route takes it (`RouteMatch.asked`). */
  readonly facts: RequestFacts
  readonly route: Route
  /** undefined: nobody had to say who they are. */
  readonly principal: Principal | undefined
  readonly openedAt: Monotonic
}

export function createOpenStream(world: World, admitted: Admitted): OpenStream {
  const { exchange, principal, openedAt } = admitted
  /** The same person, as known by now. */
  let who = principal
  return {
    credential: principal && credentialOf(principal),
    person: principal?.person,
    openedAt,
    expiresAt: principal?.expiresAt ?? FOREVER,
    stillAllowed: () => isStillAllowed(world, admitted, who),
    async stillKnown() {
      if (!who) return true
      const again = await identifyAgain(world, admitted, who)
      if (again) who = again
      return again !== undefined
    },
    cut: (reason) => exchange.abort(reason),
  }
}

/** By what is known of the person now, and by the configuration in force now. */
function isStillAllowed(
  { generation: current, directory, clock }: World,
  { asked, route }: Admitted,
  who: Principal | undefined,
): boolean {
  const generation = current()
  const seen = asSeen(asked, generation.routes.match(asked), who)
  const verdict = judge(generation, seen.facts, who && knownNow(who, directory), clock.now(), seen.match)
  if (verdict.outcome !== 'allow' || verdict.grant.route.action.kind !== 'forward') return false
  // It may have become a tunnel already, so the permission to upgrade must still be there.
  if (mayUpgrade(route, asked) && !mayUpgrade(verdict.grant.route, asked)) return false
  // The application was told who this is, and would not be told again.
  const { principal, route: next } = verdict.grant
  return !(who && !principal && next.policy.kind === 'public' && next.policy.identity === 'optional')
}

/**
 * Looks again at the credentials that the request showed. undefined: they let nobody in any more, or somebody else.
 * Rejects when that cannot be known.
 */
async function identifyAgain(
  { generation, clock }: World,
  { facts, route }: Admitted,
  who: Principal,
): Promise<Principal | undefined> {
  const doubt: { unidentified?: AppError } = {}
  // A stream that is under way does not count as use of the session.
  const shown: RequestFacts = { ...facts, wants: 'upgrade' }
  const asker = await identify(generation().authenticators, shown, route, clock.now(), doubt)
  if (doubt.unidentified) throw doubt.unidentified
  if (asker === undefined || asker.kind === 'bad-token') return undefined
  return credentialOf(asker) === credentialOf(who) ? asker : undefined
}

/** With the groups and the status that the directory has now, unless the token itself says them. */
function knownNow(who: Principal, directory: World['directory']): Principal {
  const tokenSays =
    who.kind === 'service' || who.kind === 'certificate' || (who.kind === 'token' && who.groupsFrom === 'token')
  return tokenSays
    ? who
    : { ...who, membership: directory.membership(who.person), status: directory.status(who.person) }
}
