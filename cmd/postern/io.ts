import type { Environment } from '../../src/config/environment.ts'
import type { Clock } from '../../src/types.ts'

/** What a command may touch, so that tests can run one in their own process. */
export interface Io {
  /** Data, one line. */
  out(line: string): void
  /** Messages, one line. */
  err(line: string): void
  /** Default: the environment of the process. */
  readonly env?: Environment
  /** Default: the wall clock. */
  readonly clock?: Clock
}

export const processIo: Io = {
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
}
