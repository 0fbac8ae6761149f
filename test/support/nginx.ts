import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'

export interface Nginx {
  /** Address of its listener, a Unix socket: no port to look for. */
  readonly socketPath: string
  close(): Promise<void>
}

export interface NginxOptions {
  /** What stands in `server { … }`, without `listen`. */
  readonly server: string
  /** PEM: it speaks TLS. */
  readonly tls?: { readonly certificate: string; readonly key: string }
  /** Listens there, too, on 127.0.0.1: what it redirects to names this port. */
  readonly port?: number
}

/** A real nginx with one server on a Unix socket. */
export async function startNginx({ server, tls, port }: NginxOptions): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-nginx-'))
  const socketPath = join(folder, 'socket')
  if (tls) {
    writeFileSync(join(folder, 'tls.crt'), tls.certificate)
    writeFileSync(join(folder, 'tls.key'), tls.key)
  }
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off;
    master_process off;
    pid ${folder}/pid;
    error_log stderr warn;
    events {}
    http {
      access_log off;
      ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n')}
      server {
        listen unix:${socketPath}${tls ? ' ssl' : ''};
        ${port === undefined ? '' : `listen 127.0.0.1:${port}${tls ? ' ssl' : ''};`}
        ${tls ? `ssl_certificate ${folder}/tls.crt; ssl_certificate_key ${folder}/tls.key;` : ''}
        ${server}
      }
    }`,
  )
  const nginx: ChildProcess = spawn('nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaints = ''
  nginx.stderr?.setEncoding('utf8').on('data', (text: string) => (complaints += text))
  const ended = once(nginx, 'exit')
  // Hooks may not use expect.poll.
  await vi.waitFor(
    () => {
      if (nginx.exitCode !== null) throw new Error(`nginx ended: ${complaints}`)
      if (!existsSync(socketPath)) throw new Error('nginx does not listen yet')
    },
    { timeout: 60_000, interval: 10 },
  )
  return {
    socketPath,
    async close() {
      nginx.kill()
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
