import { writeFileSync } from 'node:fs'
import { answering, find, freePort, start, together, UNDER_TEST } from '../programs.ts'
import { CALLBACK, NEEDS, startOauth2Proxy } from './oauth2-proxy.ts'
import type { Peer } from './peer.ts'

/** Caddy asks oauth2-proxy about each request; both count, both on the same core. */
export const caddyForwardAuth: Peer = {
  name: 'Caddy + forward_auth + oauth2-proxy',
  needs: { caddy: 'apt-get install caddy', ...NEEDS },
  versionOf: [['caddy', 'version']],
  callback: CALLBACK,
  async start(place) {
    const judge = await freePort()
    const judging = startOauth2Proxy(place, { listen: judge, upstream: 'static://202' })
    await answering(judge, '/ping')
    const file = `${place.directory}/Caddyfile`
    writeFileSync(
      file,
      `{
  admin off
  auto_https off
  storage file_system ${place.directory}/caddy
}
http://:${place.port} {
  bind 127.0.0.1
  handle /oauth2/* {
    reverse_proxy 127.0.0.1:${judge}
  }
  handle {
    forward_auth 127.0.0.1:${judge} {
      uri /oauth2/auth
      header_up X-Real-IP {remote_host}
      copy_headers X-Auth-Request-Email X-Auth-Request-Groups
      @unknown status 401
      handle_response @unknown {
        redir * /oauth2/sign_in?rd={scheme}://{host}:${place.port}{uri}
      }
    }
    reverse_proxy 127.0.0.1:${place.upstream}
  }
}
`,
    )
    return together(
      start(UNDER_TEST, [find('caddy') ?? '', 'run', '--config', file, '--adapter', 'caddyfile']),
      judging,
    )
  },
}
