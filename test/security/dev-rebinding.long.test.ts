/**
 * `postern dev` signs a browser in without asking. A web page must get nothing of it: neither by a name of its own that
 * resolves to 127.0.0.1 (DNS rebinding), nor by a form that it posts, nor by a WebSocket, nor over the network.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createBrowser } from '../support/browser.ts'
import { type Dev, mirror, startDev } from '../support/dev.ts'
import { createEcho, type EchoUpstream } from '../support/echo.ts'

let echo: EchoUpstream
let dev: Dev
/** Where the identity provider itself listens. */
let provider: number

beforeAll(async () => {
  echo = await createEcho(mirror)
  dev = await startDev(echo.url)
  const said = /"okta":"http:\/\/127\.0\.0\.1:(\d+)"/
  await vi.waitFor(() => expect(dev.output()).toMatch(said), { timeout: 20_000 })
  provider = Number(said.exec(dev.output())?.[1])
})
afterAll(async () => {
  await dev?.stop()
  await echo?.close()
})

interface Answered {
  readonly status: number
  readonly body: string
  readonly cookies: readonly string[]
}

function ask(
  port: number,
  path: string,
  headers: Readonly<Record<string, string>>,
  { method = 'GET', body = '' }: { readonly method?: string; readonly body?: string } = {},
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: text, cookies: response.headers['set-cookie'] ?? [] }),
      )
    })
    // A WebSocket that is let in has no answer of this kind.
    asked.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: response.statusCode ?? 0, body: '', cookies: [] })
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

describe('a name of another site that resolves to this machine', () => {
  const names = (port: number): readonly string[] => [
    `evil.example:${port}`,
    'evil.example',
    `app.localhost.evil.example:${port}`,
    `evil.localhost:${port}`,
  ]

  test.each([
    '/',
    '/become',
    '/control/state',
    '/.postern/',
    '/.postern/user',
    '/.postern/sign_in',
    '/oauth2/v1/authorize',
  ])('is refused by Postern at %s', async (path) => {
    for (const host of names(dev.port)) {
      const { status, cookies } = await ask(dev.port, path, { host, accept: 'text/html', 'sec-fetch-mode': 'navigate' })
      expect([host, status, cookies]).toEqual([host, 404, []])
    }
  })

  test.each([
    '/',
    '/become',
    '/control/state',
    '/.well-known/openid-configuration',
    '/api/v1/users',
    '/oauth2/v1/authorize',
  ])('is refused by the identity provider at %s', async (path) => {
    for (const host of [...names(provider), `localhost:${provider}`, dev.app.slice('http://'.length)]) {
      const { status, body } = await ask(provider, path, { host })
      expect([host, status, body]).toEqual([host, 421, 'This is not that host.\n'])
    }
  })
})

describe('a form that another page posts', () => {
  const headers = (origin: string | undefined): Readonly<Record<string, string>> => ({
    ...FORM,
    host: `people.localhost:${dev.port}`,
    ...(origin !== undefined && { origin }),
  })

  test.each([
    ['of another site', () => 'https://evil.example'],
    ['of the application', () => dev.app],
    ['of a sandboxed frame', () => 'null'],
    ['of the provider by its inner address', () => `http://127.0.0.1:${provider}`],
    ['without an origin', () => undefined],
  ])('%s makes nobody somebody else', async (_whose, origin) => {
    const asked = { method: 'POST', body: 'login=mallory@evil.example&groups=Admins' }
    for (const port of [dev.port, provider]) {
      const { status, cookies } = await ask(port, '/become', headers(origin()), asked)
      expect([status, cookies]).toEqual([403, []])
    }
    const { body } = await ask(dev.port, '/control/state', headers(undefined))
    expect(body).not.toContain('mallory')
  })

  test('of the application changes nothing of the org', async () => {
    const asked = { method: 'POST', body: 'login=mallory@evil.example' }
    expect((await ask(dev.port, '/control/people', headers(dev.app), asked)).status).toBe(403)
  })
})

test('a WebSocket that another page opens is refused, whoever the browser is', async () => {
  const browser = createBrowser()
  expect((await browser.go(`${dev.app}/`)).status).toBe(200)
  const cookie = [...(browser.cookies.get('app.localhost') ?? [])].map(([name, value]) => `${name}=${value}`).join('; ')
  const upgrade = (origin: string): Promise<Answered> =>
    ask(dev.port, '/', {
      host: `app.localhost:${dev.port}`,
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13',
      cookie,
      origin,
    })
  expect((await upgrade('https://evil.example')).status).toBe(403)
  expect((await upgrade(dev.people)).status).toBe(403)
})

test.skipIf(process.platform !== 'linux')('nothing listens but on loopback', () => {
  const sockets = new Set(
    readdirSync(`/proc/${dev.pid}/fd`).map((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${dev.pid}/fd/${fd}`))?.[1]
      } catch {
        return undefined
      }
    }),
  )
  const listening = ['tcp', 'tcp6'].flatMap((file) =>
    readFileSync(`/proc/net/${file}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      // State 0A is LISTEN.
      .filter((fields) => fields[3] === '0A' && sockets.has(fields[9]))
      .map((fields) => fields[1]?.split(':')[0]),
  )
  expect(listening).toEqual(['0100007F', '0100007F'])
})
