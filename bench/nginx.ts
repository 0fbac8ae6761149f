import { mkdirSync, writeFileSync } from 'node:fs'
import { type Program, start } from './programs.ts'

export const SMALL = 'x'.repeat(1024)
export const BIG = 1024 * 1024

/** One process, no log: `/` is 1 KiB, `/big` 1 MiB, `/upload` reads a whole body before it answers. */
export function startUpstream(core: number, directory: string, port: number, sink: number): Program {
  const files = `${directory}/files`
  mkdirSync(files, { recursive: true })
  writeFileSync(`${files}/big`, 'x'.repeat(BIG))
  return run(
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
      location = /big { }
      location = /upload { proxy_pass http://127.0.0.1:${sink}; }
    }
    server {
      listen 127.0.0.1:${sink};
      client_max_body_size 0;
      location / { return 200 "read"; }
    }`,
  )
}

export function startNginxProxy(core: number, directory: string, port: number, upstream: number): Program {
  return run(
    core,
    directory,
    'proxy',
    `
    upstream up { server 127.0.0.1:${upstream}; keepalive 4096; keepalive_requests 1000000000; }
    server {
      listen 127.0.0.1:${port};
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

function run(core: number, directory: string, name: string, servers: string): Program {
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
