import { messageOf } from '../errors.ts'
import type { Send } from '../lib/outbound.ts'
import type { Clock, Trouble } from '../types.ts'

/** The same way out, and what the last call by it came to: `trouble` since the first of those in a row without an answer, or with one of 500 or more. */
export function reachable(
  send: Send,
  clock: Pick<Clock, 'now'>,
): { readonly send: Send; readonly trouble: () => Trouble | undefined } {
  let trouble: Trouble | undefined
  const failed = (reason: string): void => {
    trouble = { since: trouble?.since ?? clock.now(), reason }
  }
  return {
    async send(url, init) {
      try {
        const answer = await send(url, init)
        if (answer.status >= 500) failed(`${init.method} ${placeOf(url)} answered ${answer.status}`)
        else trouble = undefined
        return answer
      } catch (error) {
        failed(`${init.method} ${placeOf(url)}: ${messageOf(error)}`)
        throw error
      }
    },
    trouble: () => trouble,
  }
}

/** Without the query, which may hold a code or a token. */
function placeOf(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname
}
