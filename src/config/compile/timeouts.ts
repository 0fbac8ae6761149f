import type { Limit, Span } from '../../types.ts'
import type { Timeouts } from '../route-model.ts'
import type { RouteInput } from '../schema/route.ts'

/** What routes inherit. */
export interface TimeoutDefaults {
  /** `default_upstream_timeout` */
  readonly timeout: Span
  /** `upstream_body_timeout` */
  readonly responseBody: Span
  /** `client_body_timeout` */
  readonly requestBody: Span
  /** `request_timeout` */
  readonly request: Span
  /** `tunnel_max_lifetime` */
  readonly tunnelLifetime: Span
}

/** The time limits of a route. A route without `timeout` may take its time with the body as well, unless it says how much. */
export function compileTimeouts(
  { timeout, idle_timeout: idle, request_timeout: request, tunnel_max_lifetime: tunnelLifetime }: RouteInput,
  defaults: TimeoutDefaults,
): Timeouts {
  const own: Limit | undefined = idle === undefined ? undefined : { span: idle, key: 'idle_timeout' }
  return {
    response:
      timeout === undefined
        ? { span: defaults.timeout, key: 'default_upstream_timeout' }
        : { span: timeout, key: 'timeout' },
    responseBody:
      own ??
      (timeout === 0 ? { span: 0, key: 'timeout' } : { span: defaults.responseBody, key: 'upstream_body_timeout' }),
    requestBody: own ?? { span: defaults.requestBody, key: 'client_body_timeout' },
    request: { span: request ?? defaults.request, key: 'request_timeout' },
    tunnelLifetime: { span: tunnelLifetime ?? defaults.tunnelLifetime, key: 'tunnel_max_lifetime' },
    ...(own && { tunnel: own.span }),
  }
}
