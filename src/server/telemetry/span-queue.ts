import type { TracesConfig } from '../../config/model.ts'
import { settledWithin } from '../../lib/wait.ts'
import type { Clock } from '../../types.ts'
import { type Sender, type Span, tracesMessage } from './otlp.ts'
import { LAST_PATIENCE, type OtlpSender } from './sender.ts'

export interface SpanQueue {
  /** Takes them all, or none when there is no room. */
  add(spans: readonly Span[]): void
  readonly sent: number
  readonly dropped: number
  /** Sends what waits, without a second attempt. */
  close(): Promise<void>
}

/** Spans wait here, a bounded number of them, until there are enough for a request or it is time for one. */
export function createSpanQueue({
  config: { delay, queue: room, batch },
  from,
  sender,
  clock,
}: {
  readonly config: Pick<TracesConfig, 'delay' | 'queue' | 'batch'>
  readonly from: Sender
  readonly sender: OtlpSender
  readonly clock: Clock
}): SpanQueue {
  const closing = new AbortController()
  let waiting: Span[] = []
  let sent = 0
  let dropped = 0
  let stopTimer: (() => void) | undefined
  let sending: Promise<void> | undefined

  async function sendAll(): Promise<void> {
    stopTimer?.()
    stopTimer = undefined
    do {
      const spans = waiting.slice(0, batch)
      waiting = waiting.slice(batch)
      if (spans.length === 0) break
      if (await sender.send(tracesMessage(from, spans), closing.signal)) sent += spans.length
      else dropped += spans.length
    } while (waiting.length >= batch || closing.signal.aborted)
  }

  function begin(): void {
    sending ??= sendAll().finally(() => {
      sending = undefined
      if (waiting.length > 0) schedule()
    })
  }

  function schedule(): void {
    if (!closing.signal.aborted) stopTimer ??= clock.after(delay, begin)
  }

  return {
    get sent() {
      return sent
    },
    get dropped() {
      return dropped
    },
    add(spans) {
      if (waiting.length + spans.length > room || closing.signal.aborted) {
        dropped += spans.length
        return
      }
      waiting.push(...spans)
      if (waiting.length >= batch) begin()
      else if (!sending) schedule()
    },
    async close() {
      closing.abort()
      const last = async (): Promise<void> => {
        await sending
        begin()
        await sending
      }
      await settledWithin(last(), { clock, timeout: LAST_PATIENCE, signal: new AbortController().signal })
      dropped += waiting.length
      waiting = []
    },
  }
}
