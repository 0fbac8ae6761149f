/** One Postern after the other on a provider and an upstream that stay, and what can be seen of each from outside. */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, createServer as createTcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
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

function endless(res: ServerResponse): void {
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
function cookies(lines: readonly string[] | undefined): unknown {
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

function assertion(jwt: string): unknown {
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

/** The upstreams that serve four requests of one person. */
export async function turns({ browser: open, signIn: sign }: Running): Promise<unknown> {
  const browser = open()
  await sign(browser, `${APP}/`)
  const served: unknown[] = []
  for (let i = 0; i < 4; i++) {
    const { body } = await browser.ask(`${APP}/`, { headers: { accept: 'application/json' } })
    served.push((JSON.parse(body) as { upstream: string }).upstream)
  }
  return served.map(String).toSorted()
}

/** Whether the application answers once its upstream has been checked. */
export async function unhealthy({ browser: open, signIn: sign, clock }: Running): Promise<unknown> {
  const browser = open()
  let status = (await sign(browser, `${APP}/`)).status
  for (let i = 0; i < 50 && status !== 503; i++) {
    await clock.advanceAsync(200)
    status = (await browser.ask(`${APP}/`)).status
  }
  return status
}

/** How many upstreams still get requests after one of them has hung up. */
export async function ejects(running: Running): Promise<unknown> {
  await resets(running)
  return new Set((await turns(running)) as string[]).size
}

/** How often a request is sent to an upstream that hangs up. */
export async function resets({ browser: open, signIn: sign, arrived, clock }: Running): Promise<unknown> {
  const browser = open()
  await sign(browser, `${APP}/`)
  const before = arrived('/reset')
  let done = false
  const answer = browser.ask(`${APP}/reset`).finally(() => (done = true))
  while (!done) await clock.advanceAsync(100)
  await answer
  return arrived('/reset') - before
}

/** How long an upstream may take before the person gets an answer, to half a minute. */
export async function waitFor(
  path: '/never' | '/stall',
  running: Running,
  host = 'public.localhost',
): Promise<unknown> {
  const { port, clock, lines } = running
  lines()
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`)
  if (path === '/stall') await new Promise((resolve) => socket.once('data', resolve))
  const logged: Record<string, unknown>[] = []
  for (let second = 0; second < 300 && logged.length === 0; second++) {
    await clock.advanceAsync(1000)
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
    logged.push(...lines().filter(({ path: asked }) => asked === path))
  }
  socket.destroy()
  return logged.map(({ status, cut, duration_ms }) => [status, cut, Math.round(Number(duration_ms) / 30_000) / 2])
}

/** Seconds that a client has for its request's header. */
export async function headerTime({ port, clock, lines }: Running): Promise<unknown> {
  lines()
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await new Promise<void>((resolve) => socket.write('GET / HTTP/1.1\r\n', () => resolve()))
  // One exchange on another connection: what was written before has been read by then.
  await createBrowser(() => port).ask('http://public.localhost/')
  lines()
  for (let second = 1; second < 300; second++) {
    clock.advance(1000)
    // The line is written when the time is up, without any waiting.
    if (lines().some(({ status }) => status === 408)) return second
  }
  return 'never'
}

/** Is the answer there within two seconds? */
export async function connects({ browser: open, clock }: Running): Promise<unknown> {
  let answer: unknown
  void open()
    .ask('http://public.localhost/')
    .then(({ status }) => (answer = status))
  for (let waited = 0; waited < 2000 && answer === undefined; waited += 100) {
    // The request and its answer need real turns.
    await new Promise((resolve) => setTimeout(resolve, 50))
    await clock.advanceAsync(100)
  }
  return answer ?? 'still waiting'
}

/** Status of the answer to whoever shows this certificate. */
export function withCertificate({ port }: Running, cert: string, key: string): Promise<unknown> {
  return new Promise((resolve) => {
    const servername = 'mtls.localhost'
    const socket = connectTls({ port, host: '127.0.0.1', servername, rejectUnauthorized: false, cert, key }, () =>
      socket.write(`GET / HTTP/1.1\r\nhost: ${servername}\r\nconnection: close\r\n\r\n`),
    )
    let text = ''
    socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => resolve(text.slice(9, 12)))
  })
}

/** The certificate that a new connection is shown. */
export function certificateOf({ port }: Running): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256)
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

/** What is done with a path that can be read in two ways: the status, and the address that a sign-in returns to. */
export async function askedPath(running: Running, path: string): Promise<unknown> {
  const { status, headers } = await running.browser().ask(APP + path)
  return [status, headers.location && new URL(headers.location).searchParams.get('return_to')]
}

/** Status of the answer to a request that is large in one way. */
export async function large(
  { browser }: Running,
  {
    host = 'http://public.localhost',
    path = '/',
    headers = {},
    body,
  }: {
    readonly host?: string
    readonly path?: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: string
  },
): Promise<unknown> {
  const method = body === undefined ? 'GET' : 'POST'
  return (await browser().ask(host + path, { method, headers, ...(body !== undefined && { body }) })).status
}

/** Statuses of what somebody asks five times at once, signed in if need be. */
export async function inARow({ browser: open, signIn: sign, clock }: Running, url: string): Promise<unknown> {
  const browser = open()
  // With a burst as long, nothing that came before counts.
  await clock.advanceAsync(110_000)
  if (url.startsWith(APP)) await sign(browser, url).catch(() => {})
  const statuses: number[] = []
  for (let i = 0; i < 5; i++) statuses.push((await browser.ask(url)).status)
  return statuses
}

/** Status of a preflight. */
/** What a browser that runs scripts gets while nobody is signed in. */
export async function begunBy({ browser }: Running): Promise<unknown> {
  const headers = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
  return (await browser().ask(`${APP}/x`, { headers })).status
}

/** Our page for an address that no application has; its request number and time are of that one time. */
export async function nowhere({ browser }: Running): Promise<unknown> {
  const { body } = await browser().ask('http://nowhere.localhost/')
  return body.replace(/request%20[\w-]+/, '').replace(/Request <code>.*/, '')
}

/** What a sign-in comes to. */
export async function signInStatus(running: Running): Promise<unknown> {
  return (await running.signIn(running.browser(), `${APP}/x`)).status
}

/** What a sign-in comes to where groups count. */
export async function teamStatus(running: Running): Promise<unknown> {
  return (await running.signIn(running.browser(), 'http://team.localhost/')).status
}

/** What our own address answers to whoever shows this: is it refused? */
export function controlStatus(path: string, authorization: string): (running: Running) => Promise<unknown> {
  return async (running) => {
    const { status, body } = await running.browser().ask(AUTH + path, {
      method: path.includes('/scim/') ? 'GET' : 'POST',
      headers: {
        authorization,
        'content-type': path.endsWith('/ssf') ? 'application/secevent+jwt' : 'application/json',
        accept: 'application/json',
      },
      ...(path.includes('/scim/') ? {} : { body: '{}' }),
    })
    return [status, /"err": *"(\w+)"/.exec(body)?.[1]]
  }
}

/** What somebody who may not open the application is told. */
export async function refusedPage(running: Running): Promise<unknown> {
  const { body } = await running.signIn(running.browser(), `${APP}/x`)
  return /<h2>Why<\/h2>.*?<\/section>/.exec(body)?.[0]
}

export async function preflight(running: Running): Promise<unknown> {
  const headers = { origin: 'https://partner.corp.example', 'access-control-request-method': 'PUT' }
  return (await running.browser().ask(`${APP}/x`, { method: 'OPTIONS', headers })).status
}

/** How many of three connections at once are answered. */
export async function connectionsAtOnce({ port }: Running): Promise<unknown> {
  const statuses: string[] = []
  const sockets: Socket[] = []
  for (let i = 0; i < 3; i++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    sockets.push(socket)
    socket.write('GET / HTTP/1.1\r\nhost: public.localhost\r\n\r\n')
    statuses.push(
      await new Promise<string>((resolve) => {
        socket.once('data', (data: Buffer) => resolve(data.toString('latin1', 0, 12)))
        socket.once('close', () => resolve('closed'))
      }),
    )
  }
  const left = sockets.filter(({ closed }) => !closed)
  await Promise.all(left.map((socket) => new Promise((resolve) => socket.once('close', resolve).destroy())))
  return statuses
}

/** Status of a handshake by somebody who is signed in. */
export async function handshake(running: Running, origin = APP, protocol = 'websocket'): Promise<unknown> {
  const browser = running.browser()
  await running.signIn(browser, `${APP}/x`)
  const cookie = [...(browser.cookies.get('app.localhost') ?? [])].map((pair) => pair.join('=')).join('; ')
  const socket = connect(running.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(
    `GET /x HTTP/1.1\r\nhost: app.localhost\r\ncookie: ${cookie}\r\norigin: ${origin}\r\nupgrade: ${protocol}\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  )
  const answer = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString('latin1'))))
  socket.destroy()
  return answer.slice(0, 12)
}

