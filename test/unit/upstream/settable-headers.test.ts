import { headerLines, linesOf, listOf } from '../../../src/http/header-lines.ts'
import { expect, test } from 'vitest'
import { parseConfig } from '../../../src/config/load.ts'
import { normalName } from '../../../src/lib/header-names.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { createHeaderContext, upstreamHeaders } from '../../../src/upstream/headers.ts'
import { facts, grant, hopMark, principal } from './support.ts'

const NAMES = [
  'X-Mine',
  'Authorization',
  'Cookie',
  'Accept',
  'X-Forwarded-For',
  'X-Forwarded-Proto',
  'X-Forwarded-Host',
  'X-Forwarded-Port',
  'X-Forwarded-User',
  'Remote-User',
  'X-Real-Ip',
  'X-Original-Url',
  'Forwarded',
  'X-Corp-User',
  'X_Corp.User',
  'X-Postern-Jwt-Assertion',
  'X-Pomerium-Jwt-Assertion',
  'X-Postern-Claim-Email',
  'X_Pomerium_Claim_Email',
  'X-Request-Id',
  'X_Request_Id',
  'Postern-Hop',
  'Postern_Hop',
  'Host',
  'Content-Length',
  'Content_Length',
  'Transfer-Encoding',
  'Transfer.Encoding',
  'Connection',
  'Keep-Alive',
  'Proxy',
  'Proxy-Authorization',
  'TE',
  'Trailer',
  'Upgrade',
  'HTTP2-Settings',
  'Expect',
]

function load(compatibility: string, route: object) {
  return parseConfig(
    JSON.stringify({
      authenticate_service_url: 'https://authenticate.corp.example',
      insecure_server: true,
      shared_secret: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
      idp_provider: 'oidc',
      idp_provider_url: 'https://issuer.corp.example',
      idp_client_id: 'postern',
      compatibility,
      jwt_claims_headers: { 'X-Corp-User': 'email' },
      routes: [{ from: 'https://app.test', to: 'http://up.test', allow_any_authenticated_user: true, ...route }],
    }),
    'config.yaml',
    {},
    () => '',
  )
}

/** What an application gets of one route of a configuration that was accepted. */
function sent(loaded: ReturnType<typeof load>): readonly (readonly [name: string, value: string | undefined])[] {
  if (loaded.kind !== 'ok') throw new Error('not accepted')
  const { live } = loaded.config
  const [route] = live.routes
  if (route?.action.kind !== 'forward') throw new Error('no route that forwards')
  const context = createHeaderContext({
    naming: live.naming,
    identityHeaders: live.identityHeaders,
    cookieNames: ['postern'],
    transportSecurity: '',
    hopMark,
    logger: silentLogger,
  })
  const identity = ['x-corp-user', 'alice', live.naming.assertionHeader, 'a.b.c']
  const client = NAMES.flatMap((name) => [name, 'of the client'])
  const { headers } = upstreamHeaders(
    grant({ ...route, action: route.action }, facts(), principal()),
    headerLines(client),
    linesOf(identity),
    context,
    '127.0.0.1',
  )
  const flat = listOf(headers)
  return flat.flatMap((name, i) => (i % 2 === 0 ? [[normalName(name), flat[i + 1]] as const] : []))
}

test.each(['postern', 'pomerium'].flatMap((mode) => NAMES.map((name) => [mode, name] as const)))(
  'with %s names: a route that sets %s is refused, or the application gets that value and no other',
  (mode, name) => {
    const loaded = load(mode, { set_request_headers: { [name]: 'of the route' } })
    if (loaded.kind === 'invalid') {
      expect(loaded.issues.map(({ path }) => path)).toEqual([['routes', 0, 'set_request_headers', name]])
    } else {
      const values = sent(loaded).flatMap(([known, value]) => (known === normalName(name) ? [value] : []))
      expect(values).toEqual(['of the route'])
    }
  },
)

test.each(['postern', 'pomerium'].flatMap((mode) => NAMES.map((name) => [mode, name] as const)))(
  'with %s names: a route that removes %s is refused, or the application does not get it',
  (mode, name) => {
    const loaded = load(mode, { remove_request_headers: [name] })
    if (loaded.kind === 'invalid') {
      expect(loaded.issues.map(({ path }) => path)).toEqual([['routes', 0, 'remove_request_headers', 0]])
    } else {
      expect(sent(loaded).map(([known]) => known)).not.toContain(normalName(name))
    }
  },
)
