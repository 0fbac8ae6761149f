/** `postern check --websockets`: does what is between let a WebSocket through, before anybody needs one? */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { stringify } from 'yaml'
import { CHECKED } from '../support/checked.ts'
import { cli, type Ran } from '../support/cli.ts'
import { listenOn, portOf } from '../support/world.ts'

async function check(
  upgrade: (request: IncomingMessage, socket: Duplex) => void,
  ...options: readonly string[]
): Promise<Ran & { readonly url: string; readonly path: string }> {
  const server = await listenOn(createServer((_, res) => void res.end('page')).on('upgrade', upgrade))
  const folder = mkdtempSync(join(tmpdir(), 'postern-websockets-'))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true })
  })
  const url = `http://127.0.0.1:${portOf(server)}`
  const path = join(folder, 'config.yaml')
  const everybody = { to: url, allow_public_unauthenticated_access: true }
  const settings = {
    ...CHECKED,
    storage: { type: 'memory' },
    routes: [
      { name: 'chat', from: 'http://chat.localhost', prefix: '/live', prefix_rewrite: '/socket', ...everybody },
      { name: 'wiki', from: 'http://wiki.localhost', ...everybody },
      { name: 'shut', from: 'http://shut.localhost', allow_websockets: false, ...everybody },
      { name: 'deaf', from: 'http://deaf.localhost', path: '/deaf', ...everybody },
    ],
  }
  writeFileSync(path, stringify(settings), { mode: 0o600 })
  return { ...(await cli(['check', ...options, path])), url, path }
}

test('what opens, what answers otherwise, and what says nothing', async () => {
  const origins: (string | undefined)[] = []
  const { out, url, path } = await check((request, socket) => {
    origins.push(request.headers.origin)
    if (request.url === '/deaf') socket.destroy()
    else if (request.url === '/socket')
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
    else socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n')
  }, '--websockets')
  expect(out.split('\n').filter((line) => line.includes('WebSocket of'))).toEqual([
    `OK    WebSocket of chat at ${url}/socket: opens`,
    expect.stringContaining(`NOTE  WebSocket of wiki at ${url}/: answers 404 (${path}:`),
    expect.stringContaining(`WARN  WebSocket of deaf at ${url}/deaf: `),
  ])
  // As the page of the application would ask.
  expect(new Set(origins)).toEqual(new Set(['http://chat.localhost', 'http://deaf.localhost', 'http://wiki.localhost']))
})

test('nobody is asked for one without the option', async () => {
  let asked = 0
  const { out } = await check((_, socket) => {
    asked++
    socket.destroy()
  }, '--online')
  expect([asked, out.includes('WebSocket of')]).toEqual([0, false])
})
