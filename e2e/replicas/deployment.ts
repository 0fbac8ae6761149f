/** Several Posterns over one store behind a balancer, an Okta and an application: what an operator runs. Tests only. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { WebSocketServer } from 'ws'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator, type OktaEmulator } from '../../emulator/okta/emulator.ts'
import { type Browser, createBrowser } from '../../test/support/browser.ts'
import { listenOn, portOf, signIn } from '../../test/support/world.ts'
import { type Balancer, startBalancer } from './balancer.ts'
import { type Program, startProgram } from './program.ts'

export const AUTH = 'http://authenticate.localhost'
export const APP = 'http://app.localhost'
export const ENGINEERING = 'http://engineering.localhost'

export interface DeploymentOptions {
  readonly count?: number
  /** `storage` of the configuration, given a directory of its own; absent: `configOf` says it. */
  readonly storage?: (folder: string) => Readonly<Record<string, unknown>>
  /** Fills the store, which nobody has opened yet. */
  readonly prepare?: (folder: string, issuer: string) => Promise<void>
  /** Merged over the configuration. */
  readonly config?: Readonly<Record<string, unknown>>
  /** Merged over that, for the replica in this place. */
  readonly configOf?: (place: number) => Readonly<Record<string, unknown>>
}

export interface Deployment {
  /** Goes with it. */
  readonly folder: string
  readonly okta: OktaEmulator
  readonly balancer: Balancer
  readonly replicas: readonly Program[]
  /** At the balancer, or at one replica alone. */
  browser(at?: Program): Browser
  signIn(browser: Browser, login: string, url?: string): ReturnType<typeof signIn>
  /** Starts another in the place of one that has ended. */
  replace(ended: Program): Promise<Program>
  /** One more that no balancer knows, with other keys; the caller ends it. */
  extra(changes: Readonly<Record<string, unknown>>): Promise<Program>
  /** Resolves when the balancer takes as many for ready. */
  untilReady(count: number): Promise<void>
  close(): Promise<void>
}

export const SHARED_SECRET = createHash('sha256').update('postern replicas').digest('base64')

export async function startDeployment({
  count = 3,
  storage,
  prepare,
  config = {},
  configOf = () => ({}),
}: DeploymentOptions): Promise<Deployment> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-replicas-'))
  const okta = await createOktaEmulator({
    seed: demoSeed({
      redirectUris: [`${AUTH}/oauth2/callback`],
      postLogoutRedirectUris: [`${AUTH}/.postern/signed_out`],
    }),
    rateLimits: 'off',
  })
  const application = await startApplication()
  const settings = {
    authenticate_service_url: AUTH,
    address: '127.0.0.1:0',
    health_check_addr: '127.0.0.1:0',
    shared_secret: SHARED_SECRET,
    idp_provider_url: okta.url,
    idp_client_id: DEMO.clientId,
    idp_client_secret: DEMO.clientSecret,
    // A busy machine needs longer than the default.
    idp_timeout: '60s',
    idp_service_account: DEMO.apiToken,
    storage: storage?.(folder),
    drain_delay: '2s',
    drain_timeout: '20s',
    ...config,
    routes: [
      { name: 'App', from: APP, to: application.url, allow_any_authenticated_user: true },
      { name: 'Engineering', from: ENGINEERING, to: application.url, allowed_groups: ['Engineering'] },
    ],
  }
  let files = 0
  function start(changes: Readonly<Record<string, unknown>> = {}): Promise<Program> {
    const file = join(folder, `config-${files++}.yaml`)
    writeFileSync(file, stringify({ ...settings, ...changes }), { mode: 0o600 })
    return startProgram({ config: file })
  }

  const replicas: Program[] = []
  let balancer: Balancer | undefined
  async function close(): Promise<void> {
    await balancer?.close()
    await Promise.all(replicas.map((replica) => replica.kill()))
    await okta.close()
    await application.close()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await prepare?.(folder, okta.url)
    // One after the other, as a rollout does.
    for (let place = 0; place < count; place++) replicas.push(await start(configOf(place)))
    balancer = await startBalancer(() => replicas)
  } catch (error) {
    await close()
    throw error
  }
  const { port } = balancer
  const front = balancer
  return {
    folder,
    okta,
    balancer: front,
    replicas,
    browser: (at) => createBrowser(() => at?.port ?? port),
    signIn: (browser, login, url = `${APP}/`) => signIn(browser, okta.url, url, login),
    async replace(ended) {
      const place = replicas.indexOf(ended)
      const next = await start(configOf(place))
      replicas[place] = next
      return next
    },
    extra: start,
    async untilReady(wanted) {
      while (front.ready() !== wanted) await sleep(50)
    },
    close,
  }
}

/** Echoes, drips an answer over two seconds at /slow, and takes WebSockets. */
async function startApplication(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server: Server = createServer((req, res) => void answer(req, res))
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => socket.on('message', (text) => socket.send(text)))
  await listenOn(server)
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    async close() {
      for (const socket of sockets.clients) socket.terminate()
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  let body = ''
  for await (const chunk of req.setEncoding('utf8')) body += chunk
  res.writeHead(200, { 'content-type': 'text/html' })
  if (req.url !== '/slow') return void res.end(`<h1>${req.method} ${req.url}</h1>${body}`)
  for (let part = 0; part < 20; part++) {
    res.write('.')
    await sleep(100)
  }
  res.end('done')
}
