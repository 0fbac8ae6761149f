/**
 * A trace of each request: one span for all of it, one for each of its steps and for what they wait for. They are made when it has ended, of what
 * the access log knows; until then it is a few instants. What is not sampled is an id and a header line.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomFillSync } from 'node:crypto'
import type { Sampler } from '../../config/model.ts'
import type { RequestFacts, RequestSample, Trace, Tracing, TraceStep } from '../../http/exchange.ts'
import { field } from '../../http/header-lines.ts'
import { elapsed, epochMillis } from '../../lib/time.ts'
import type { Clock, Monotonic, Span as Duration, WaitingFor } from '../../types.ts'
import { knownMethod } from '../metrics.ts'
import { type KeyValue, numberAttribute, SPAN_KIND, type Span, STATUS_ERROR, textAttribute } from './otlp.ts'
import { type Around, createWaits, type Gathering, type Waited } from './waits.ts'
import { type Parent, parentOf, traceparent } from './trace-context.ts'

export interface TracingDeps {
  readonly sampler: Sampler
  /** Characters of an attribute. */
  readonly longest: number
  readonly clock: Clock
  /** Takes the spans of one request. */
  readonly add: (spans: readonly Span[]) => void
  /** Fills it with octets that nobody can foretell. */
  readonly random?: (buffer: Buffer) => void
}

export function createTracing({ sampler, longest, clock, add, random = randomFillSync }: TracingDeps): {
  readonly tracing: Tracing
  readonly waitingFor: WaitingFor
} {
  const nextId = createIds(random)
  const context = new AsyncLocalStorage<Around>()
  const waitingFor = createWaits({
    context,
    clock,
    longest,
    nextSpanId: () => nextId(16),
    begin() {
      const traceId = nextId(32)
      return isChosen(traceId, sampler.ratio) ? new Alone(traceId, clock) : undefined
    },
    end: (alone) => add(alone.spans()),
  })
  const tracing: Tracing = {
    begin(facts, head, startedAt, trusted) {
      const parent = trusted ? parentOf(head.headers) : undefined
      const id = parent?.traceId ?? nextId(32)
      const sampled = parent && sampler.parentDecides ? parent.sampled : isChosen(id, sampler.ratio)
      if (!sampled) return new Unrecorded(id, linesOf(id, parent?.spanId ?? nextId(16), false, parent), context)
      const spanIds = { server: nextId(16), upstream: nextId(16) }
      const lines = linesOf(id, spanIds.upstream, true, parent)
      return new Recorded({
        id,
        lines,
        parent,
        spanIds,
        nextId,
        facts,
        version: head.httpVersion,
        startedAt,
        longest,
        clock,
        add,
        context,
      })
    },
  }
  return { tracing, waitingFor }
}

/** By the id, so that whoever decides by the same share decides alike. */
function isChosen(traceId: string, ratio: number): boolean {
  return Number.parseInt(traceId.slice(-13), 16) < ratio * 2 ** 52
}

function linesOf(traceId: string, spanId: string, sampled: boolean, parent: Parent | undefined): string {
  const line = field('traceparent', traceparent(traceId, spanId, sampled))
  return parent && parent.state !== '' ? line + field('tracestate', parent.state) : line
}

/** Sampled, and whether the parent is known to be of another process. */
const [OF_OURS, OF_ANOTHER] = [0x101, 0x301] as const
const FAILED = { code: STATUS_ERROR } as const

class Unrecorded implements Trace {
  readonly id: string
  readonly lines: string
  private readonly context: Context

  constructor(id: string, lines: string, context: Context) {
    this.id = id
    this.lines = lines
    this.context = context
  }

  step(): void {}

  within<R>(_: TraceStep, work: () => R): R {
    return this.context.run('silent', work)
  }

  end(): void {}
}

/** Work that no request waits for. */
class Alone implements Gathering {
  waits: Waited[] | undefined = []
  private readonly traceId: string
  private readonly clock: Clock

