import type { Route } from '../config/route-model.ts'
import type { Logger } from '../types.ts'

/** Would this `Set-Cookie` value of an upstream plant a cookie of ours? Says so once for each route. */
export type SetCookieGuard = (value: string, route: Route) => boolean

/**
 * `names`: of our cookies; one that ends in `.` is a prefix. Compared with what a browser would send back, and more rather
 * than less: blanks and control characters around the name are trimmed (RFC 6265 §5.2), a cookie without a name is sent as
 * its bare value (`=name=x` comes back as `name=x`, RFC 6265bis §5.7), upper and lower case are the same, and a comma may
 * begin another cookie (RFC 2109 §4.2.2).
 */
export function createSetCookieGuard(names: readonly string[], logger: Logger): SetCookieGuard {
  const ours = names.map((name) => escaped(name) + (name.endsWith('.') ? '' : String.raw`(?:[\0-\x20=;,\x7f-\xa0]|$)`))
  const planted = new RegExp(String.raw`(?:^|,)[\0-\x20="\x7f-\xa0]*(?:${ours.join('|')})`, 'i')
  const told = new WeakSet<Route>()
  return (value, route) => {
    if (names.length === 0 || !planted.test(value)) return false
    if (!told.has(route)) {
      told.add(route)
      logger.warn({ route: route.name }, 'the application sets a cookie with a name of ours: it is dropped')
    }
    return true
  }
}

function escaped(name: string): string {
  return name.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)
}
