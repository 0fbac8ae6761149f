import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { expect } from 'vitest'
import { stringify } from 'yaml'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator, type OktaEmulator, type OktaEmulatorOptions } from '../../emulator/okta/emulator.ts'
import { type App, startApp } from '../../src/single.ts'
import type { Config } from '../../src/config/model.ts'
import { formatIssue, parseConfig } from '../../src/config/load.ts'
import { createLogger } from '../../src/lib/log.ts'
import { unknownLines } from './log-lines.ts'
import type { ManualClock } from './clock.ts'
import { type Answer, type Browser, createBrowser } from './browser.ts'

export interface WorldOptions {
  /** Merged over the demo's configuration; `undefined` removes a key. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly routes?: readonly Readonly<Record<string, unknown>>[]
  readonly okta?: OktaEmulatorOptions
  readonly clock?: ManualClock
  /** Answers for every route without `to`; echoes as JSON unless given. */
  readonly upstream?: RequestListener
}

export interface World {
  readonly app: App
  readonly okta: OktaEmulator
  /** Requests that reached the upstream. */
  readonly received: IncomingMessage[]
  readonly upstreamUrl: string
  /** The configuration as a file has it. */
  configText(): string
  readonly port: number
  /** Everything Postern has logged, line by line. */
  log(): readonly Record<string, unknown>[]
  logText(): string
  browser(): Browser
  /** From an application's address to the emulator's sign-in form and back. */
  signIn(browser: Browser, url: string, login: string): Promise<Answer>
  /** Ends Postern alone and starts it again on the same store, with these keys of the configuration changed from now on. */
  restart(changes?: Readonly<Record<string, unknown>>): Promise<void>
  /** Puts a changed configuration into force while Postern runs. */
  reload(changes: Readonly<Record<string, unknown>>): void
  /** Another Postern on the same store, with these keys changed for it alone; it closes with the world, unless it was closed before. */
  another(
    changes?: Readonly<Record<string, unknown>>,
  ): Promise<{ readonly app: App; browser(): Browser; close(): Promise<void> }>
  close(): Promise<void>
}

const AUTHENTICATE = 'http://authenticate.localhost'
/** `shared_secret` of every world, to be looked for in logs. */
export const SHARED_SECRET = createHash('sha256').update('postern test world').digest('base64')

/** Postern in this process beside the emulator and one upstream, all on port 0. Addresses have no port: `http://app.localhost/`. */
export async function createTestWorld(options: WorldOptions = {}): Promise<World> {
  const received: IncomingMessage[] = []
  const upstream = await listenOn(
    createServer((req, res) => {
      received.push(req)
      ;(options.upstream ?? echo)(req, res)
    }),
  )
  const okta = await createOktaEmulator({
    seed: demoSeed({
      redirectUris: [`${AUTHENTICATE}/oauth2/callback`],
      postLogoutRedirectUris: [`${AUTHENTICATE}/.postern/signed_out`],
    }),
    ...(options.clock && { clock: options.clock }),
    ...options.okta,
  })
  const state = mkdtempSync(join(tmpdir(), 'postern-test-'))
  const upstreamUrl = `http://127.0.0.1:${portOf(upstream)}`
  const settings: Record<string, unknown> = {
    authenticate_service_url: AUTHENTICATE,
    address: '127.0.0.1:0',
    shared_secret: SHARED_SECRET,
    idp_provider: 'okta',
    idp_provider_url: okta.url,
    idp_client_id: DEMO.clientId,
    idp_client_secret: DEMO.clientSecret,
    // With the real clock a busy machine may need longer than the default.
    ...(options.clock === undefined && { idp_timeout: '60s' }),
    idp_service_account: DEMO.apiToken,
    storage: { type: 'embedded', path: join(state, 'store') },
    pass_identity_headers: true,
    jwt_claims_headers: ['email', 'groups'],
    log_level: 'trace',
    ...options.config,
    routes: (options.routes ?? DEMO_ROUTES).map((route) => ({ to: upstreamUrl, ...route })),
  }
  const lines: string[] = []
  const logger = createLogger(
    'trace',
    new Writable({ write: (chunk: Buffer, _encoding, done) => (lines.push(chunk.toString('utf8')), done()) }),
  )
  const compile = (changes: Readonly<Record<string, unknown>> = {}): Config => {
    const loaded = parseConfig(stringify({ ...settings, ...changes }), 'config.yaml', {}, () => '')
    if (loaded.kind === 'invalid') throw new Error(loaded.issues.map(formatIssue).join('\n'))
    return loaded.config
  }
  const start = (changes?: Readonly<Record<string, unknown>>): Promise<App> =>
    startApp({ config: compile(changes), logger, ...(options.clock && { clock: options.clock }) })
  let app = await start()
  const others = new Set<App>()

  const browser = (): Browser => createBrowser(() => app.listener.address.port)
  return {
    get app() {
      return app
    },
    get port() {
      return app.listener.address.port
    },
    okta,
    received,
    upstreamUrl,
    configText: () => stringify(settings),
    logText: () => lines.join(''),
    log: () =>
      lines
        .join('')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    browser,
    signIn: (who, url, login) => signIn(who, okta.url, url, login),
    async restart(changes = {}) {
      await app.close()
      Object.assign(settings, changes)
      app = await start()
    },
    reload(changes) {
      Object.assign(settings, changes)
      app.reload(compile())
    },
    async another(changes) {
      const other = await start(changes)
      others.add(other)
      return {
        app: other,
        browser: () => createBrowser(() => other.listener.address.port),
        async close() {
          if (others.delete(other)) await other.close()
        },
      }
    },
    async close() {
      for (const other of others) await other.close()
      await app.close()
      await okta.close()
      await new Promise((resolve) => {
        upstream.close(resolve)
        upstream.closeAllConnections()
      })
      rmSync(state, { recursive: true, force: true })
      // Whatever a test is about: docs/log.md knows each line.
      expect(unknownLines(lines.join(''))).toEqual([])
    },
  }
}

const DEMO_ROUTES = [
  { name: 'Engineering', from: 'http://engineering.localhost', allowed_groups: ['Engineering'] },
  { name: 'Everyone', from: 'http://everyone.localhost', allow_any_authenticated_user: true },
  { name: 'Public', from: 'http://public.localhost', allow_public_unauthenticated_access: true },
]

/** From an application's address to the emulator's sign-in form and back. */
export async function signIn(browser: Browser, oktaUrl: string, url: string, login: string): Promise<Answer> {
  const form = await browser.go(url)
  if (form.url.origin !== oktaUrl) return form
  const action = /<form[^>]*action="([^"]+)"/.exec(form.body)?.[1]
  const hidden = [...form.body.matchAll(/<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"/g)].map(
    ([, name = '', value = '']): [string, string] => [name, unescape(value)],
  )
  const posted = await browser.ask(new URL(unescape(action ?? form.url.href), form.url), {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html', 'sec-fetch-mode': 'navigate' },
    body: new URLSearchParams([...hidden, ['identifier', login]]).toString(),
  })
  const { location } = posted.headers
  return location === undefined ? posted : browser.go(new URL(location, posted.url))
}

function unescape(text: string): string {
  return text
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
}

function echo(req: IncomingMessage, res: Parameters<RequestListener>[1]): void {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => {
    res.setHeader('content-type', 'application/json')
    res.end(
      JSON.stringify({
        method: req.method,
        url: req.url,
        headers: req.headers,
        rawHeaders: req.rawHeaders,
        body: Buffer.concat(chunks).toString('latin1'),
      }),
    )
  })
}

export function listenOn<S extends Server>(server: S): Promise<S> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
