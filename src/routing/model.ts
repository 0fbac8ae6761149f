/** What serves a request. Types only. */
import type { Route } from '../config/route-model.ts'
import type { RequestFacts } from '../http/request.ts'

export type ControlAction =
  | 'ping'
  | 'robots'
  | 'jwks'
  | 'well-known'
  | 'style'
  | 'protected-resource'
  | 'token'
  | 'route-callback'
  | 'return'
  | 'sign-in'
  | 'idp-callback'
  | 'sign-out'
  | 'signed-out'
  | 'end-session'
  | 'portal'
  | 'portal-json'
  | 'status-page'
  | 'status-json'
  | 'user-page'
  | 'user-json'
  | 'program-login'
  | 'program-confirm'
  | 'program-token'
  | 'program-device'
  | 'okta-hook'
  | 'backchannel-logout'
  | 'universal-logout'
  | 'security-events'
  | 'forward-auth'
  | 'scim'

/** Postern answers this path itself. */
export interface ControlMatch {
  readonly kind: 'control'
  readonly action: ControlAction
  readonly on: 'authenticate' | 'route'
  /** External origin of this host from configuration, never from the request's scheme or port. */
  readonly origin: string
}

export type RouteMatch =
  | {
      readonly kind: 'route'
      readonly route: Route
      /** The request with the path as it was asked, where the route keeps it so: judged, too, and forwarded. */
      readonly asked?: RequestFacts
    }
  | ControlMatch
  | BadPath
  | { readonly kind: 'none' }

/** The path can be read in more than one way, and this route, or two of them, do not allow that. */
export interface BadPath {
  readonly kind: 'bad-path'
  /** Short and constant. */
  readonly detail: string
  /** What to write in the configuration so that the path is let through. */
  readonly advice?: string
}

export interface RouteTable {
  match(request: RequestFacts): RouteMatch
  /** Of a host, on whatever path. */
  routesOf(host: string, port: number | undefined): readonly Route[]
  /** External origin of a route's host for this request; undefined when no route serves the host. */
  originOf(host: string, port: number | undefined): string | undefined
  /** Is the host's external URL https, by configuration? For the sign-in service, too. */
  isHttps(host: string, port: number | undefined): boolean
  /** Where plain HTTP of this host is sent to: the first https origin of a route's or of the sign-in service's host. */
  httpsOriginOf(host: string): string | undefined
  /** May a sign-in return here? Host, scheme and port of a configured route or of the sign-in service. */
  allowsReturn(url: URL): boolean
}
