import type { Route } from '../config/route-model.ts'
import type { RequestFacts } from '../http/request.ts'
import { bearerToken, isOurAuthorization } from '../lib/bearer.ts'
import { isServiceToken, serviceTokenIn } from '../lib/service-token.ts'
import type { RouteMatch } from './model.ts'

/** A request and its route, as rules and the application see them. */
export interface Seen {
  readonly facts: RequestFacts
  readonly match: RouteMatch
}

/** Without the `Authorization` that was for us: what is judged then is what is forwarded. */
export function withoutAuthorization({ facts, match }: Seen): Seen {
  const asked = match.kind === 'route' && match.asked
  return { facts: hide(facts), match: asked ? { ...match, asked: hide(asked) } : match }
}

/** Without the credential that was for us: no rule and no application gets to see it. */
export function asSeen(
  facts: RequestFacts,
  match: RouteMatch,
  who: { readonly consumed?: boolean | undefined } | undefined,
): Seen {
  const all = { facts, match }
  return who?.consumed ? withoutAuthorization(all) : all
}

/** Might this be a token for us, although it could not be read (`identity: optional`)? */
export function mayBeConsumed({ authorization }: RequestFacts, { bearer }: Route): boolean {
  return bearer?.passAuthorization === false && authorization !== undefined && bearerToken(authorization) !== undefined
}

/**
 * Is this `Authorization` for us alone? A public route identifies nobody, and clients send their token to every path of a
 * host: there the form of a service token is enough.
 */
export function isWithheld(
  authorization: string,
  { consumed }: Pick<RequestFacts, 'consumed'>,
  { policy }: Pick<Route, 'policy'>,
): boolean {
  return (
    consumed === true ||
    isOurAuthorization(authorization) ||
    (policy.kind === 'public' && isServiceToken(serviceTokenIn(authorization) ?? ''))
  )
}

function hide(facts: RequestFacts): RequestFacts {
  const { headers } = facts
  return {
    ...facts,
    authorization: undefined,
    consumed: true,
    headers: { get: (name) => (name === 'authorization' ? undefined : headers.get(name)) },
  }
}
