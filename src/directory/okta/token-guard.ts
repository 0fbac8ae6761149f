import { AppError } from '../../errors.ts'
import type { Clock, Span, Monotonic } from '../../types.ts'
import { later } from '../../lib/time.ts'

/** After a refused token, one call in this time finds out whether it is accepted again. */
const PROBE_INTERVAL: Span = 60_000

export interface TokenGuard {
  /** Throws ERR_DIRECTORY_UNAUTHORIZED while calls are stopped. */
  check(what: string): void
  /** At the moment of a call: checks, too. The returned function judges the answer and learns from it. */
  begin(what: string): <T>(judge: () => T) => T
  /** There is another token: what was heard of the last one counts no more, nor what is still to come. */
  forget(): void
}

/**
 * Stops calling once the token is refused: nothing gets better by asking faster, and Okta's administrators
 * see every failure. One probe for each interval; after the first answer that needs the token, calls go on.
 */
export function createTokenGuard({ clock }: { readonly clock: Clock }): TokenGuard {
  let refusedAt: Monotonic | undefined
  let tokens = 1

  /** An answer to a call that began before the refusal says nothing about the token now. */
  function accepted(startedAt: Monotonic): void {
    if (refusedAt === undefined || startedAt < refusedAt) return
    refusedAt = undefined
  }

  function check(what: string): void {
    if (refusedAt === undefined || clock.monotonic() >= later(refusedAt, PROBE_INTERVAL)) return
    throw new AppError('ERR_DIRECTORY_UNAUTHORIZED', `okta: ${what} was not sent: the API token is not accepted`)
  }

  return {
    check,

    begin(what) {
      check(what)
      const [startedAt, token] = [clock.monotonic(), tokens]
      if (refusedAt !== undefined) refusedAt = startedAt
      return (judge) => {
        try {
          const answer = judge()
          accepted(startedAt)
          return answer
        } catch (error) {
          if (error instanceof AppError && error.code === 'ERR_DIRECTORY_UNAUTHORIZED' && token === tokens)
            refusedAt = clock.monotonic()
          throw error
        }
      }
    },

    forget() {
      tokens++
      refusedAt = undefined
    },
  }
}
