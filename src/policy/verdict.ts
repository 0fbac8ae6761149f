/** What comes out of judging a request. Types only. */
import type { Action, Route } from '../config/route-model.ts'
import type { RequestFacts } from '../http/request.ts'
import type { BadPath, ControlMatch } from '../routing/model.ts'
import type { BadToken, Principal, Reason } from './model.ts'
import type { SignInDemand } from '../types.ts'

declare const granted: unique symbol

/** Permission for one request to have what its route does. Only policy/engine.ts makes one; the forwarder refuses anything else. */
export interface Grant<A extends Action = Action> {
  readonly route: Route<A>
  readonly request: RequestFacts
  /** Absent: the application is told of nobody. */
  readonly principal?: Principal
  readonly [granted]: true
}

/** What a route's policy says. */
export type Decision =
  | { readonly outcome: 'allow'; readonly grant: Grant; readonly reasons: readonly Reason[] }
  /** `demand`: what the route asks of the sign-in, or what the session does not meet. */
  | { readonly outcome: 'sign-in'; readonly reasons: readonly Reason[]; readonly demand?: SignInDemand }
  | { readonly outcome: 'deny'; readonly reasons: readonly Reason[] }
  /** No sign-in helps: the client shows a token. */
  | { readonly outcome: 'bad-token'; readonly error: BadToken['error']; readonly reasons: readonly Reason[] }
  | { readonly outcome: 'unavailable'; readonly retryAfter: number; readonly reasons: readonly Reason[] }

/** What another policy would have said. */
export type ShadowDecision = Pick<Decision, 'outcome' | 'reasons'>

/** What is to be done with a request. Only policy/judge.ts says so. */
export type Verdict =
  | Decision
  | { readonly outcome: 'control'; readonly control: ControlMatch }
  | { readonly outcome: 'bad-path'; readonly path: BadPath }
  | { readonly outcome: 'not-found' }