  constructor(traceId: string, clock: Clock) {
    this.traceId = traceId
    this.clock = clock
  }

  spans(): readonly Span[] {
    const { traceId, waits = [] } = this
    this.waits = undefined
    const now = this.clock.monotonic()
    const nowEpoch = epochMillis(this.clock.now())
    return waits.map((waited) => spanOf(waited, traceId, undefined, (at) => nanoseconds(nowEpoch - elapsed(now, at))))
  }
}

function spanOf(
  { name, kind, spanId, parentSpanId, startedAt, endedAt, attributes, failed }: Waited,
  traceId: string,
  traceState: string | undefined,
  digits: (at: Monotonic) => string,
): Span {
  return {
    traceId,
    spanId,
    parentSpanId,
    traceState,
    flags: OF_OURS,
    name,
    kind,
    startTimeUnixNano: digits(startedAt),
    endTimeUnixNano: digits(endedAt),
    attributes,
    status: failed ? FAILED : undefined,
  }
}

type Context = AsyncLocalStorage<Around>

interface Begun extends Pick<TracingDeps, 'longest' | 'clock' | 'add'> {
  readonly context: Context
  readonly id: string
  readonly lines: string
  readonly parent: Parent | undefined
  readonly spanIds: { readonly server: string; readonly upstream: string }
  readonly nextId: (digits: 16 | 32) => string
  readonly facts: RequestFacts
  readonly version: string
  readonly startedAt: Monotonic
}

class Recorded implements Trace, Gathering {
  readonly id: string
  readonly lines: string
  waits: Waited[] | undefined = []
  private readonly begun: Begun
  private readonly steps: { readonly name: TraceStep; readonly at: Monotonic; readonly spanId: string }[] = []

  constructor(begun: Begun) {
    this.begun = begun
    this.id = begun.id
    this.lines = begun.lines
  }

  step(name: TraceStep): void {
    this.begin(name)
  }

  within<R>(name: TraceStep, work: () => R): R {
    return this.begun.context.run({ gathering: this, spanId: this.begin(name) }, work)
  }

  private begin(name: TraceStep): string {
    const { spanIds, nextId, clock } = this.begun
    const spanId = name === 'upstream' ? spanIds.upstream : nextId(16)
    this.steps.push({ name, at: clock.monotonic(), spanId })
    return spanId
  }

  end(sample: RequestSample): void {
    const { id: traceId, clock, startedAt, spanIds, parent, facts, add } = this.begun
    const { waits = [] } = this
    this.waits = undefined
    const { route, finished } = sample
    const now = clock.monotonic()
    // One reading of the wall clock, so that what is said of the steps fits together.
    const startedAtEpoch = epochMillis(clock.now()) - elapsed(now, startedAt)
    const digits = (at: Monotonic): string => nanoseconds(startedAtEpoch + elapsed(at, startedAt))
    const traceState = parent && parent.state !== '' ? parent.state : undefined
    const method = knownMethod(facts.method)
    const failed = finished === undefined || finished.status >= 500
    const end = digits(now)
    // Every field of each is written out: objects put together by spreading take five times as long.
    const spans: Span[] = [
      {
        traceId,
        spanId: spanIds.server,
        parentSpanId: parent?.spanId,
        traceState,
        flags: parent ? OF_ANOTHER : OF_OURS,
        name: `${method === '_OTHER' ? 'HTTP' : method}${route ? ` ${route.name}` : ''}`,
        kind: SPAN_KIND.server,
        startTimeUnixNano: digits(startedAt),
        endTimeUnixNano: end,
        attributes: this.ofRequest(sample, method),
        status: failed ? FAILED : undefined,
      },
    ]
    for (const [i, { name, at, spanId }] of this.steps.entries()) {
      const isUpstream = name === 'upstream'
      const { attributes, status } = this.said(name, sample)
      const next = this.steps[i + 1]
      spans.push({
        traceId,
        spanId,
        parentSpanId: spanIds.server,
        traceState,
        flags: OF_OURS,
        name,
        kind: isUpstream ? SPAN_KIND.client : SPAN_KIND.internal,
        startTimeUnixNano: digits(at),
        endTimeUnixNano: next ? digits(next.at) : end,
        attributes,
        status,
      })
    }
    for (const waited of waits) spans.push(spanOf(waited, traceId, traceState, digits))
    add(spans)
  }

