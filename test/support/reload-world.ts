/** One Postern after the other on a provider and an upstream that stay, and what can be seen of each from outside. */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { stringify } from 'yaml'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator } from '../../emulator/okta/emulator.ts'
import { type App, startApp } from '../../src/single.ts'
import { formatIssue, parseConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/model.ts'
import { createLogger } from '../../src/lib/log.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'
import { type Browser, createBrowser } from './browser.ts'
import { type ManualClock, manualClock } from './clock.ts'
import { startRedis } from './redis.ts'
import { listenOn, portOf, signIn } from './world.ts'

export type Settings = Readonly<Record<string, unknown>>

/** A running Postern. */
export interface Running {
  readonly app: App
  readonly clock: ManualClock
  readonly port: number
  readonly browser: () => Browser
  /** The log since the last call of `lines`, as it was written. */
  logText(): string
  /** Lines of the log since the last call. */
  readonly lines: () => readonly Record<string, unknown>[]
  readonly signIn: (browser: Browser, url: string) => ReturnType<typeof signIn>
  /** Requests for this path that reached the first upstream. */
  readonly arrived: (path: string) => number
}

export interface ReloadWorld {
  /** A configuration with everything that any other does not say. */
  readonly base: Settings
  /** Another upstream than that of `base`, one with a certificate of ours, one that asks for a certificate, and one that never completes a handshake. */
  readonly upstreams: { readonly other: string; readonly tls: string; readonly mtls: string; readonly mute: string }
  /** PEM private key of the service app `app-a` of the org, which calls it `key-a`. */
  readonly serviceKey: string
  /** A store that can be shared. */
  readonly redisUrl: string
  compile(settings: Settings): Config
  start(settings: Settings): Promise<Running>
  /** A file with this content; its path. */
  file(content: string): string
  /** A new path in a folder that goes with the world. */
  readonly path: () => string
  close(): Promise<void>
}

export const APP = 'http://app.localhost'

export const AUTH = 'http://authenticate.localhost'

const LOGIN = 'alice@example.com'

export async function createReloadWorld(): Promise<ReloadWorld> {
  const clock = manualClock(Date.now())
  const folder = mkdtempSync(join(tmpdir(), 'postern-reload-'))
  const okta = await createOktaEmulator({
    seed: demoSeed({
      redirectUris: [`${AUTH}/oauth2/callback`],
      postLogoutRedirectUris: [`${AUTH}/.postern/signed_out`],
    }),
    clock,
  })
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  okta.addApp({
    id: 'app-a',
    label: 'Reader',
    kind: 'service',
    jwks: [{ ...publicKey.export({ format: 'jwk' }), kid: 'key-a' } as never],
    role: 'READ_ONLY_ADMIN',
    grantedScopes: ['okta.users.read', 'okta.groups.read', 'okta.logs.read'],
  })
  const arrived = new Map<string, number>()
  const upstream = (label: string) => (req: IncomingMessage, res: ServerResponse) => {
    const { url = '' } = req
    arrived.set(url, (arrived.get(url) ?? 0) + 1)
    echo(label, req, res)
  }
  const held = new Set<Socket>()
  const servers = await Promise.all(
    [
      createServer(upstream('first')).on('upgrade', acceptUpgrade),
      createServer(upstream('other')),
      createTlsServer({ cert: CERTIFICATE, key: KEY }, upstream('tls')),
      createTlsServer({ cert: CERTIFICATE, key: KEY, requestCert: true, rejectUnauthorized: false }, (req, res) =>
        echo(`client ${(req.socket as TLSSocket).getPeerCertificate().fingerprint256}`, req, res),
      ),
    ].map(listenOn),
  )
  const mute = createTcpServer((socket) => void held.add(socket.on('error', () => {})))
  await new Promise<void>((resolve) => void mute.listen(0, '127.0.0.1', resolve))
  const [first = 0, other = 0, tls = 0, mtls = 0] = servers.map(portOf)
  const to = `http://127.0.0.1:${first}`
  const redis = await startRedis()
  const base: Settings = {
    authenticate_service_url: AUTH,
    address: '127.0.0.1:0',
    shared_secret: createHash('sha256').update('reload world').digest('base64'),
    idp_provider_url: okta.url,
    idp_client_id: DEMO.clientId,
    idp_client_secret: DEMO.clientSecret,
    idp_scopes: ['openid', 'profile', 'email', 'groups'],
    storage: { type: 'memory' },
    pass_identity_headers: true,
    jwt_claims_headers: ['email'],
    routes: [
      { from: APP, to, allow_any_authenticated_user: true },
      { from: 'http://public.localhost', to, allow_public_unauthenticated_access: true },
      { from: 'http://team.localhost', to, allowed_groups: ['Engineering'] },
    ],
  }

  function compile(settings: Settings): Config {
    const loaded = parseConfig(stringify(settings), 'config.yaml', {}, (path) => readFileSync(path, 'utf8'))
    if (loaded.kind === 'invalid') throw new Error(loaded.issues.map(formatIssue).join('\n'))
    return loaded.config
  }

  const running = new Set<App>()
  let paths = 0
  const path = (): string => join(folder, String(paths++))
  return {
    base,
    upstreams: {
      other: `http://127.0.0.1:${other}`,
      tls: `https://127.0.0.1:${tls}`,
      mtls: `https://127.0.0.1:${mtls}`,
      mute: `https://127.0.0.1:${portOf(mute)}`,
    },
    serviceKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    redisUrl: `redis://127.0.0.1:${redis.port}`,
    compile,
    async start(settings) {
      let written: string[] = []
      const config = compile(settings)
      const sink = new Writable({ write: (chunk: Buffer, _, done) => (written.push(chunk.toString('utf8')), done()) })
      const logger = createLogger(config.live.logLevel, sink)
      logger.prepare(config.live).commit()
      const app = await startApp({ config, logger, clock })
      running.add(app)
      const { port } = app.listener.address
      return {
        app,
        clock,
        port,
        browser: () => createBrowser(() => port),
        lines() {
          const lines = written
            .join('')
            .split('\n')
            .filter((line) => line.startsWith('{'))
          written = []
          return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
        },
        logText: () => written.join(''),
        signIn: (browser, url) => signIn(browser, okta.url, url, LOGIN),
        arrived: (path) => arrived.get(path) ?? 0,
      }
    },
    file(content) {
      const name = path()
      writeFileSync(name, content)
      return name
    },
    path,
    async close() {
      await Promise.all([...running].map((app) => app.close()))
      await okta.close()
      await redis.close()
      for (const socket of held) socket.destroy()
      mute.close()
      for (const server of servers) {
        server.closeAllConnections()
        server.close()
      }
      rmSync(folder, { recursive: true })
    },
  }
}

/** `/never` gets no answer, `/stall` half of one, `/endless` one that does not fit anywhere, `/reset` a closed connection; everything else what was asked, as JSON. */
function echo(label: string, req: IncomingMessage, res: ServerResponse): void {
  if (req.url?.startsWith('/never')) return
  if (req.url?.startsWith('/stall')) return void res.writeHead(200, { 'content-length': 10 }).write('half')
  if (req.url?.startsWith('/endless')) return endless(res)
  if (req.url?.startsWith('/reset')) return void req.socket.destroy()
  req.resume()
  res.setHeader('content-type', 'application/json')
  res.end(JSON.stringify({ upstream: label, method: req.method, url: req.url, headers: req.headers }))
}

const PIECE = Buffer.alloc(1024 * 1024)

export function endless(res: ServerResponse): void {
  while (!res.destroyed && res.write(PIECE));
  res.once('drain', () => endless(res))
}

/** Of any protocol. */
function acceptUpgrade(req: IncomingMessage, socket: Socket): void {
  const accept = createHash('sha1')
    .update(`${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64')
  socket.on('error', () => socket.destroy())
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: ${req.headers.upgrade}\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  )
}

let paths = 0

/** A path that nothing else asks for: `/never-3`. */
export function ownPath(kind: string): string {
  return `/${kind}-${paths++}`
}

export async function untilLogged({ clock, lines }: Running, path: string): Promise<Record<string, unknown>> {
  for (let second = 0; second < 2400; second++) {
    const line = lines().find((each) => each['path'] === path)
    if (line) return line
    await clock.advanceAsync(1000)
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error(`no line for ${path}`)
}

/**
 * What people, applications and operators see: the way to the provider, cookies, what reaches the upstream, pages, keys
 * and log lines. Nothing in it is random: names of flows, ids and instants are left out.
 */
export async function behaviour({ app, browser: open, lines, signIn: sign, clock }: Running): Promise<unknown> {
  lines()
  const browser = open()
  const anonymous = await browser.ask(`${APP}/x/page?q=1`)
  const begun = anonymous.headers.location ? await browser.ask(anonymous.headers.location) : undefined
  const landed = await sign(browser, `${APP}/x/page?q=1`)
  const scripted = await browser.ask(`${APP}/x/page?q=1`, {
    headers: {
      accept: 'application/json',
      'x-probe': 'sent',
      'x-webauth-user': 'mallory',
      'x-forwarded-for': '203.0.113.9',
      origin: APP,
    },
  })
  const expires: unknown[] = []
  const paths: unknown[] = []
  for (const prefix of ['/.postern', '/.pomerium']) {
    const user = await browser.ask(`${APP}${prefix}/user`, { headers: { accept: 'application/json' } })
    if (user.status === 200) {
      const { session_expires_at: at, groups } = JSON.parse(user.body) as {
        session_expires_at: string
        groups: unknown
      }
      expires.push([Math.round((Date.parse(at) - clock.now()) / 60_000), groups])
    }
    const keys = await browser.ask(`${APP}${prefix.replace('/.', '/.well-known/')}/jwks.json`)
    const out = await open().ask(`${AUTH}${prefix}/sign_out`)
    paths.push([prefix, user.status, keys.status, keysOf(keys.body), out.status, out.headers.location])
  }
  const team = await browser.go('http://team.localhost/')
  const held = [...browser.cookies].map(([host, jar]) => [
    host,
    [...jar.keys()].map((name) => name.replace(/\.[\w-]+$/, '.')),
  ])
  const seen = lines().filter(({ status }) => status !== undefined)
  return {
    address: app.listener.address.address,
    anonymous: [anonymous.status, place(anonymous.headers.location), cookies(anonymous.headers['set-cookie'])],
    provider: begun && [begun.status, place(begun.headers.location), cookies(begun.headers['set-cookie'])],
    landed: [landed.status, landed.url.host, landed.url.pathname, upstreamView(landed.body)],
    scripted: [scripted.status, upstreamView(scripted.body)],
    team: [team.status, team.url.host],
    public: (await browser.ask('http://public.localhost/')).status,
    // A browser that signs in once more shows the session cookie's attributes.
    session: await sessionCookies(open(), sign),
    expires,
    paths,
    held,
    log: [...new Set(seen.map(({ level, route }) => `${String(level)} ${String(route)}`))],
  }
}

/** Of which events the log tells, after a sign-in. */
export async function auditEvents({ browser, lines, signIn }: Running): Promise<unknown> {
  lines()
  await signIn(browser(), `${APP}/`)
  return lines().flatMap(({ event }) => (event === undefined ? [] : [event]))
}

/** Which fields the line of a request has. */
export async function requestFields({ browser, lines, signIn }: Running): Promise<unknown> {
  const person = browser()
  await signIn(person, `${APP}/`)
  lines()
  await person.ask(`${APP}/x?q=1`, { headers: { 'x-probe': 'sent' } })
  return lines().flatMap(({ msg, ...fields }) => (msg === 'request' ? [Object.keys(fields).toSorted()] : []))
}

/** Is the log JSON? */
export async function logForm(running: Running): Promise<unknown> {
  await running.browser().ask('http://public.localhost/')
  return running
    .logText()
    .trim()
    .split('\n')
    .every((line) => line.startsWith('{'))
}

/** The ids of a key set; nothing for what is none. */
function keysOf(body: string): unknown {
  return body.startsWith('{"keys"')
    ? (JSON.parse(body) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)
    : undefined
}

/** Where a redirect leads, without what is new in each. */
function place(location: string | undefined): unknown {
  if (location === undefined) return undefined
  const url = new URL(location)
  const fixed = ['client_id', 'scope', 'redirect_uri', 'prompt', 'response_type', 'return_to']
  return [url.origin, url.pathname, fixed.map((name) => url.searchParams.get(name))]
}

/** Names and attributes; the part of a name that is the flow's own is left out. */
export function cookies(lines: readonly string[] | undefined): unknown {
  return lines?.map((line) => line.replace(/=[^;]*/, '').replace(/\.[\w-]+;/, '.;'))
}

async function sessionCookies(browser: Browser, sign: Running['signIn']): Promise<unknown> {
  const set: unknown[] = []
  const watched: Browser = {
    ...browser,
    async ask(url, ask) {
      const answer = await browser.ask(url, ask)
      set.push(cookies(answer.headers['set-cookie']))
      return answer
    },
    async go(target, stop = () => false) {
      let url = new URL(target)
      for (let hop = 0; hop < 20; hop++) {
        const answer = await watched.ask(url)
        const { location } = answer.headers
        if (location === undefined) return answer
        url = new URL(location, url)
        if (stop(url)) return { ...answer, url }
      }
      throw new Error('more than 20 redirects')
    },
  }
  await sign(watched, `${APP}/x`)
  // The provider's own cookies are in it as well: only ours are compared.
  return set.flat().filter((line) => /^(?:__Host-)?\w*(?:postern|pomerium|gate)/.test(String(line)))
}

/** What an upstream was told; of an assertion its header and claims. */
function upstreamView(body: string): unknown {
  let said: { headers?: Record<string, string> }
  try {
    said = JSON.parse(body) as typeof said
  } catch {
    return body.length > 0 ? 'a page' : ''
  }
  const headers = Object.entries(said.headers ?? {})
    .filter(([name]) => name !== 'x-request-id' && name !== 'request_id')
    .map(([name, value]) => [name, /^ey[\w-]+\.ey/.test(value) ? assertion(value) : value])
  const { request_id: _, ...rest } = said as Record<string, unknown>
  return { ...rest, headers }
}

export function assertion(jwt: string): unknown {
  return jwt
    .split('.')
    .slice(0, 2)
    .map((part) => {
      const {
        iat: _i,
        exp: _e,
        jti: _j,
        sid: _s,
        ...rest
      } = JSON.parse(Buffer.from(part, 'base64url').toString()) as Settings
      return rest
    })
}