/** After a signal to stop: seconds until it stops accepting, and until a busy exchange is cut. */
export async function drains({ app, port, clock, lines }: Running): Promise<unknown> {
  lines()
  const busy = connect(port, '127.0.0.1')
  busy.on('error', () => {})
  busy.write('GET /never HTTP/1.1\r\nhost: public.localhost\r\n\r\n')
  await createBrowser(() => port).ask('http://public.localhost/')
  let cut = false
  busy.on('close', () => (cut = true)).resume()
  const closed = app.close('drained')
  let accepting: number | undefined
  for (let second = 0; second < 600; second++) {
    if (lines().some(({ msg }) => msg === 'accepting no more')) accepting = second
    if (cut) {
      await closed
      return [accepting, Math.round(second / 30) * 30]
    }
    await clock.advanceAsync(1000)
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error('nothing was cut')
}

/** Groups that are as old as the sign-in: are they still believed after ten seconds? */
export async function oldGroups(running: Running): Promise<unknown> {
  const browser = running.browser()
  await running.signIn(browser, `${APP}/x`)
  await running.clock.advanceAsync(10_000)
  return (await browser.ask(`${APP}/x`, { headers: { accept: 'application/json' } })).status
}

/** Asked three minutes after a sign-in. */
export async function oldSignIn(running: Running): Promise<unknown> {
  const browser = running.browser()
  await running.signIn(browser, `${APP}/x`)
  await running.clock.advanceAsync(180_000)
  return (await browser.ask(`${APP}/x`, { headers: { accept: 'application/json' } })).status
}

let flows = 0

/** Behind a request that keeps a connection to the upstream busy: what becomes of the next one, and in how many tens of seconds. */
export async function queued({ port, clock, lines, arrived }: Running, host = 'public.localhost'): Promise<unknown> {
  lines()
  const [first, second] = [`/never-${flows++}`, `/after-${flows}`]
  const send = (path: string): Socket => {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    socket.write(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`)
    return socket.resume()
  }
  const sockets = [send(first)]
  while (arrived(first) === 0) await new Promise((resolve) => setImmediate(resolve))
  sockets.push(send(second))
  // A while on the machine's clock, so that an answer that needs no waiting is there before time passes.
  const soon = Date.now() + 500
  let line: Record<string, unknown> | undefined
  for (let waited = 0; waited < 300 && !line; ) {
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
    line = lines().find(({ path }) => path === second)
    if (Date.now() < soon) continue
    waited++
    if (!line) await clock.advanceAsync(1000)
  }
  for (const socket of sockets) socket.destroy()
  return line && [line['status'], Math.round(Number(line['duration_ms']) / 10_000)]
}

/** Tens of seconds that a connection is kept on which nothing more is asked. */
export async function keptIdle({ port, clock }: Running): Promise<unknown> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.write('GET / HTTP/1.1\r\nhost: public.localhost\r\n\r\n')
  await new Promise((resolve) => socket.once('data', resolve))
  for (let seconds = 0; seconds < 300; seconds += 10) {
    // Connections are looked at every few seconds, and nobody says which.
    if (socket.closed) return `${Math.floor(seconds / 60)} minutes`
    await clock.advanceAsync(10_000)
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error('the connection was not ended')
}

/** How an answer to HTTP/1.1 begins: `HTTP`, or a frame of HTTP/2. */
export async function firstOctets({ port }: Running): Promise<unknown> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.write('GET / HTTP/1.1\r\nhost: public.localhost\r\n\r\n')
  const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
  socket.destroy()
  return answer.toString('latin1', 0, 4)
}

/** A client that stops in its request body: the answer, and after how many tens of seconds. */
export function stoppedUpload(running: Running): Promise<unknown> {
  return upload(running, () => {})
}

/** A client that sends one byte of its body every 20 s. */
export function drippedUpload(running: Running): Promise<unknown> {
  return upload(running, (socket, second) => {
    if (second % 20 === 0) socket.write('x')
  })
}

async function upload(
  { port, clock, lines }: Running,
  each: (socket: Socket, second: number) => void,
): Promise<unknown> {
  const path = `/never-${flows++}`
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.resume()
  await new Promise<void>((resolve) =>
    socket.write(`POST ${path} HTTP/1.1\r\nhost: public.localhost\r\ncontent-length: 100\r\n\r\nx`, () => resolve()),
  )
  // One exchange on another connection: what was written before has been read by then.
  await createBrowser(() => port).ask('http://public.localhost/')
  for (let second = 1; second <= 400; second++) {
    await clock.advanceAsync(1000)
    each(socket, second)
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
    const line = lines().find((one) => one['path'] === path)
    if (line) return [line['status'], line['limit'], Math.round(second / 30)]
  }
  socket.destroy()
  return 'never'
}

/** A client that asks for a lot and reads nothing: is it cut off within five minutes? The time-out counts from its last progress. */
export async function unread(running: Running): Promise<unknown> {
  const { port, arrived } = running
  const path = `/endless-${flows++}`
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.pause()
  socket.write(`GET ${path} HTTP/1.1\r\nhost: public.localhost\r\n\r\n`)
  while (arrived(path) === 0) await new Promise((resolve) => setImmediate(resolve))
  // Until every buffer on the way is full.
  await new Promise((resolve) => setTimeout(resolve, 300))
  const line = await untilLogged(running, path)
  socket.destroy()
  return [line['cut'], Number(line['duration_ms']) < 300_000]
}

/** A WebSocket in which nobody says anything: whole minutes until it is closed, because connections are looked at now and then. */
export async function idleTunnel(running: Running, host = 'public.localhost'): Promise<unknown> {
  const path = `/tunnel-${flows++}`
  const socket = connect(running.port, '127.0.0.1').on('error', () => {})
  socket.write(
    `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  )
  await new Promise((resolve) => socket.once('data', resolve))
  const line = await untilLogged(running, path)
  socket.destroy()
  return [line['status'], Math.floor(Number(line['duration_ms']) / 60_000)]
}

async function untilLogged({ clock, lines }: Running, path: string): Promise<Record<string, unknown>> {
  for (let second = 0; second < 2400; second++) {
    const line = lines().find((each) => each['path'] === path)
    if (line) return line
    await clock.advanceAsync(1000)
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error(`no line for ${path}`)
}

/** Is a session open after a quarter of an hour in which nobody used it? */
export async function idleEnd({ browser: open, signIn: sign, clock }: Running): Promise<unknown> {
  const browser = open()
  await sign(browser, `${APP}/`)
  clock.advance(15 * 60_000)
  return (await browser.ask(`${APP}/`, { headers: { accept: 'application/json' } })).status
}

/** What the first application hears of somebody who is signed in. */
export async function told({ browser: open, signIn: sign }: Running): Promise<unknown> {
  const browser = open()
  await sign(browser, `${APP}/.postern/`)
  const { headers } = JSON.parse((await browser.ask(`${APP}/`)).body) as { headers: Record<string, string> }
  const payload = Buffer.from(headers['x-postern-jwt-assertion']?.split('.')[1] ?? '', 'base64url').toString()
  const { iss, groups } = JSON.parse(payload || '{}') as { iss?: string; groups?: unknown }
  return [headers['x-postern-claim-email'], headers['x-postern-claim-groups'], headers['authorization'], iss, groups]
}

/** May another site frame the first application? */
export async function framing({ browser: open, signIn: sign }: Running): Promise<unknown> {
  const { headers } = await sign(open(), `${APP}/`)
  return headers['x-frame-options']
}

/** What the shadow policy of the first application says of somebody who is signed in. */
export async function shadowDecision({ browser: open, signIn: sign, lines }: Running): Promise<unknown> {
  lines()
  await sign(open(), `${APP}/`)
  return lines().flatMap(({ shadow_decision: shadow }) => shadow ?? [])
}

/** What a program without a credential is asked for. */
export async function challengeOf(running: Running): Promise<unknown> {
  const { headers } = await running.browser().ask(`${APP}/`, { headers: { accept: '*/*' } })
  return headers['www-authenticate']
}

/** What the portal lists for somebody who is signed in. */
export async function listed({ browser: open, signIn: sign }: Running): Promise<unknown> {
  const browser = open()
  await sign(browser, `${APP}/.postern/account`)
  const { body } = await browser.ask(`${APP}/.postern/api/v1/routes`, { headers: { accept: 'application/json' } })
  return (JSON.parse(body) as { routes: readonly object[] }).routes
}

/** What the status page answers somebody who is signed in. */
export async function seesStatus({ browser: open, signIn: sign }: Running): Promise<unknown> {
  const browser = open()
  await sign(browser, `${APP}/`)
  return (await browser.ask(`${AUTH}/.postern/api/v1/status`, { headers: { accept: 'application/json' } })).status
}
