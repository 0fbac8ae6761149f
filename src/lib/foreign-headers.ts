/**
 * Request headers that applications believe because a proxy in front of them used to write them: who is signed in, the
 * client's certificate, the client's address, the original request. From a client they are forgeries, so they are
 * removed unless the route allows them (`allow_request_headers`). Normal names (see lib/header-names.ts), each with who
 * writes it. Left out on purpose are names that clients themselves send to applications: `X-Auth-Token` and `X-User-Id`
 * (OpenStack, Rocket.Chat), `X-Access-Token`, `X-Goog-Channel-…` and `X-Goog-Api-Key` (Google's webhooks and APIs).
 */

const PREFIXES: readonly string[] = [
  // Who is signed in.
  'x-auth-request-', // oauth2-proxy
  'x-webauth-', // Grafana's auth proxy
  'x-remote-', // Kubernetes' authenticating proxy
  'remote-', // CGI, Authelia
  'impersonate-', // Kubernetes
  'cf-access-', // Cloudflare Access
  'x-goog-authenticated-user-', // Google Identity-Aware Proxy
  'x-goog-iap-',
  'x-appengine-', // Google App Engine
  'x-amzn-oidc-', // AWS load balancers
  'x-amzn-mtls-',
  'x-ms-client-principal', // Azure App Service
  'x-ms-token-',
  'tailscale-', // Tailscale Serve
  'teleport-', // Teleport
  'ngrok-auth-', // ngrok
  'x-authentik-', // authentik
  'x-vouch-', // Vouch
  'x-consumer-', // Kong
  'x-credential-',
  'x-authenticated-',
  'oidc-', // mod_auth_openidc
  'mellon-', // mod_auth_mellon
  'shib-', // Shibboleth
  'sm-user', // SiteMinder
  'sm-universalid',
  // The certificate of the client's connection.
  'client-cert', // RFC 9440
  'x-client-cert',
  'x-ssl-client-',
  'ssl-client-', // ingress-nginx
  'cf-client-cert-', // Cloudflare
  'cf-cert-',
  'x-tls-client-',
  // The client and its request as another hop saw them.
  'x-forwarded-',
  'x-original-',
  'x-envoy-', // Envoy, Istio
  'wl-proxy-', // WebLogic
]

const NAMES: ReadonlySet<string> = new Set([
  // Who is signed in: Louketo, Keycloak Gatekeeper and many a hand-made gateway.
  'x-auth-audience',
  'x-auth-email',
  'x-auth-group',
  'x-auth-groups',
  'x-auth-name',
  'x-auth-role',
  'x-auth-roles',
  'x-auth-subject',
  'x-auth-user',
  'x-auth-user-email',
  'x-auth-user-id',
  'x-auth-user-name',
  'x-auth-userid',
  'x-auth-username',
  'x-userinfo', // APISIX, Kong's OIDC plugin
  'x-endpoint-api-userinfo', // Google Cloud Endpoints
  'x-apigateway-api-userinfo', // Google API Gateway
  'x-proxiedentitieschain', // NiFi
  'iv-user', // IBM WebSEAL
  'iv-groups',
  'iv-creds',
  'oam-remote-user', // Oracle Access Manager
  'osso-user-dn',
  'smuser',
  // The certificate of the client's connection.
  'x-arr-clientcert', // Azure
  'x-ssl-cert', // nginx, HAProxy
  'ssl-cert',
  'x-client-dn',
  'x-client-verify',
  // The client's address.
  'client-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'cf-pseudo-ipv4',
  'fastly-client-ip',
  'fly-client-ip',
  'do-connecting-ip',
  'x-azure-clientip',
  'x-azure-socketip',
  'x-nf-client-connection-ip',
  'x-vercel-forwarded-for',
  'x-real-ip',
  'x-originating-ip',
  'proxy-client-ip',
  // The client's request.
  'forwarded',
  'x-forwarded',
  'x-rewrite-url',
  // Its trace (https://www.w3.org/TR/trace-context/).
  'traceparent',
  'tracestate',
])

/** Of a trusted hop applications get these; the other ones of the client's request we write ourselves. */
const OF_HOPS: ReadonlySet<string> = new Set(['x-forwarded-prefix', 'traceparent', 'tracestate'])

/** https://www.w3.org/TR/trace-context/ */
export function isOfTrace(lower: string): boolean {
  return lower === 'traceparent' || lower === 'tracestate'
}

export function isOfTrustedHops(lower: string): boolean {
  return OF_HOPS.has(lower)
}

/** Does a proxy that is not ours write this header for applications to believe? */
export function isForeign(normal: string): boolean {
  return NAMES.has(normal) || PREFIXES.some((prefix) => normal.startsWith(prefix))
}
