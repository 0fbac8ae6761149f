import { cookieNames, ownCookieNames } from './config/cookie-names.ts'
import type { Fixed, Live } from './config/model.ts'
import type { Directory } from './directory/model.ts'
import type { Generation, RequestHead } from './http/exchange.ts'
import { createBearerAuthenticator } from './identity/bearer/authenticator.ts'
import type { TokenReader } from './identity/bearer/reader.ts'
import { createCertificateAuthenticator } from './identity/certificate-authenticator.ts'
import { createRateLimits, type RateCounts } from './proxy/rate-limits.ts'
import { createCertificateTable, misdirected } from './routing/certificates.ts'
import { createRouteTable } from './routing/table.ts'
import { compileTrust, parseTarget } from './routing/target.ts'
import type { Lifetime, Lifetimes } from './server/lifetime.ts'
import { createSessionAuthenticator } from './session/authenticator.ts'
import { createProgramAuthenticator } from './session/program-authenticator.ts'
import type { Refresher } from './session/refresher.ts'
import { createServiceTokenAuthenticator } from './tokens/authenticator.ts'
import type { ServiceTokens } from './tokens/model.ts'
import type { IdentityProviders } from './types.ts'
import type { Sessions } from './session/model.ts'
import type { Upstreams } from './upstream/forward.ts'

/** What is built once, and every generation uses. */
export interface Process {
  readonly fixed: Fixed
  readonly idps: IdentityProviders
  readonly sessions: Sessions
  readonly tokens: ServiceTokens
  readonly bearers: TokenReader
  readonly directory: Directory
  readonly refresher: Refresher
  readonly upstreams: Upstreams
  readonly requestId: () => string
  readonly lifetimes: Lifetimes
  readonly rateCounts: RateCounts
}

/** Everything live, whole. What it opened closes when it is retired and its last exchange has left. */
export function createGeneration(
  {
    fixed,
    idps,
    sessions,
    tokens,
    bearers,
    directory,
    refresher,
    upstreams,
    requestId,
    lifetimes,
    rateCounts,
  }: Process,
  live: Live,
  version: number,
): Generation & Lifetime {
  const names = { https: cookieNames(live, 'https'), http: cookieNames(live, 'http') }
  const trust = compileTrust({ proxies: live.trustedProxies, hops: live.xffNumTrustedHops })
  const certificates = createCertificateTable(live, live.acmeHosts)
  const routes = fixed.services === 'authenticate' ? [] : live.routes
  const forwarder = upstreams.open({ config: { ...live, routes }, cookieNames: ownCookieNames(live) })
  return Object.freeze({
    ...lifetimes.begin(() => forwarder.end()),
    version,
    fixed,
    live,
    cookieNames: names,
    parse(head: RequestHead) {
      const asked = parseTarget(head, trust, requestId(), live.identityHeaders, live)
      return 'kind' in asked ? asked : (misdirected(asked, head.connection, certificates, live.downstreamMtls) ?? asked)
    },
    routes: createRouteTable(fixed, live),
    authenticators: [
      createSessionAuthenticator({ sessions, directory, idps, refresher, cookieNames: names }),
      createProgramAuthenticator({ sessions, directory, idps, refresher }),
      createServiceTokenAuthenticator(tokens),
      createBearerAuthenticator({ reader: bearers, directory, fixed, live }),
      createCertificateAuthenticator(live.downstreamMtls),
    ],
    forwarder,
    rateLimits: createRateLimits({ ...live, routes }, rateCounts),
  })
}
