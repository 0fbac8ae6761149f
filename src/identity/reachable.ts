import { AppError, messageOf } from '../errors.ts'
import { certificateFault } from '../lib/certificate-fault.ts'
import { createFaultLog } from '../lib/fault-tally.ts'
import type { Send } from '../lib/outbound.ts'
import type { Clock, Logger, Span, Trouble, Unsubscribe } from '../types.ts'

/** After a call that failed the same place is asked again: after so long, then after twice as long each time. */
const FIRST_PAUSE: Span = 5000
const LONGEST_PAUSE: Span = 60_000
/** Well for so long before the log says that it is over: a provider that fails now and then is one outage. */
const STABLE: Span = 30_000

export interface Reachable {
  readonly send: Send
  /** Since the first of the calls in a row without an answer, or with one of 500 or more. */
  readonly trouble: () => Trouble | undefined
  /** Nothing is asked again, and what is being asked is given up. */
  readonly close: () => void
}

/**
 * The same way out, and what the last call by it came to. Where that failed, its place is asked again until it answers,
 * so that the trouble ends with its cause, and not with the next sign-in. `timeout`: of such a question. The one place
 * that tells the log of an outage.
 */
export function reachable(
  send: Send,
  deps: { readonly issuer: string; readonly clock: Clock; readonly logger: Logger; readonly timeout: Span },
): Reachable {
  const { issuer, clock, logger, timeout } = deps
  let trouble: Trouble | undefined
  /** Of the last call that failed. */
  let place = ''
  let stopAsking: Unsubscribe | undefined
  /** Of the outage that the log was told of last. */
  let tell: ReturnType<typeof createFaultLog> | undefined
  let stopTelling: Unsubscribe = () => {}
  const closed = new AbortController()

  const sendAndSee: Send = async (url, init) => {
    try {
      const answer = await send(url, init)
      if (answer.status >= 500) failed(init.method, url, ` answered ${answer.status}`)
      else answered()
      return answer
    } catch (error) {
      if (!isUnwanted(init.signal)) failed(init.method, url, `: ${messageOf(error)}`, error)
      throw error
    }
  }

  function answered(): void {
    if (!trouble) return
    trouble = undefined
    stopTelling = clock.after(STABLE, () => {
      logger.info({ issuer }, 'identity provider answers again')
      tell = undefined
    })
  }

  function failed(method: string, url: string, how: string, error?: unknown): void {
    place = placeOf(url)
    const reason = `${method} ${place}${how}`
    trouble = { since: trouble?.since ?? clock.now(), reason }
    const code = certificateFault(error) === undefined ? 'ERR_IDP_UNREACHABLE' : 'ERR_IDP_TLS'
    stopTelling()
    tell ??= createFaultLog(deps)
    tell(new AppError(code, reason), 'identity provider unreachable', { issuer })
    if (!stopAsking) askIn(FIRST_PAUSE)
  }

  function askIn(pause: Span): void {
    if (!closed.signal.aborted) stopAsking = clock.after(pause, () => void askAgain(pause))
  }

  /** Never rejects. With nothing of ours, so that a refusal is all that can come of it. */
  async function askAgain(pause: Span): Promise<void> {
    if (trouble) {
      const signal = AbortSignal.any([closed.signal, AbortSignal.timeout(timeout)])
      const init = { method: 'GET', headers: { accept: 'application/json' }, signal }
      await sendAndSee(place, init)
        .then(({ body }) => leave(body))
        .catch(() => undefined)
    }
    stopAsking = undefined
    if (trouble) askIn(Math.min(pause * 2, LONGEST_PAUSE))
  }

  return {
    send: sendAndSee,
    trouble: () => trouble,
    close() {
      stopAsking?.()
      stopTelling()
      closed.abort()
    },
  }
}

/** Nobody waits for the answer any more, which says nothing of the provider. */
function isUnwanted({ aborted, reason }: AbortSignal): boolean {
  return aborted && !(reason instanceof Error && reason.name === 'TimeoutError')
}

/** Without the query, which may hold a code or a token. */
function placeOf(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname
}

/** Reads no more than the first piece. */
async function leave(body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of body) break
}
