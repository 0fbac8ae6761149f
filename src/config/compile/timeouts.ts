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
}

/** The time limits of a route. A route without `timeout` may take its time with the body as well, unless it says how much. */
export function compileTimeouts({ timeout, idle_timeout: idle }: RouteInput, defaults: TimeoutDefaults): Timeouts {
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
    ...(own && { tunnel: own.span }),
  }
}
