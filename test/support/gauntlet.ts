import { expect, vi } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { createEcho, type EchoUpstream, type Received } from './echo.ts'
import { sendRaw, type WireAnswer, type WireOptions } from './wire.ts'
import { createTestWorld, SHARED_SECRET, type World, type WorldOptions } from './world.ts'

export const APP = 'app.localhost'
export const ADMIN = 'admin.localhost'
// Hooks may not use expect.poll.
const SOON = { timeout: 60_000, interval: 2 }

export interface Outcome {
  readonly answers: readonly WireAnswer[]
  /** Status of each answer. */
  readonly statuses: readonly number[]
  /** What reached the upstream because of it. */
  readonly received: readonly Received[]
  /** The access lines that it left. */
  readonly lines: readonly Record<string, unknown>[]
}

export interface SendOptions extends WireOptions {
  /** Access lines beyond one for each answer: for requests that were cut; -1 for a health check, which has none. */
  readonly moreLines?: number
}

/** The running program between a raw socket and an upstream that keeps every byte. */
export interface Gauntlet {
  readonly world: World
  readonly echo: EchoUpstream
  /** Session cookies by login (`alice`) for `APP`. */
  readonly cookies: Readonly<Record<string, string>>
  /** Sends these bytes on one connection and waits for the answers, the end and the access lines. */
  send(bytes: string | Buffer, options?: SendOptions): Promise<Outcome>
  /** One well-formed request that closes its connection. `headers`: lines. */
  get(target: string, ...headers: readonly string[]): Promise<Outcome>
  /** Ignores the log lines of what a browser did in between. */
  skip(): Promise<void>
  /** What must hold after every file: alive, sign-in works, one line a request, no secret in the log (I3, I4, I5). */
  expectUnharmed(): Promise<void>
  close(): Promise<void>
}

/** The routes that the attacks aim at: public, signed-in, group, regex, WebSocket and rewritten ones on one host; another host; nothing else. */
const ROUTES: readonly Readonly<Record<string, unknown>>[] = [
  { name: 'R1', prefix: '/public', allow_public_unauthenticated_access: true },
  { name: 'R2', prefix: '/user', allow_any_authenticated_user: true },
  { name: 'R3', prefix: '/admin', allowed_groups: ['Engineering'] },
  { name: 'R4', regex: '/api/[^/]+/status', allow_public_unauthenticated_access: true },
  { name: 'R6', prefix: '/ws', allowed_groups: ['Engineering'] },
  { name: 'R6 off', prefix: '/nows', allowed_groups: ['Engineering'], allow_websockets: false },
  { name: 'R7', prefix: '/strip/', prefix_rewrite: '/internal/', allow_public_unauthenticated_access: true },
]

export interface GauntletOptions extends WorldOptions {
  /** Signed in at the start. */
  readonly people?: readonly string[]
  /** Before the usual ones. */
  readonly moreRoutes?: readonly Readonly<Record<string, unknown>>[]
  readonly answer?: (request: Received) => string | undefined
  /** Changes the org before anybody signs in. */
  readonly prepare?: (okta: World['okta']) => void
}

export async function createGauntlet(options: GauntletOptions = {}): Promise<Gauntlet> {
  const { people = ['alice', 'bob'], moreRoutes = [], answer, prepare, ...worldOptions } = options
  const echo = await createEcho(answer)
  const world = await createTestWorld({
    routes: [
      ...[...moreRoutes, ...ROUTES].map((route) => ({ from: `http://${APP}`, to: echo.url, ...route })),
      { name: 'R8', from: `http://${ADMIN}`, to: echo.url, allowed_groups: ['Engineering'] },
    ],
    ...worldOptions,
  })
  prepare?.(world.okta)
  const cookies: Record<string, string> = {}
  for (const login of people) {
    const browser = world.browser()
    const answered = await world.signIn(browser, `http://${APP}/user`, `${login}@example.com`)
    if (answered.status !== 200) throw new Error(`${login} could not sign in: ${answered.status} ${answered.body}`)
    cookies[login] = `postern=${browser.cookies.get(APP)?.get('postern')}`
  }
  const seen = { requests: echo.received.length, log: 0, lines: 0, promised: 0 }
  const newLines = (): Record<string, unknown>[] => {
    const text = world.logText()
    const lines = text.slice(seen.log).split('\n').filter(Boolean)
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === 'request')
  }
  /** Requests that were answered before this one have left their lines when it has left its own. */
  async function skip(): Promise<void> {
    await sendRaw(world.port, request('GET', '/skip'))
    await vi.waitFor(() => expect(newLines().at(-1)?.['path']).toBe('/skip'), SOON)
    seen.log = world.logText().length
    seen.requests = echo.received.length
  }
  await skip()

  async function send(bytes: string | Buffer, { moreLines = 0, ...options }: SendOptions = {}): Promise<Outcome> {
    const answers = await sendRaw(world.port, bytes, options)
    const promised = answers.length + moreLines
    await vi.waitFor(() => expect(newLines().length).toBeGreaterThanOrEqual(promised), SOON)
    const lines = newLines()
    seen.log = world.logText().length
    seen.lines += lines.length
    seen.promised += promised
    const received = echo.received.slice(seen.requests)
    seen.requests = echo.received.length
    for (const { body } of answers) expect(body).not.toMatch(/\.[tj]s:\d+|node:internal|node_modules/)
    return { answers, statuses: answers.map(({ status }) => status), received, lines }
  }

  return {
    world,
    echo,
    cookies,
    send,
    get: (target, ...headers) => send(request('GET', target, ...headers)),

    skip,

    async expectUnharmed() {
      expect(newLines()).toEqual([])
      expect(seen.lines).toBe(seen.promised)
      expect(echo.garbage).toEqual([])
      const control = await world.signIn(world.browser(), `http://${APP}/admin`, 'alice@example.com')
      expect(control.status).toBe(200)
      expectNoSecrets(world, Object.values(cookies))
    },

    async close() {
      await world.close()
      await echo.close()
    },
  }
}

/** Request line, Host of `APP` (unless a `Host:` line is given), `Connection: close`, the lines, an empty line. */
export function request(method: string, target: string, ...headers: readonly string[]): string {
  const host = headers.some((line) => /^host:/i.test(line)) ? [] : [`Host: ${APP}`]
  return [`${method} ${target} HTTP/1.1`, ...host, 'Connection: close', ...headers, '', ''].join('\r\n')
}

/** The one member of a list that must have one. */
export function only<T>(list: readonly T[]): T {
  const [one, ...more] = list
  if (one === undefined || more.length > 0) throw new Error(`expected one, not ${list.length}`)
  return one
}

/** The secrets of a test world, and every part of these cookie values (I4). */
export function expectNoSecrets(world: World, cookies: readonly string[] = [], more: readonly string[] = []): void {
  const text = world.logText()
  const parts = cookies.flatMap((cookie) => cookie.replace(/^[^=]*=/, '').split('.')).filter((part) => part.length > 8)
  for (const secret of [DEMO.clientSecret, DEMO.apiToken, SHARED_SECRET, ...parts, ...more]) {
    expect(text.includes(secret), `the log holds ${secret}`).toBe(false)
  }
}
