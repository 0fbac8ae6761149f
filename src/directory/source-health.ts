import { type ErrorCode, toAppError } from '../errors.ts'
import type { FaultLog } from '../lib/fault-tally.ts'
import type { Clock, Logger, Span, Monotonic, WallTime } from '../types.ts'
import type { DirectoryHealth } from './model.ts'
import { later, NEVER } from '../lib/time.ts'

/** What is at fault, whoever asked it for what. */
export const DIRECTORY = 'directory'
const FIRST_PAUSE: Span = 5000
const LONGEST_PAUSE: Span = 60_000
/** One person's odd record is theirs alone; as many in a row are the source's. */
const BAD_ANSWERS_IN_A_ROW = 3
/** Others, such as a rate limit, are of one endpoint. */
const OF_ALL_CALLS: ReadonlySet<ErrorCode> = new Set(['ERR_DIRECTORY_UNREACHABLE', 'ERR_DIRECTORY_UNAUTHORIZED'])

/** How the source fares, and whether asking it makes sense: after a fault, not before a growing pause has passed. */
export interface SourceHealth {
  succeeded(): void
  failed(error: unknown): void
  /** Who asks the source for something else had the same fault, and has it no more. */
  answers(code: ErrorCode): void
  /** Something was done about it: the next reading waits for nothing. */
  retry(): void
  /** Sign-ins ask all the same. */
  mayRead(now: Monotonic): boolean
  report(): DirectoryHealth
  /** The last fault, until the source answers again. */
  trouble(): DirectoryHealth['lastError']
}

export function createSourceHealth(deps: {
  readonly source: string
  readonly clock: Clock
  readonly logger: Logger
  readonly tell: FaultLog
  readonly random: () => number
  /** The first fault, another one, or none any more. */
  readonly onTrouble?: ((trouble: DirectoryHealth['lastError']) => void) | undefined
}): SourceHealth {
  const { source, clock, logger, tell, random, onTrouble = () => {} } = deps
  let lastSuccess: WallTime | undefined
  let lastError: DirectoryHealth['lastError']
  let failuresInARow = 0
  let pauses = 0
  let pausedUntil: Monotonic = NEVER

  function pause(now: Monotonic): void {
    // Those that were under way when the pause began fail as well, and say nothing new.
    if (now < pausedUntil) return
    const length = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** pauses++)
    pausedUntil = later(now, length * (0.75 + 0.5 * random()))
  }

  function succeeded(): void {
    lastSuccess = clock.now()
    const answersAgain = failuresInARow > 0
    failuresInARow = 0
    pauses = 0
    pausedUntil = NEVER
    if (!answersAgain) return
    logger.info({ source }, 'the group directory answers again')
    onTrouble(undefined)
  }

  return {
    succeeded,

    answers(code) {
      if (failuresInARow > 0 && lastError?.code === code && OF_ALL_CALLS.has(code)) succeeded()
    },

    failed(error) {
      const { code, message } = toAppError(error)
      const isNews = failuresInARow === 0 || lastError?.code !== code
      // An outage is one line, not one for each person.
      tell(error, 'the group directory cannot be read: what is known stays', { source }, DIRECTORY)
      lastError = { at: clock.now(), code, message }
      failuresInARow++
      if (isNews) onTrouble(lastError)
      if (code !== 'ERR_DIRECTORY_BAD_ANSWER' || failuresInARow >= BAD_ANSWERS_IN_A_ROW) pause(clock.monotonic())
    },

    retry() {
      pauses = 0
      pausedUntil = NEVER
    },

    mayRead: (now) => now >= pausedUntil,
    report: () => ({ source, lastSuccess, lastError }),
    trouble: () => (failuresInARow > 0 ? lastError : undefined),
  }
}
