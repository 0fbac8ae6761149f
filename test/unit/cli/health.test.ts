import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/lib/log.ts'
import { type Component, listenHealth } from '../../../src/server/health.ts'
import type { SideListener } from '../../../src/server/side-listener.ts'
import { cli } from '../../support/cli.ts'

let listener: SideListener | undefined
afterEach(async () => {
  await listener?.close()
  listener = undefined
})

async function listenOnLoopback(ready: boolean, components: readonly Component[] = []): Promise<string> {
  listener = await listenHealth(
    { host: '127.0.0.1', port: 0 },
    { ready: () => ready, started: () => true, components: async () => components, logger: silentLogger },
  )
  return `127.0.0.1:${listener.address.port}`
}

describe('postern health', () => {
  test('exits with 0 and says ok when Postern is ready', async () => {
    const addr = await listenOnLoopback(true)
    expect(await cli(['health', '--addr', addr])).toEqual({ exitCode: 0, out: 'ok', err: '' })
  })

  test('exits with 1 when Postern is not ready', async () => {
    const addr = await listenOnLoopback(false)
    expect(await cli(['health', '--addr', addr])).toEqual({ exitCode: 1, out: '', err: 'not ready' })
  })

  test('ignores a failed component that is excluded, and every degraded one', async () => {
    const addr = await listenOnLoopback(true, [
      { name: 'store', status: 'failed', detail: 'disk full' },
      { name: 'directory', status: 'degraded', detail: 'okta: ERR_DIRECTORY_UNREACHABLE' },
    ])
    expect(await cli(['health', '--addr', addr, '--verbose'])).toEqual({
      exitCode: 1,
      out: 'failed    store: disk full\ndegraded  directory: okta: ERR_DIRECTORY_UNREACHABLE',
      err: 'not ready',
    })
    expect(await cli(['health', '--addr', addr, '--exclude', 'other,store', '--verbose'])).toEqual({
      exitCode: 0,
      out: 'degraded  directory: okta: ERR_DIRECTORY_UNREACHABLE',
      err: '',
    })
  })

  test('asks the address of HEALTH_CHECK_ADDR, and this machine when that is every address of it', async () => {
    await listenOnLoopback(true)
    const port = listener?.address.port
    for (const address of [`127.0.0.1:${port}`, `:${port}`, `0.0.0.0:${port}`]) {
      const { exitCode, out } = await cli(['health'], { env: { HEALTH_CHECK_ADDR: address } })
      expect([address, exitCode, out]).toEqual([address, 0, 'ok'])
    }
  })

  test('says what to do when nothing answers', async () => {
    const { exitCode, out, err } = await cli(['health', '--addr', `127.0.0.1:${await closedPort()}`])
    expect([exitCode, out]).toEqual([1, ''])
    expect(err).toMatch(
      /^postern: no answer from http:\/\/127\.0\.0\.1:\d+: ECONNREFUSED; is this the health_check_addr of a running Postern\? \(--addr HOST:PORT\)$/,
    )
  })

  test('exits with an error when another program answers', async () => {
    const other = createServer((_req, res) => res.writeHead(404).end('ok'))
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    expect(await cli(['health', '--addr', `127.0.0.1:${port}`])).toEqual({
      exitCode: 1,
      out: '',
      err: `postern: http://127.0.0.1:${port} answered 404, which is not what a health_check_addr does`,
    })
    await new Promise((resolve) => other.close(resolve))
  })

  test('an address without a port is wrong usage', async () => {
    expect(await cli(['health', '--addr', 'localhost'])).toEqual({
      exitCode: 2,
      out: '',
      err: 'postern: expected host:port or :port, found "localhost"',
    })
  })
})

async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
