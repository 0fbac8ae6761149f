import { silentLogger } from '../../src/lib/log.ts'
import type { Logger } from '../../src/types.ts'
import type { Io } from './io.ts'
import { printable } from './text.ts'

/** What the parts of Postern log becomes messages; only what is worth a person's attention. */
export function messagesTo(io: Io): Logger {
  const say = (_fields: object, message: string): void => io.err(printable(`postern: ${message}`))
  return { ...silentLogger, warn: say, error: say }
}
