import { AppError, messageOf } from '../../errors.ts'
import { certificateFault } from '../../lib/certificate-fault.ts'
import { pause } from '../../lib/wait.ts'
import type { Clock, JsonObject, Span, WaitingFor } from '../../types.ts'
import { createOutboundDispatcher } from '../../lib/outbound.ts'
import type { OktaCredentials, Outbound } from '../../config/model.ts'
import type { ReadPriority } from '../model.ts'
import { observedCall } from '../../lib/observed.ts'
import { DATE_PRECISION, judge, type OktaAnswer, type RawAnswer } from './answer.ts'
import { type BucketState, bucketOf, createBudget, readDate, readRateFacts } from './budget.ts'
import { type Authorizer, createAuthorizer } from './service-app.ts'
import { createTokenGuard } from './token-guard.ts'
import { createCallQueue } from './call-queue.ts'
import { asSourceTime, elapsed, later } from '../../lib/time.ts'

const PARALLEL = 4
const FORM = 'application/x-www-form-urlencoded'
/** A page of 200 groups is about 300 kB. */
const MOST_BYTES = 8 * 1024 * 1024
/** Times 200 records: more than any person's groups, unless the caller knows of a longer list. */
const MOST_PAGES = 100
/** Okta's own clients give up after as many. */
const RATE_LIMIT_RETRIES = 2
const FAULT_RETRIES = 1
const FAULT_RETRY_DELAY: Span = 250
/** Longer than from one look at the log to the next: else each would make a connection of its own. */
const KEEP_ALIVE: Span = 60_000

export type Query = Readonly<Record<string, string>>

export interface CallOptions {
  readonly signal: AbortSignal
  readonly priority: ReadPriority
  /** Of a list; a longer one is a bad answer. */
  readonly mostPages?: number
}

export interface CallCount {
  readonly bucket: string
  readonly status: number
  readonly count: number
}

/** A call of the management API. `body` is sent as JSON. */
interface ApiCall {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** With the query. */
  readonly path: string
  readonly body?: JsonObject
}

/** Okta's management API. Every call waits for its turn in the rate budget. Rejects with ERR_DIRECTORY_…. */
export interface OktaClient {
  /** `path` begins with `/api/v1/`, its parts already encoded. undefined: Okta has no such thing. */
  get(path: string, query: Query, options: CallOptions): Promise<OktaAnswer | undefined>
  /** All pages of a list, in order; a list that Okta does not have has no page at all. */
  pages(path: string, query: Query, options: CallOptions): AsyncIterable<OktaAnswer>
  /** Changes something: the command line alone does. Not sent again after a fault, since it may have been done. */
  write(
    call: Omit<ApiCall, 'method'> & { readonly method: 'POST' | 'PUT' },
    options: CallOptions,
  ): Promise<OktaAnswer | undefined>
  /** By so much at least our clock is ahead of Okta's, as the last answer showed it; below 0, by so much at most it is behind. */
  lead(): Span
  /** What was learnt of the rate limits, for status pages and metrics. */
  buckets(): readonly BucketState[]
  /** Calls since the start, by bucket and status; status 0: no answer. */
  calls(): readonly CallCount[]
  /** Shows these from now on, at once also where the last ones were refused. */
  rotate(credentials: OktaCredentials): void
  close(): Promise<void>
}

