/** The identity providers that the routes of a host are for: a program signs in for a host, whatever path it asks then. */
import type { SignInDemand } from '../types.ts'
import type { ControlRequest } from './control-request.ts'

/** undefined: all, as of a route that names none. */
export function acceptedProviders({ facts, generation }: ControlRequest): SignInDemand['providers'] {
  const named = generation.routes.routesOf(facts.host, facts.port).map(({ demand }) => demand?.providers)
  const [first, ...others] = new Set(named.flatMap((providers) => providers ?? []))
  return first === undefined || named.includes(undefined) ? undefined : [first, ...others]
}
