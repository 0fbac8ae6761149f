import { writeFileSync } from 'node:fs'
import { find, start, UNDER_TEST } from '../programs.ts'
import type { Peer } from './peer.ts'

/** A proxy in C that signs nobody in: one thread, no log. */
export const haproxy: Peer = {
  name: 'haproxy',
  needs: { haproxy: 'apt-get install haproxy' },
  versionOf: [['haproxy', '-v']],
  start({ directory, port, upstream }) {
    const file = `${directory}/haproxy.cfg`
    writeFileSync(
      file,
      `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  default_backend app
backend app
  server upstream 127.0.0.1:${upstream}
`,
    )
    return Promise.resolve(start(UNDER_TEST, [find('haproxy') ?? '', '-db', '-f', file]))
  },
}
