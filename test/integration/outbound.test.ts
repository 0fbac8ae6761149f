/** Calls to the identity provider and to Okta: through a proxy, with an authority of one's own. */
import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { formatIssue, parseConfig } from '../../src/config/load.ts'
import type { Config, Outbound } from '../../src/config/model.ts'
import { createOktaClient } from '../../src/directory/okta/client.ts'
import { createOidcProvider } from '../../src/identity/oidc.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'
import { cli } from '../support/cli.ts'

const NAME = 'app.internal'
const open: Server[] = []
let port = 0
/** What the proxy was asked for: `app.internal:443 Basic …`. */
let asked: string[] = []
let proxyPort = 0

beforeEach(async () => {
  asked = []
  port = await listen(
    createHttpsServer({ cert: CERTIFICATE, key: KEY }, (req, res) => {
      const issuer = `https://${req.headers.host}`
      const metadata = {
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/keys`,
        keys: [{ kty: 'RSA' }],
      }
      res.writeHead(200, { 'content-type': 'application/json' })
      res.end(JSON.stringify(req.url === '/api/v1/users/me' ? { id: '00u1' } : metadata))
    }),
  )
  const proxy = createHttpServer().on('connect', (req, socket) => {
    asked.push([req.url, req.headers['proxy-authorization']].filter(Boolean).join(' '))
    const upstream = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    for (const each of [socket, upstream]) each.on('error', () => upstream.destroy())
    socket.on('close', () => upstream.destroy())
  })
  proxyPort = await listen(proxy)
})
afterEach(async () => {
  for (const server of open.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function listen(server: Server): Promise<number> {
  open.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

const through = (except: readonly string[] = []): Outbound => ({
  ca: CERTIFICATE,
  proxy: { url: new Secret(`http://user:pass@127.0.0.1:${proxyPort}`), except },
})

async function signInAddress(issuer: string, outbound: Outbound): Promise<string> {
  const provider = createOidcProvider({
    idp: {
      name: 'default',
      provider: 'oidc',
      issuer,
      clientId: 'postern',
      clientAuth: { kind: 'none' },
      scopes: ['openid'],
      requestParams: {},
      pushedRequests: 'when-possible',
      allowUnverifiedEmail: false,
      timeout: 5000,
      outbound,
    },
    redirectUri: new URL('https://authenticate.corp.example/oauth2/callback'),
    clock: systemClock,
    logger: silentLogger,
  })
  return (await provider.begin(AbortSignal.timeout(5000))).redirect.origin
}

describe('the identity provider', () => {
  test('is reached through the proxy, with the password of the proxy, and is trusted by the authority', async () => {
    expect(await signInAddress(`https://${NAME}`, through())).toBe(`https://${NAME}`)
    expect(asked).toEqual([`${NAME}:443 Basic ${Buffer.from('user:pass').toString('base64')}`])
  })

  test('is not trusted without the authority', async () => {
    await expect(signInAddress(`https://localhost:${port}`, {})).rejects.toMatchObject({ code: 'ERR_IDP_TLS' })
    expect(await signInAddress(`https://localhost:${port}`, { ca: CERTIFICATE })).toBe(`https://localhost:${port}`)
  })

  test('is reached without the proxy when it is an exception', async () => {
    await signInAddress(`https://localhost:${port}`, through(['localhost']))
    expect(asked).toEqual([])
  })
})

test('Okta is reached through the proxy', async () => {
  const client = createOktaClient({
    origin: `https://${NAME}`,
    credentials: { kind: 'token', token: new Secret('00token') },
    clock: systemClock,
    timeout: 5000,
    budget: 1,
    outbound: through(),
  })
  const answer = await client.get('/api/v1/users/me', {}, { signal: AbortSignal.timeout(5000), priority: 'confirm' })
  await client.close()
  expect(answer?.body).toEqual({ id: '00u1' })
  expect(asked).toHaveLength(1)
})

const base = {
  AUTHENTICATE_SERVICE_URL: 'https://authenticate.corp.example',
  IDP_PROVIDER: 'oidc',
  IDP_PROVIDER_URL: `https://${NAME}`,
  IDP_CLIENT_ID: 'postern',
  SHARED_SECRET: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
  INSECURE_SERVER: 'true',
  CERTIFICATE_AUTHORITY: CERTIFICATE,
}

test('check --online takes HTTPS_PROXY and NO_PROXY from the environment, in either case', async () => {
  const env = { ...base, https_proxy: `http://127.0.0.1:${proxyPort}` }
  expect(await cli(['check', '--online'], { env })).toMatchObject({ exitCode: 0 })
  expect(new Set(asked)).toEqual(new Set([`${NAME}:443`]))
  asked = []
  const direct = { ...env, NO_PROXY: '.internal other.example', IDP_TIMEOUT: '200ms' }
  expect(await cli(['check', '--online'], { env: direct })).toMatchObject({ exitCode: 4 })
  expect(asked).toEqual([])
})

describe('the keys', () => {
  const load = (env: Record<string, string>): Config | readonly string[] => {
    const loaded = parseConfig(undefined, 'environment', { ...base, ...env }, () => '')
    return loaded.kind === 'ok' ? loaded.config : loaded.issues.map(formatIssue)
  }

  test('a proxy without a scheme is http, and loopback is never proxied', () => {
    const config = load({ HTTPS_PROXY: 'proxy.corp.example:3128', NO_PROXY: 'a.example,.b.example' })
    expect(config).toMatchObject({
      fixed: {
        idps: [{ outbound: { proxy: { except: ['localhost', '127.0.0.1', '[::1]', 'a.example', '.b.example'] } } }],
      },
    })
    expect('fixed' in config && config.fixed.idps[0].outbound?.proxy?.url.reveal()).toBe(
      'http://proxy.corp.example:3128/',
    )
  })

  test('what is no proxy is refused, and its password is not shown', () => {
    expect(load({ HTTPS_PROXY: 'socks5://user:hunter2@proxy:1080' })).toEqual([
      'environment HTTPS_PROXY https_proxy: expected http://host:port of a proxy that takes CONNECT, perhaps with user:password@',
      expect.stringContaining('there are no routes'),
    ])
  })
})
