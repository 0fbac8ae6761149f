import { statSync } from 'node:fs'
import { type AppError, faultFields } from '../errors.ts'
import type { Clock, Logger, Trouble } from '../types.ts'

/** What operators must hear of the embedded store: each thing once in the log, and for as long as it lasts in `now`. */
export interface TroubleWatch {
  now(): Trouble | undefined
  /** From time to time. LMDB goes on with a file that has no name any more, and no other process finds it. */
  check(): void
  /** After each write, with its error if it failed. */
  written(error?: AppError): void
}

export function watchForTrouble(deps: {
  readonly file: string
  readonly clock: Clock
  readonly logger: Logger
}): TroubleWatch {
  const { file, clock, logger } = deps
  const inode = inodeOf(file)
  let lost: Trouble | undefined
  let failing: Trouble | undefined
  let lastFailed = false

  return {
    now: () => lost ?? failing,
    check() {
      if (failing && !lastFailed) {
        failing = undefined
        logger.info({}, 'store: can be written again')
      }
      if (lost || inodeOf(file) === inode) return
      const reason = `${file} was removed or replaced: all that is stored from now on is lost with this process; restart Postern, and people sign in again`
      lost = { since: clock.now(), reason }
      logger.error({ error: 'ERR_STORE_UNAVAILABLE', error_message: reason }, 'store: lost')
    },
    written(error) {
      lastFailed = error !== undefined
      if (!error || failing) return
      failing = { since: clock.now(), reason: error.message }
      logger.error(faultFields(error), 'store: cannot be written')
    },
  }
}

/** undefined: there is no such file, or nobody may see it. */
function inodeOf(file: string): number | undefined {
  try {
    return statSync(file).ino
  } catch {
    return undefined
  }
}
