/** The way to an OTLP receiver: by HTTP, again after a while where that may help, and never in anybody's way. */
import type { OtlpReceiver } from '../../config/model.ts'
import { AppError, messageOf } from '../../errors.ts'
import { createFaultLog } from '../../lib/fault-tally.ts'
import { createSend, type Send } from '../../lib/outbound.ts'
import { pause } from '../../lib/wait.ts'
import type { Clock, Logger, Span } from '../../types.ts'
import { encodeProtobuf, type Shape } from './protobuf.ts'

/** The same message is sent so often, after waits that double. */
const ATTEMPTS = 5
/** What waits when the process ends has so long. */
export const LAST_PATIENCE: Span = 3000
const FIRST_WAIT: Span = 1000
const LONGEST_WAIT: Span = 30_000
/** These may be different in a moment (https://opentelemetry.io/docs/specs/otlp/#failures-1). */
const PASSING: ReadonlySet<number> = new Set([429, 502, 503, 504])

export interface OtlpSender {
  /** false: it is lost. Never rejects. `signal`: there is no time for another attempt any more. */
  send(message: object, signal: AbortSignal): Promise<boolean>
}

export interface OtlpSenderDeps {
  readonly what: 'traces' | 'metrics'
  readonly receiver: OtlpReceiver
  readonly shape: Shape
  readonly clock: Clock
  readonly logger: Logger
  readonly random?: () => number
  readonly post?: Send
}

export function createOtlpSender({
  what,
  receiver,
  shape,
  clock,
  logger,
  random = Math.random,
  post = createSend(receiver.outbound, receiver.timeout),
}: OtlpSenderDeps): OtlpSender {
  const { url, encoding, timeout } = receiver
  const headers = {
    ...Object.fromEntries(receiver.headers.map(([name, value]) => [name, value.reveal()])),
    'content-type': encoding === 'json' ? 'application/json' : 'application/x-protobuf',
  }
  const tellFault = createFaultLog({ clock, logger })
  let failing = false

  /** How long to wait before another attempt may help; undefined: it may not. */
  type Outcome =
    | { readonly kind: 'taken' }
    | { readonly kind: 'refused' | 'later'; readonly reason: string; readonly wait: Span }

  async function attempt(body: string | Uint8Array): Promise<Outcome> {
    const controller = new AbortController()
    const stop = clock.after(timeout, () => controller.abort(new Error(`no answer within ${timeout} ms`)))
    try {
      const answer = await post(url, { method: 'POST', headers, body, signal: controller.signal })
      // What it says is nothing for us; leaving the loop gives up the rest.
      for await (const _ of answer.body) break
      if (answer.status >= 200 && answer.status < 300) return { kind: 'taken' }
      const wait = Number(answer.headers['retry-after']) * 1000
      const kind = PASSING.has(answer.status) ? 'later' : 'refused'
      return { kind, reason: `answered ${answer.status}`, wait: wait > 0 ? Math.min(wait, LONGEST_WAIT) : 0 }
    } catch (error) {
      return { kind: 'later', reason: messageOf(error), wait: 0 }
    } finally {
      stop()
    }
  }

  function tell(reason: string | undefined): void {
    const about = { telemetry: what, receiver: new URL(url).origin }
    if (reason !== undefined) tellFault(new AppError('ERR_TELEMETRY', reason), 'telemetry cannot be sent', about)
    else if (failing) logger.info(about, 'telemetry can be sent again')
    failing = reason !== undefined
  }

  return {
    async send(message, signal) {
      let body: string | Uint8Array
      try {
        body = encoding === 'json' ? JSON.stringify(message) : encodeProtobuf(message, shape)
      } catch (error) {
        // A mistake of ours must not end the process.
        tell(messageOf(error))
        return false
      }
      for (let i = 0; i < ATTEMPTS; i++) {
        const outcome = await attempt(body)
        if (outcome.kind === 'taken') {
          tell(undefined)
          return true
        }
        tell(outcome.reason)
        if (outcome.kind === 'refused' || signal.aborted || i === ATTEMPTS - 1) return false
        // Not all processes at the same moment.
        const doubled = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** i) * (0.5 + random() / 2)
        await pause(clock, Math.max(doubled, outcome.wait), signal)
      }
      return false
    },
  }
}
