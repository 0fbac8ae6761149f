/** How Postern treats its upstreams: one look for each key that shows there. */
import { connect, type Socket } from 'node:net'
import { APP, ownPath, type Running, untilLogged } from './reload-world.ts'

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

/** Behind a request that keeps a connection to the upstream busy: what becomes of the next one, and in how many tens of seconds. */
export async function queued({ port, clock, lines, arrived }: Running, host = 'public.localhost'): Promise<unknown> {
  lines()
  const [first, second] = [ownPath('never'), ownPath('after')]
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

/** A WebSocket in which nobody says anything: whole minutes until it is closed, because connections are looked at now and then. */
export async function idleTunnel(running: Running, host = 'public.localhost'): Promise<unknown> {
  const path = ownPath('tunnel')
  const socket = connect(running.port, '127.0.0.1').on('error', () => {})
  socket.write(
    `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  )
  await new Promise((resolve) => socket.once('data', resolve))
  const line = await untilLogged(running, path)
  socket.destroy()
  return [line['status'], Math.floor(Number(line['duration_ms']) / 60_000)]
}
