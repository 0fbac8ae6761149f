import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { expect, test } from 'vitest'
import { inspectUpstreams } from '../../../src/upstream/inspect.ts'
import { CERTIFICATE, EXPIRED, KEY } from './certificate.ts'
import { cleanup, rawUpstream, route } from './support.ts'

async function tls(cert: string): Promise<string> {
  const server = createServer({ key: KEY, cert }, (socket) => socket.on('error', () => {}))
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup(() => new Promise((resolve) => server.close(resolve)))
  return `https://localhost:${(server.address() as AddressInfo).port}`
}

test('each upstream is tried once for each set of TLS settings, and what is wrong is said', async () => {
  const plain = await rawUpstream()
  const [valid, expired] = [await tls(CERTIFICATE), await tls(EXPIRED)]
  const trusted = { skipVerify: false, ca: CERTIFICATE }
  const routes = [
    route([plain.origin, 'http://127.0.0.1:1']),
    route(plain.origin),
    route(valid, { tls: trusted }),
    route(valid, { tls: { ...trusted, serverName: 'other.test' } }),
    route(valid),
    route(expired, { tls: { skipVerify: false, ca: EXPIRED } }),
    route('unix:///nowhere/app.sock'),
  ]
  const found = await inspectUpstreams({ routes }, 5000)
  const of = (origin: string) =>
    found
      .filter(({ upstream }) => upstream === origin)
      .map(({ certificate, problem }) => [certificate, problem] as const)
      .toSorted(([, a = ''], [, b = '']) => a.localeCompare(b))
  expect(of(plain.origin)).toEqual([[false, undefined]])
  expect(plain.connections.all).toHaveLength(1)
  expect(of('http://127.0.0.1:1')).toEqual([[false, 'connect ECONNREFUSED 127.0.0.1:1']])
  expect(of(valid)).toEqual([
    [false, undefined],
    [
      true,
      expect.stringContaining('its certificate is for localhost, app.internal, 127.0.0.1, and not for other.test'),
    ],
    [true, expect.stringContaining('its certificate is self-signed')],
  ])
  expect(of(expired)).toEqual([[true, expect.stringContaining('has expired (localhost, CERT_HAS_EXPIRED)')]])
  expect(of('unix:///nowhere/app.sock')).toEqual([[false, expect.stringContaining('ENOENT')]])
  const known = await inspectUpstreams({ routes: [route(valid)] }, 5000, CERTIFICATE)
  expect(known).toMatchObject([{ certificate: false }])
  expect(found.every(({ definedAt }) => definedAt === 'config.yaml:1:1')).toBe(true)
})
