import type { RequestFacts } from '../http/request.ts'
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

function hide(facts: RequestFacts): RequestFacts {
  const { headers } = facts
  return {
    ...facts,
    authorization: undefined,
    consumed: true,
    headers: { get: (name) => (name === 'authorization' ? undefined : headers.get(name)) },
  }
}
