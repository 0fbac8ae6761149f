import { faultFields } from '../../../src/errors.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger, Span } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import { type Call, createCall, html, type Reply } from './call.ts'
import type { CallLog } from './call-log.ts'
import { delay, type FaultAct, type FaultPlan, spoilRecord } from './faults.ts'
import { errorReply, OktaError } from './okta-error.ts'
import type { RateLimiter, Verdict } from './rate-limit.ts'
import type { Endpoint, Found } from './router.ts'

export interface PipelineDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly calls: CallLog
  readonly faults: FaultPlan
  readonly limiter: RateLimiter
  /** How far Okta's clock, as its headers show it, is ahead of ours. */
  readonly skew: () => Span
  find(call: Call): Found
  /** Id of the API token or service app. @throws OktaError */
  authenticate(call: Call): string
}

/** Every request takes these steps: fault plan, concurrency, API token, rate limit, handler, log. Never rejects. */
export function createPipeline(deps: PipelineDeps): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  const { clock, limiter } = deps

  return async (req, res) => {
    const bare = createCall(req, res)
    res.sendDate = false
    res.setHeader('date', new Date(clock.now() + deps.skew()).toUTCString())
    const found = deps.find(bare)
    const endpoint = found.kind === 'endpoint' ? found.endpoint : undefined
    const call: Call = found.kind === 'endpoint' ? { ...bare, params: found.params } : bare
    try {
      if (endpoint?.kind === 'own') {
        await write(res, await endpoint.handle(call), undefined)
        return
      }
      res.setHeader('x-okta-request-id', call.id)
      const act = deps.faults.next(call)
      if (act?.kind === 'slow') await delay(clock, act.by)
      const token: { id: string | undefined } = { id: undefined }
      res.once('close', () => note(call, endpoint, token.id))
      await write(res, act && replaces(act) ? faultReply(act) : await answer(call, endpoint, found, token), act)
    } catch (error) {
      deps.log.error({ ...faultFields(error), path: call.path }, 'emulator: request failed')
      if (res.headersSent) res.destroy()
      else await write(res, errorReply(new OktaError('E0000009')), undefined)
    }
  }

  async function answer(
    call: Call,
    endpoint: Endpoint | undefined,
    found: Found,
    token: { id: string | undefined },
  ): Promise<Reply | 'handled'> {
    const leave = limiter.enter()
    if (!leave) return limited(call, limiter.busy(), deps.skew())
    try {
      if (!endpoint) throw new OktaError(found.kind === 'wrong-method' ? 'E0000022' : 'E0000008')
      if (endpoint.kind === 'api') token.id = deps.authenticate(call)
      if (endpoint.bucket) {
        const verdict = limiter.take(endpoint.bucket, token.id)
        if (!verdict.allowed) return limited(call, verdict, deps.skew())
        rateHeaders(call, verdict, deps.skew())
      }
      if (endpoint.kind === 'api' && lacksLength(call)) return { status: 411, headers: {}, body: '' }
      return await endpoint.handle(call)
    } catch (error) {
      if (error instanceof OktaError) return errorReply(error)
      throw error
    } finally {
      leave()
    }
  }

  function note(call: Call, endpoint: Endpoint | undefined, tokenId: string | undefined): void {
    deps.calls.add({
      at: clock.now(),
      requestId: call.id,
      method: call.method,
      path: call.path,
      query: call.query.toString(),
      status: call.res.statusCode,
      bucket: endpoint?.bucket,
      tokenId,
      userAgent: call.req.headers['user-agent'] ?? '',
    })
  }
}

function limited(call: Call, verdict: Verdict, skew: Span): Reply {
  rateHeaders(call, verdict, skew)
  return errorReply(new OktaError('E0000047'))
}

/** okta-api.md#rate-limits: hyphenated names, epoch seconds, no Retry-After. */
function rateHeaders(call: Call, verdict: Verdict, skew: Span): void {
  call.res.setHeader('x-rate-limit-limit', String(verdict.limit))
  call.res.setHeader('x-rate-limit-remaining', String(verdict.remaining))
  call.res.setHeader('x-rate-limit-reset', String(verdict.reset + Math.floor(skew / 1000)))
}

/** PUT and POST need a body or `Content-Length: 0` (okta-api.md#users). */
function lacksLength(call: Call): boolean {
  const { headers } = call.req
  const carries = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
  return (call.method === 'POST' || call.method === 'PUT') && !carries
}

type Replacing = FaultAct & { readonly kind: 'status' | 'html' }

/** These answer without asking the handler. */
function replaces(act: FaultAct): act is Replacing {
  return act.kind === 'status' || act.kind === 'html'
}

function faultReply(act: Replacing): Reply {
  if (act.kind === 'html') return html(200, '<html><body><h1>Please sign in to the network</h1></body></html>')
  const page = html(act.status, act.body ?? `<html><body><h1>${act.status}</h1></body></html>`)
  return { ...page, headers: { ...page.headers, ...act.headers } }
}

async function write(res: ServerResponse, reply: Reply | 'handled', act: FaultAct | undefined): Promise<void> {
  if (act?.kind === 'cut') {
    res.destroy()
    return
  }
  if (reply === 'handled') return
  const whole = Buffer.from(act?.kind === 'record' ? spoilRecord(reply.body, act) : reply.body)
  const body = act?.kind === 'malformed' ? whole.subarray(0, Math.ceil(whole.length / 2)) : whole
  for (const [name, value] of Object.entries(reply.headers)) {
    if (name === 'set-cookie') res.appendHeader(name, value)
    else res.setHeader(name, value)
  }
  for (const [name, value] of Object.entries(act?.kind === 'headers' ? act.headers : {})) {
    if (value === '') res.removeHeader(name)
    else res.setHeader(name, value)
  }
  if (!res.hasHeader('cache-control')) res.setHeader('cache-control', 'no-cache, no-store')
  res.statusCode = reply.status
  // A 204 has no body and no length (RFC 9110 §8.6).
  if (reply.status !== 204) res.setHeader('content-length', body.length)
  if (act?.kind !== 'half') {
    res.end(body)
    return
  }
  await new Promise((resolve) => res.write(body.subarray(0, Math.ceil(body.length / 2)), resolve))
  res.destroy()
}
