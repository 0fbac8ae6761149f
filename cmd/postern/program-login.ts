/** The program's side of src/authenticate/program-login.ts: a sign-in with somebody's browser (RFC 8252). */
import { createHash, randomBytes } from 'node:crypto'
import { lookup } from 'node:dns'
import { once } from 'node:events'
import { request as askInTheClear, createServer, type IncomingMessage, type Server } from 'node:http'
import { request as askByTls } from 'node:https'
import type { AddressInfo, LookupFunction } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { AppError, messageOf } from '../../src/errors.ts'
import { epochMillis, later } from '../../src/lib/time.ts'
import type { Clock } from '../../src/types.ts'
import { type ProgramToken, TOKEN } from './token-cache.ts'

const TIMEOUT_MS = 30_000
/** As long as the page in the browser waits for an answer. */
const PATIENCE_MS = 30 * 60_000
const PREFIXES = ['/.postern', '/.pomerium']
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

/** How the one-time code comes back to us. */
export type Way =
  /** The browser of this machine brings it. `open`: shows the person an address. */
  | { readonly kind: 'browser'; readonly open: (url: string) => void }
  /** The person copies it, from a browser anywhere. */
  | { readonly kind: 'copy'; readonly ask: (url: string) => Promise<string> }
  /** The person enters a code at the identity provider (RFC 8628). */
  | { readonly kind: 'device'; readonly show: (url: string, code: string) => void; readonly wait: Wait }

/** Resolves after so many milliseconds. */
export type Wait = (span: number) => Promise<void>

/** Rejects ERR_USAGE (no Postern there), ERR_DEPENDENCY (no answer), ERR_SIGN_IN_STATE (refused). */
export async function signInProgram(origin: string, way: Way, clock: Pick<Clock, 'now'>): Promise<ProgramToken> {
  const answer = way.kind === 'device' ? await byDevice(origin, way) : await byCode(origin, way)
  const given: unknown = answer.status === 200 ? JSON.parse(answer.text) : {}
  const { access_token: token, expires_in: seconds } = given as Record<string, unknown>
  if (typeof token !== 'string' || !TOKEN.test(token) || typeof seconds !== 'number') {
    throw new AppError('ERR_SIGN_IN_STATE', `${origin} gave no token for this sign-in (${answer.status})`)
  }
  return { token, expiresAt: epochMillis(later(clock.now(), seconds * 1000)) }
}

/** A one-time code, and the proof that it was asked for here. */
async function byCode(origin: string, way: Exclude<Way, { kind: 'device' }>): Promise<Answer> {
  const verifier = randomBytes(32).toString('base64url')
  const challenge = createHash('sha256').update(verifier).digest('base64url')
  const { prefix, code } =
    way.kind === 'browser' ? await byBrowser(origin, challenge, way.open) : await byCopy(origin, challenge, way.ask)
  const form = new URLSearchParams({ grant_type: 'authorization_code', code, code_verifier: verifier })
  return ask(`${origin}${prefix}/api/v1/token`, { method: 'POST', body: form })
}

/** Asks as often as the provider wants until the person has entered the code. */
async function byDevice(origin: string, { show, wait }: Extract<Way, { kind: 'device' }>): Promise<Answer> {
  for (const prefix of PREFIXES) {
    const begun = await ask(`${origin}${prefix}/api/v1/device`, { method: 'POST' })
    const {
      device_code: device,
      user_code: code,
      verification_uri: url,
      interval,
      error_description: problem,
    } = parse(begun)
    if (begun.status === 400) {
      throw new AppError('ERR_USAGE', `${origin} gives no device codes: ${String(problem)}; try --no-browser`)
    }
    if (begun.status !== 200 || typeof url !== 'string' || !/^https?:\/\/[\x21-\x7e]+$/.test(url)) continue
    show(url, String(code))
    const form = new URLSearchParams({ grant_type: DEVICE_GRANT, device_code: String(device) })
    for (let pause = Number(interval) || 5; ; ) {
      await wait(pause * 1000)
      const answer = await ask(`${origin}${prefix}/api/v1/token`, { method: 'POST', body: form })
      const { error } = parse(answer)
      if (error === 'slow_down') pause += 5
      else if (error !== 'authorization_pending') return refusedOr(answer, error)
    }
  }
  throw notPostern(origin)
}

