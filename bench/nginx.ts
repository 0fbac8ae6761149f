import { mkdirSync, writeFileSync } from 'node:fs'
import type { Certificate } from './certificate.ts'
import { type Program, start } from './programs.ts'

const SMALL = 'x'.repeat(1024)
export const BIG = 1024 * 1024
/** Bytes of files; `/size/30` has 30. */
export const SIZES = [30, 1024, 10_240, 102_400, BIG, 10 * BIG]

/** What the upstream answers, by path. */
export const BODIES: ReadonlyMap<string, string> = new Map([
  ['/', SMALL],
  ['/api/x-77/', SMALL],
  ['/big', 'x'.repeat(BIG)],
  ...SIZES.map((size): [string, string] => [`/size/${size}`, 'x'.repeat(size)]),
])

/** One process, no log: the paths above, and `/upload`, which reads a whole body before it answers. */
export function startUpstream(core: number, directory: string, port: number, sink: number): Program {
  const files = `${directory}/files`
  mkdirSync(`${files}/size`, { recursive: true })
  for (const [path, body] of BODIES) if (!path.endsWith('/')) writeFileSync(`${files}${path}`, body)
  return nginx(
    core,
    directory,
    'upstream',
    `
    server {
      listen 127.0.0.1:${port};
      keepalive_requests 1000000000;
      client_max_body_size 0;
      client_body_buffer_size 2m;
      root ${files};
      location = / { return 200 "${SMALL}"; }
      location /api/ { return 200 "${SMALL}"; }
      location = /big { }
      location /size/ { }
      location = /upload { proxy_pass http://127.0.0.1:${sink}; }
    }
    server {
      listen 127.0.0.1:${sink};
      client_max_body_size 0;
      location / { return 200 "read"; }
    }`,
  )
}

export function startNginxProxy(
  core: number,
  directory: string,
  port: number,
  upstream: number,
  certificate?: Certificate,
): Program {
  return nginx(
    core,
    directory,
    `proxy-${port}`,
    `
    upstream up { server 127.0.0.1:${upstream}; keepalive 4096; keepalive_requests 1000000000; }
    server {
      listen 127.0.0.1:${port}${certificate ? ' ssl' : ''};
      ${certificate ? `ssl_certificate ${certificate.file}; ssl_certificate_key ${certificate.keyFile};` : ''}
      ${certificate ? 'ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:all:10m;' : ''}
      keepalive_requests 1000000000;
      client_max_body_size 0;
      location / {
        proxy_pass http://up;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_buffering on;
      }
    }`,
  )
}

/** One nginx without master and log, with these servers. */
export function nginx(core: number, directory: string, name: string, servers: string): Program {
  const home = `${directory}/nginx-${name}`
  mkdirSync(home, { recursive: true })
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${home}/${kind};`)
    .join('\n    ')
  writeFileSync(
    `${home}/nginx.conf`,
    `daemon off; master_process off; pid ${home}/pid; error_log stderr error;
  events { worker_connections 16384; }
  http {
    access_log off; sendfile on; tcp_nodelay on;
    ${temporary}
    ${servers}
  }\n`,
  )
  return start(core, ['nginx', '-p', home, '-e', 'stderr', '-c', `${home}/nginx.conf`])
}
