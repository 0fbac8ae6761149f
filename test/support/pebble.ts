/** Pebble, Let's Encrypt's ACME server for tests, with a DNS server in which every name is 127.0.0.1. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { vi } from 'vitest'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'

export interface Pebble {
  readonly directoryUrl: string
  /** PEM of whoever signed the certificate of the server itself. */
  readonly authority: string
  /** PEM of the root under which it issues. */
  readonly root: string
  close(): Promise<void>
}

const bin = join(process.env.POSTERN_TOOLS ?? join(homedir(), '.cache/postern-tools'), 'bin')
export const havePebble = ['pebble', 'pebble-challtestsrv'].every((name) => existsSync(join(bin, name)))

/** It asks for proof at `httpPort`. */
export async function startPebble(httpPort: number): Promise<Pebble> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-pebble-'))
  const [port, management, dns, challenges] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  const pebble = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: file('tls.crt', CERTIFICATE),
    privateKey: file('tls.key', KEY),
    httpPort,
    tlsPort: 1,
    externalAccountBindingRequired: false,
    domainBlocklist: ['blocked.test'],
    retryAfter: { authz: 1, order: 1 },
    profiles: { default: { description: 'ninety days', validityPeriod: 7_776_000 } },
  }
  const children = [
    run(
      'pebble-challtestsrv',
      `-dns01 127.0.0.1:${dns} -management 127.0.0.1:${challenges} -defaultIPv6= -http01= -https01= -tlsalpn01= -doh=`,
    ),
    run('pebble', `-config ${file('pebble.json', JSON.stringify({ pebble }))} -dnsserver 127.0.0.1:${dns}`),
  ]
  const directoryUrl = `https://localhost:${port}/dir`
  // Hooks may not use expect.poll.
  const root = await vi.waitFor(async () => {
    await get(directoryUrl)
    return get(`https://localhost:${management}/roots/0`)
  }, 60_000)
  return {
    directoryUrl,
    authority: CERTIFICATE,
    root,
    async close() {
      await Promise.all(children.map(end))
      rmSync(folder, { recursive: true })
    },
  }
}

/** Free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

function run(name: string, args: string): ChildProcess {
  return spawn(join(bin, name), args.split(' '), {
    stdio: 'ignore',
    env: { PEBBLE_VA_NOSLEEP: '1', PEBBLE_AUTHZREUSE: '0' },
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  child.kill()
  await once(child, 'exit')
}

function get(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request(url, { ca: CERTIFICATE }, (res) => void text(res).then(resolve, reject))
      .on('error', reject)
      .end()
  })
}