  /** https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server. Never a query, a cookie or who asks. */
  private ofRequest({ route, finished, error }: RequestSample, method: string): readonly KeyValue[] {
    const { facts, version } = this.begun
    const { scheme, host, port, path, clientIp, userAgent, id } = facts
    const code =
      error?.code ??
      finished?.forwarded?.cut ??
      (finished && finished.status >= 500 ? String(finished.status) : undefined)
    return [
      textAttribute('http.request.method', method),
      ...(method === '_OTHER' ? [this.text('http.request.method_original', facts.method)] : []),
      textAttribute('url.scheme', scheme),
      this.text('url.path', path),
      this.text('server.address', host),
      ...(port === undefined ? [] : [numberAttribute('server.port', port)]),
      this.text('client.address', clientIp),
      textAttribute('network.protocol.version', version.replace('.0', '')),
      ...(userAgent === '' ? [] : [this.text('user_agent.original', userAgent)]),
      ...(route ? [this.text('http.route', route.name), textAttribute('postern.route_id', route.id)] : []),
      ...(finished ? [numberAttribute('http.response.status_code', finished.status)] : []),
      ...(code === undefined ? [] : [textAttribute('error.type', code)]),
      this.text('postern.request_id', id),
    ]
  }

  private said(
    name: TraceStep,
    { route, decision, finished, error }: RequestSample,
  ): Pick<Span, 'attributes' | 'status'> {
    if (name === 'authz') {
      const [reason] = decision?.reasons ?? []
      return {
        attributes: [
          ...(decision ? [textAttribute('postern.decision', decision.outcome)] : []),
          ...(reason === undefined ? [] : [textAttribute('postern.reason', reason)]),
          ...(route ? [textAttribute('postern.route_id', route.id)] : []),
        ],
      }
    }
    if (name !== 'upstream') return { attributes: [] }
    const { facts } = this.begun
    const forwarded = finished?.forwarded
    const code =
      forwarded?.cut ?? (forwarded ? (forwarded.status >= 500 ? String(forwarded.status) : undefined) : error?.code)
    const url = forwarded && URL.canParse(forwarded.upstream) ? new URL(forwarded.upstream) : undefined
    return {
      attributes: [
        textAttribute('http.request.method', knownMethod(facts.method)),
        ...(url ? [this.text('server.address', url.hostname), this.text('url.full', url.origin)] : []),
        ...(url && url.port !== '' ? [numberAttribute('server.port', Number(url.port))] : []),
        ...(forwarded ? [numberAttribute('http.response.status_code', forwarded.status)] : []),
        ...(code === undefined ? [] : [textAttribute('error.type', code)]),
      ],
      status: code === undefined ? undefined : FAILED,
    }
  }

  private text(key: string, value: string): KeyValue {
    return textAttribute(key, value.slice(0, this.begun.longest))
  }
}

/** Of milliseconds since the epoch, as decimal digits: more than a number holds. */
export function nanoseconds(millis: Duration): string {
  const whole = Math.floor(millis)
  return `${whole}${String(Math.floor((millis - whole) * 1e6)).padStart(6, '0')}`
}

/** Hex digits of a store of random octets: the system is asked once for hundreds of ids. */
function createIds(random: (buffer: Buffer) => void): (digits: 16 | 32) => string {
  const octets = Buffer.allocUnsafe(4096)
  let hex = ''
  let at = 0
  return (digits) => {
    if (at + digits > hex.length) {
      random(octets)
      hex = octets.toString('hex')
      at = 0
    }
    return hex.slice(at, (at += digits))
  }
}
