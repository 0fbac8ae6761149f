import { randomBytes } from 'node:crypto'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { find, type Program, start, UNDER_TEST } from '../programs.ts'
import { originOf, type Peer, type Place } from './peer.ts'

export const NEEDS = { 'oauth2-proxy': 'bash scripts/bench-peers.sh' } as const
export const CALLBACK = '/oauth2/callback'

export const oauth2Proxy: Peer = {
  name: 'oauth2-proxy',
  needs: NEEDS,
  versionOf: [['oauth2-proxy', '--version']],
  callback: CALLBACK,
  start: (place) =>
    Promise.resolve(startOauth2Proxy(place, { listen: place.port, upstream: `http://127.0.0.1:${place.upstream}` })),
}

/** For people who come to `place`; sessions in cookies, which is its default; no log. */
export function startOauth2Proxy(
  place: Place,
  { listen, upstream }: { readonly listen: number; readonly upstream: string },
): Program {
  return start(UNDER_TEST, [
    find('oauth2-proxy') ?? '',
    `--http-address=127.0.0.1:${listen}`,
    `--upstream=${upstream}`,
    '--provider=oidc',
    `--oidc-issuer-url=${place.okta}`,
    `--client-id=${DEMO.clientId}`,
    `--client-secret=${DEMO.clientSecret}`,
    `--redirect-url=${originOf(place)}${CALLBACK}`,
    '--scope=openid profile email groups',
    '--code-challenge-method=S256',
    // Okta takes no colon in a state.
    '--encode-state',
    '--email-domain=*',
    '--allowed-group=Engineering',
    `--cookie-secret=${randomBytes(16).toString('hex')}`,
    '--cookie-secure=false',
    '--skip-provider-button',
    '--insecure-oidc-allow-unverified-email',
    '--reverse-proxy',
    '--set-xauthrequest',
    '--request-logging=false',
    '--auth-logging=false',
    '--standard-logging=false',
  ])
}
