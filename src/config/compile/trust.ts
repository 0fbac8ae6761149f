/** Whose word about clients counts: `trusted_proxies`, `xff_num_trusted_hops`, `use_proxy_protocol`. */
import { policiesOf } from '../../policy/explain.ts'
import { parseNetwork } from '../../routing/address.ts'
import type { Report } from '../issues.ts'
import type { ListenConfig } from '../model.ts'
import type { Route } from '../route-model.ts'
import type { GlobalInput } from '../schema.ts'
import type { Draft } from '../validate.ts'
import { isLoopback } from './urls.ts'

/** Networks of somebody's own are not larger: 10.0.0.0/8, fc00::/7. */
const SHORTEST_PREFIX = { ipv4: 8, ipv6: 7 }

/** @param behindHop TLS ends before us. */
export function checkTrust(
  { globals, broken }: Draft,
  routes: readonly Route[],
  { listen, behindHop }: { readonly listen: ListenConfig | undefined; readonly behindHop: boolean },
  report: Report,
): void {
  const { trusted_proxies: proxies, xff_num_trusted_hops: hops } = globals
  for (const [i, text] of proxies.entries()) {
    const at = ['trusted_proxies', i]
    if (!parseNetwork(text)) {
      report.error(at, `expected an address or CIDR such as 10.0.0.0/8, found ${JSON.stringify(text)}`)
    } else if (Number(text.split('/')[1] ?? 32) < SHORTEST_PREFIX[text.includes(':') ? 'ipv6' : 'ipv4']) {
      report.warning(at, 'every client may claim any address, and rules on source_ip believe it')
    }
  }
  if (proxies.length > 0 || broken.has('trusted_proxies')) return
  if (globals.use_proxy_protocol) {
    report.error(
      ['use_proxy_protocol'],
      'whoever connects could claim any address: write the addresses of the balancers into trusted_proxies',
    )
  } else if (hops > 0) {
    // Only this machine connects.
    if (listen && isLoopback(listen.host.includes(':') ? `[${listen.host}]` : listen.host)) return
    report.warning(
      ['xff_num_trusted_hops'],
      'whoever connects is believed as a proxy, and may claim any address, for rules on source_ip, limits and the log: write the addresses of the proxies in front into trusted_proxies',
    )
  } else if (behindHop) {
    const what = usesAddresses(globals, routes)
    if (what !== undefined) {
      report.warning(
        ['trusted_proxies'],
        `missing: the hop in front, which ends TLS, is the client of every request, for ${what}; write its addresses`,
      )
    }
  }
}

/** What looks at the addresses of clients; undefined: the log alone. */
function usesAddresses(globals: GlobalInput, routes: readonly Route[]): string | undefined {
  const ruled = routes.find((route) =>
    policiesOf(route).some(
      (policy) =>
        policy.kind === 'rules' &&
        [...policy.allow, ...policy.deny].some(({ criteria }) => criteria.some(({ name }) => name === 'source_ip')),
    ),
  )
  if (ruled) return `rules on source_ip (first ${ruled.definedAt})`
  const limited = routes.find(({ rateLimit }) => rateLimit?.perClient !== undefined)
  if (globals.rate_limit?.per_client !== undefined) return 'rate_limit'
  if (limited) return `rate_limit (first ${limited.definedAt})`
  return globals.max_connections_per_client > 0 ? 'max_connections_per_client' : undefined
}
