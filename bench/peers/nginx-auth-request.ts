import { nginx } from '../nginx.ts'
import { answering, freePort, together, UNDER_TEST } from '../programs.ts'
import { CALLBACK, NEEDS, startOauth2Proxy } from './oauth2-proxy.ts'
import type { Peer } from './peer.ts'

/** nginx asks oauth2-proxy about each request, as the manual of oauth2-proxy says; both count, both on the same core. */
export const nginxAuthRequest: Peer = {
  name: 'nginx + auth_request + oauth2-proxy',
  needs: NEEDS,
  versionOf: [],
  callback: CALLBACK,
  async start(place) {
    const judge = await freePort()
    const judging = startOauth2Proxy(place, { listen: judge, upstream: 'static://202' })
    await answering(judge, '/ping')
    const { directory, port, upstream } = place
    const serving = nginx(
      UNDER_TEST,
      directory,
      'auth-request',
      `
    upstream app { server 127.0.0.1:${upstream}; keepalive 4096; keepalive_requests 1000000000; }
    upstream judge { server 127.0.0.1:${judge}; keepalive 4096; keepalive_requests 1000000000; }
    server {
      listen 127.0.0.1:${port};
      keepalive_requests 1000000000;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffer_size 16k;
      proxy_buffers 4 16k;
      location /oauth2/ {
        proxy_pass http://judge;
        proxy_set_header Host $http_host;
        proxy_set_header X-Auth-Request-Redirect $request_uri;
      }
      location = /oauth2/auth {
        proxy_pass http://judge;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Uri $request_uri;
        proxy_set_header Content-Length "";
        proxy_pass_request_body off;
      }
      location / {
        auth_request /oauth2/auth;
        error_page 401 =302 /oauth2/sign_in?rd=$scheme://$http_host$request_uri;
        auth_request_set $email $upstream_http_x_auth_request_email;
        auth_request_set $groups $upstream_http_x_auth_request_groups;
        proxy_set_header X-Email $email;
        proxy_set_header X-Groups $groups;
        proxy_pass http://app;
      }
    }`,
    )
    return together(serving, judging)
  },
}
