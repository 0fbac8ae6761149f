/** Settings that are valid, and let in or show more than they seem to. Each has a warning of its own with what to write. */
import { parseAddress, isPublicAddress } from '../../routing/address.ts'
import type { Policy } from '../../policy/model.ts'
import type { Path, Report } from '../issues.ts'
import type { Address } from '../model.ts'
import type { Route, RouteFrom } from '../route-model.ts'
import type { GlobalInput } from '../schema.ts'
import { PRODUCTS } from '../providers.ts'
import type { CompiledProvider } from './provider-settings.ts'
import { isLoopback } from './urls.ts'

export function warnOfTraps(
  globals: GlobalInput,
  parts: {
    readonly authenticateUrl: URL | undefined
    readonly metrics: Address | undefined
    readonly providers: readonly CompiledProvider[]
    readonly routes: readonly Route[]
  },
  report: Report,
): void {
  const { authenticateUrl: own, metrics, providers, routes } = parts
  if (own?.protocol === 'http:' && !isLoopback(own.hostname)) report.warning(['authenticate_service_url'], IN_THE_CLEAR)
  if (globals.cookie_same_site === 'none') {
    report.warning(
      ['cookie_same_site'],
      'pages of any site can send requests with the session of whoever looks at them; lax is the safe value, unless your applications are shown in frames of other sites',
    )
  }
  if (metrics && isPublicAddress(parseAddress(metrics.host) ?? '')) {
    report.warning(
      ['metrics_address'],
      'everybody who reaches this address reads the names of routes and how much they are used; write a private one, such as 127.0.0.1:9090',
    )
  }
  warnOfOpenProviders(providers, routes, report)
  const forwards = routes.flatMap(({ action }) => (action.kind === 'forward' ? action : []))
  if (
    report.isWritten(['jwt_claims_headers']) &&
    Object.keys(globals.jwt_claims_headers).length > 0 &&
    forwards.length > 0 &&
    !forwards.some(({ identity }) => identity.pass)
  ) {
    report.warning(['jwt_claims_headers'], 'sent to no application: write `pass_identity_headers: true`, too')
  }
}

const IN_THE_CLEAR =
  'browsers send codes and session cookies in the clear, and the cookies have neither Secure nor the prefix __Host-; write https://, also where a hop in front ends TLS'

/** Redirects and answers to everybody hold nothing that somebody else may not read. */
export function warnOfPlainHttp(from: RouteFrom, policy: Policy, path: Path, report: Report): void {
  if (from.scheme === 'http' && policy.kind !== 'public' && !isLoopback(from.host)) {
    report.warning([...path, 'from'], IN_THE_CLEAR)
  }
}

/** Whoever likes can have an account there, and "everybody who is signed in" is everybody. */
function warnOfOpenProviders(providers: readonly CompiledProvider[], routes: readonly Route[], report: Report): void {
  for (const { idp } of providers) {
    const product = Object.values(PRODUCTS).find((each) => each?.isOpen && each.issuer === idp?.issuer)
    const first = product && routes.find((route) => takes(route, idp?.name ?? '') && isForAnybodySignedIn(route.policy))
    if (first) {
      report.warning(
        ['routes'],
        `"${first.name}" (${first.definedAt}) is for everybody who is signed in, and everybody can have an account at ${product.name}; unless the client there is for your organization alone, write allowed_domains or allowed_users`,
      )
    }
  }
}

function takes({ demand }: Route, provider: string): boolean {
  return demand?.providers?.includes(provider) ?? true
}

function isForAnybodySignedIn(policy: Policy): boolean {
  if (policy.kind !== 'rules') return policy.kind === 'signed-in'
  return policy.allow.some(
    ({ op, criteria }) =>
      (op === 'or' || criteria.length === 1) && criteria.some(({ name }) => name === 'authenticated_user'),
  )
}
