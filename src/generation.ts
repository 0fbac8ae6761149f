import { cookieNames, ownCookieNames } from './config/cookie-names.ts'
import type { Live } from './config/model.ts'
import type { Generation, RequestHead } from './http/exchange.ts'
import { createBearerAuthenticator } from './identity/bearer/authenticator.ts'
import { createCertificateAuthenticator } from './identity/certificate-authenticator.ts'
import { createRateLimits } from './proxy/rate-limits.ts'
import { createCertificateTable, misdirected } from './routing/certificates.ts'
import { createRouteTable } from './routing/table.ts'
import type { Process } from './process.ts'
import { compileTrust, parseTarget } from './routing/target.ts'
import type { Lifetime } from './server/lifetime.ts'
import { createSessionAuthenticator } from './session/authenticator.ts'
import { createProgramAuthenticator } from './session/program-authenticator.ts'
import { createServiceTokenAuthenticator } from './tokens/authenticator.ts'

/** Everything live, whole. What it opened closes when it is retired and its last exchange has left. */
export function createGeneration(shared: Process, live: Live, version: number): Generation & Lifetime {
  const { fixed, upstreams, requestId } = shared
  const names = { https: cookieNames(live, 'https'), http: cookieNames(live, 'http') }
  const trust = compileTrust({ proxies: live.trustedProxies, hops: live.xffNumTrustedHops })
  const certificates = createCertificateTable(live, live.acmeHosts)
  const routes = fixed.services === 'authenticate' ? [] : live.routes
  const forwarder = upstreams.open({ config: { ...live, routes }, cookieNames: ownCookieNames(live) })
  return Object.freeze({
    ...shared.lifetimes.begin(() => forwarder.end()),
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
      createSessionAuthenticator({ ...shared, cookieNames: names }),
      createProgramAuthenticator(shared),
      createServiceTokenAuthenticator(shared.tokens),
      createBearerAuthenticator({ ...shared, reader: shared.bearers, live }),
      createCertificateAuthenticator(live.downstreamMtls),
    ],
    forwarder,
    rateLimits: createRateLimits({ ...live, routes }, shared.rateCounts),
  })
}