function refusedOr(answer: Answer, error: unknown): Answer {
  if (error === 'access_denied') throw new AppError('ERR_SIGN_IN_STATE', 'the sign-in was refused in the browser')
  if (error === 'expired_token') throw new AppError('ERR_SIGN_IN_STATE', 'nobody has entered the code')
  return answer
}

interface Code {
  readonly prefix: string
  readonly code: string
}

async function byCopy(origin: string, challenge: string, askPerson: (url: string) => Promise<string>): Promise<Code> {
  const { prefix, url } = await begin(origin, { challenge })
  return { prefix, code: (await askPerson(url)).trim() }
}

/** Listens on a port of this machine alone until the browser comes with the answer to our question. */
async function byBrowser(origin: string, challenge: string, open: (url: string) => void): Promise<Code> {
  const state = randomBytes(16).toString('base64url')
  const server = createServer()
  const code = answerAt(server, state)
  // Awaited below, once somebody was asked.
  code.catch(() => {})
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  try {
    const { port } = server.address() as AddressInfo
    const { prefix, url } = await begin(origin, { challenge, state, redirectUri: `http://127.0.0.1:${port}/callback` })
    open(url)
    return { prefix, code: await code }
  } finally {
    server.close()
  }
}

/** The code that comes with our state. */
function answerAt(server: Server, state: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (message: string): void => reject(new AppError('ERR_SIGN_IN_STATE', message))
    const timer = setTimeout(() => fail('nobody has answered in the browser'), PATIENCE_MS)
    server.on('close', () => clearTimeout(timer))
    server.on('request', (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1')
      const ours = pathname === '/callback' && searchParams.get('state') === state
      response.writeHead(ours ? 200 : 404, {
        'content-type': 'text/plain; charset=utf-8',
        'content-security-policy': "default-src 'none'",
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
        connection: 'close',
      })
      response.end(ours ? 'Postern: the terminal has your answer. You can close this window.\n' : 'not found\n')
      if (!ours) return
      const code = searchParams.get('code')
      if (code === null) fail('the sign-in was refused in the browser')
      else resolve(code)
    })
  })
}

/** The address to open in a browser, and where the control paths are. */
async function begin(
  origin: string,
  asked: { readonly challenge: string; readonly state?: string; readonly redirectUri?: string },
): Promise<{ readonly prefix: string; readonly url: string }> {
  const query = new URLSearchParams({
    code_challenge: asked.challenge,
    code_challenge_method: 'S256',
    ...(asked.state !== undefined && { state: asked.state }),
    ...(asked.redirectUri !== undefined && { redirect_uri: asked.redirectUri }),
  })
  for (const prefix of PREFIXES) {
    const { status, text } = await ask(`${origin}${prefix}/api/v1/login?${query}`)
    const url = text.trim()
    // What is opened must be a web page and nothing else that a desktop would start.
    if (status === 200 && /^https?:\/\/[\x21-\x7e]+$/.test(url) && URL.canParse(url)) return { prefix, url }
    if (status === 400) throw new AppError('ERR_USAGE', `${origin} does not let programs sign in so: ${text.trim()}`)
  }
  throw notPostern(origin)
}

function notPostern(origin: string): AppError {
  return new AppError('ERR_USAGE', `${origin} is not the address of an application behind Postern`)
}

interface Answer {
  readonly status: number
  readonly text: string
}

/** Of a JSON object; empty for anything else. */
function parse({ text }: Answer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    // A page: there is no Postern.
    return {}
  }
}

/** Redirects are answers. */
async function ask(url: string, { method = 'GET', body }: Question = {}): Promise<Answer> {
  const { protocol, origin } = new URL(url)
  const headers = body && { 'content-type': 'application/x-www-form-urlencoded' }
  try {
    const request = (protocol === 'https:' ? askByTls : askInTheClear)(url, {
      method,
      lookup: lookUp,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(headers && { headers }),
    })
    request.end(body?.toString())
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return { status: response.statusCode ?? 0, text: await readText(response) }
  } catch (error) {
    // Of several addresses only the code says what is the matter with them.
    const why = messageOf(error) || (error as NodeJS.ErrnoException).code
    throw new AppError('ERR_DEPENDENCY', `no answer from ${origin}: ${why}`)
  }
}

interface Question {
  readonly method?: 'GET' | 'POST'
  readonly body?: URLSearchParams
}

/** Names below localhost are this machine (RFC 6761 §6.3). Browsers and curl know that; resolvers of many systems do not. */
const lookUp: LookupFunction = (name, options, done) =>
  lookup(name.endsWith('.localhost') ? 'localhost' : name, options, done)
