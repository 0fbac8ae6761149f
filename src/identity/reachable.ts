import { messageOf } from '../errors.ts'
import type { Send } from '../lib/outbound.ts'
import type { Clock, Span, Trouble, Unsubscribe } from '../types.ts'

/** After a call that failed the same place is asked again: after so long, then after twice as long each time. */
const FIRST_PAUSE: Span = 5000
const LONGEST_PAUSE: Span = 60_000

export interface Reachable {
  readonly send: Send
  /** Since the first of the calls in a row without an answer, or with one of 500 or more. */
  readonly trouble: () => Trouble | undefined
  /** Nothing is asked again, and what is being asked is given up. */
  readonly close: () => void
}

/**
 * The same way out, and what the last call by it came to. Where that failed, its place is asked again until it answers,
 * so that the trouble ends with its cause, and not with the next sign-in. `timeout`: of such a question.
 */
export function reachable(
  send: Send,
  { clock, timeout }: { readonly clock: Pick<Clock, 'now' | 'after'>; readonly timeout: Span },
): Reachable {
  let trouble: Trouble | undefined
  /** Of the last call that failed. */
  let place = ''
  let stopAsking: Unsubscribe | undefined
  const closed = new AbortController()

  const sendAndSee: Send = async (url, init) => {
    try {
      const answer = await send(url, init)
      if (answer.status >= 500) failed(init.method, url, ` answered ${answer.status}`)
      else trouble = undefined
      return answer
    } catch (error) {
      failed(init.method, url, `: ${messageOf(error)}`)
      throw error
    }
  }

  function failed(method: string, url: string, how: string): void {
    place = placeOf(url)
    trouble = { since: trouble?.since ?? clock.now(), reason: `${method} ${place}${how}` }
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
      closed.abort()
    },
  }
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