interface ApiRequest {
  readonly method: ApiCall['method']
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

/** `origin` as in `URL.origin`, `timeout` for one exchange, `budget` the share of each rate-limit bucket, 0 to 1. */
export function createOktaClient(deps: {
  readonly origin: string
  readonly credentials: OktaCredentials
  readonly clock: Clock
  readonly timeout: Span
  readonly budget: number
  /** Absent: nothing between us and Okta. */
  readonly outbound?: Outbound | undefined
  readonly random?: () => number
  /** Absent: nobody traces. */
  readonly waitingFor?: WaitingFor | undefined
}): OktaClient {
  const { origin, clock, timeout, waitingFor } = deps
  let pool: ReturnType<typeof createOutboundDispatcher> | undefined
  const budget = createBudget({
    share: deps.budget,
    parallel: PARALLEL,
    ...(deps.random && { random: deps.random }),
  })
  const queue = createCallQueue({ budget, clock })
  const guard = createTokenGuard(deps)
  const authorizerOf = (credentials: OktaCredentials): Authorizer =>
    createAuthorizer(credentials, {
      origin,
      clock,
      post: (path, form, signal) =>
        send(
          { method: 'POST', path, headers: { 'content-type': FORM }, body: form.toString() },
          `POST ${path}`,
          signal,
        ),
    })
  let authorizer = authorizerOf(deps.credentials)
  const counts = new Map<string, CallCount>()
  let lead: Span = 0

  function count(bucket: string, status: number): void {
    const key = `${bucket} ${status}`
    counts.set(key, { bucket, status, count: (counts.get(key)?.count ?? 0) + 1 })
  }

  async function call(asked: ApiCall, { signal, priority }: CallOptions): Promise<OktaAnswer | undefined> {
    let limited = 0
    let faults = 0
    for (;;) {
      try {
        return await exchange(asked, priority, signal)
      } catch (error) {
        const code = error instanceof AppError && !signal.aborted ? error.code : undefined
        // Waits in `queue` for what the answer's headers said.
        if (code === 'ERR_DIRECTORY_RATE_LIMITED' && limited++ < RATE_LIMIT_RETRIES) continue
        if (code !== 'ERR_DIRECTORY_UNREACHABLE' || asked.method !== 'GET' || faults++ >= FAULT_RETRIES) throw error
        // A kept connection that Okta just closed looks like this.
        await pause(clock, FAULT_RETRY_DELAY, signal)
      }
    }
  }

  /** One request and its judged answer. */
  async function exchange(
    asked: ApiCall,
    priority: ReadPriority,
    signal: AbortSignal,
  ): Promise<OktaAnswer | undefined> {
    const pathname = asked.path.replace(/\?.*$/s, '')
    const what = `${asked.method} ${pathname}`
    const bucket = bucketOf(asked.method, pathname)
    guard.check(what)
    const release = await queue.take(bucket, priority, signal).catch((cause: unknown) => {
      throw new AppError('ERR_DIRECTORY_UNREACHABLE', `okta: ${what} was given up before its turn`, { cause })
    })
    try {
      const heard = guard.begin(what)
      const shown = authorizer
      let raw = await attempt(asked, bucket, what, signal).catch((error: unknown) => heard((): never => raise(error)))
      // An access token that ended early, or was revoked, is replaced once; an API token is what it is, unless a reload brought another.
      if (raw.status === 401 && (shown.renew() || shown !== authorizer))
        raw = await attempt(asked, bucket, what, signal)
      budget.learn(bucket, readRateFacts(raw.status, raw.headers, asSourceTime(clock.now())), clock.monotonic())
      return heard(() => judge(raw, { what, origin, now: asSourceTime(clock.now()) }))
    } finally {
      release()
    }
  }

  async function attempt(
    { method, path, body }: ApiCall,
    bucket: string,
    what: string,
    signal: AbortSignal,
  ): Promise<RawAnswer> {
    let status = 0
    try {
      const authorization = await authorizer.header(signal)
      const sentAt = asSourceTime(clock.now())
      const request = body
        ? { headers: { authorization, 'content-type': 'application/json' }, body: JSON.stringify(body) }
        : { headers: { authorization } }
      const raw = await send({ method, path, ...request }, what, signal)
      status = raw.status
      // An error may be of something in between, which has a clock of its own.
      const date = status === 200 ? readDate(raw.headers['date'], sentAt) : undefined
      if (date !== undefined) lead = elapsed(sentAt, later(date, DATE_PRECISION))
      return raw
    } finally {
      count(bucket, status)
    }
  }

  /** As one who waits sees it. */
  function send(request: ApiRequest, what: string, signal: AbortSignal): Promise<RawAnswer> {
    const work = (): Promise<RawAnswer> => transmit(request, what, signal)
    if (!waitingFor) return work()
    const { method, path } = request
    const template = path.replace(/\?.*$/s, '').replace(/^(\/api\/v1\/\w+)\/[^/]+/, '$1/{id}')
    return observedCall(waitingFor, { method, url: new URL(origin), template }, work)
  }

  async function transmit(request: ApiRequest, what: string, signal: AbortSignal): Promise<RawAnswer> {
    const ending = new AbortController()
    const end = (): void => ending.abort()
    // Not AbortSignal.any: it leaves something behind on a caller's signal that lives as long as the process.
    signal.addEventListener('abort', end, { once: true })
    let late = false
    const stop = clock.after(timeout, () => {
      late = true
      end()
    })
    try {
      const options = { connections: PARALLEL, connectTimeout: timeout, keepAlive: KEEP_ALIVE }
      pool ??= createOutboundDispatcher(deps.outbound ?? {}, options)
      const { statusCode, headers, body } = await pool.request({
        ...request,
        origin,
        signal: ending.signal,
        headers: { ...request.headers, accept: 'application/json', 'user-agent': 'postern' },
      })
      return { status: statusCode, headers, body: await readBody(body as AsyncIterable<Buffer>, what) }
    } catch (cause) {
      if (cause instanceof AppError) throw cause
      const why = late ? `gave no answer within ${timeout} ms` : `failed: ${messageOf(cause)}`
      const code = certificateFault(cause) === undefined ? 'ERR_DIRECTORY_UNREACHABLE' : 'ERR_DIRECTORY_TLS'
      throw new AppError(code, `okta: ${what} ${why}`, { cause })
    } finally {
      stop()
      signal.removeEventListener('abort', end)
    }
  }

  return {
    get: (path, query, options) => call({ method: 'GET', path: withQuery(path, query) }, options),
    write: call,

    async *pages(path, query, options) {
      const { mostPages = MOST_PAGES } = options
      let next: string | undefined = withQuery(path, query)
      const asked = new Set<string>()
      for (let page = 1; next !== undefined; page++) {
        if (page > mostPages) {
          throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: GET ${path} has more than ${mostPages} pages`, {
            details: { pages: mostPages },
          })
        }
        const answer: OktaAnswer | undefined = await call({ method: 'GET', path: next }, options)
        if (!answer) {
          if (page === 1) return
          throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: GET ${path} lost its list on page ${page}`)
        }
        asked.add(next)
        if (answer.next !== undefined && asked.has(answer.next)) {
          const what = answer.next === next ? `page ${page} as its own next page` : `a page again after page ${page}`
          throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: GET ${path} names ${what}`)
        }
        yield answer
        next = answer.next
      }
    },

    lead: () => lead,
    buckets: () => budget.buckets(clock.monotonic()),
    calls: () => [...counts.values()],

    rotate(credentials) {
      authorizer = authorizerOf(credentials)
      guard.forget()
    },

    async close() {
      queue.close()
      await pool?.destroy()
    },
  }
}

function raise(error: unknown): never {
  throw error
}

async function readBody(body: AsyncIterable<Buffer>, what: string): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > MOST_BYTES) {
      throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: ${what} answered with more than ${MOST_BYTES} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams(query)
  return parameters.size > 0 ? `${path}?${parameters.toString()}` : path
}
