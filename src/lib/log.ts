import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino'
import type { Logger, LogLevel } from '../types.ts'

/**
 * JSON lines: `time` (ISO 8601), `level` as a word, `msg`. `flush` before the process ends.
 * No redaction list: what is logged is chosen field by field, secrets print as `[secret]`, and a test reads the
 * output of whole sign-ins. (A list costs 10 µs a line.)
 */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger & { flush(): void } {
  const stream = destination ?? pino.destination({ fd: 1, sync: true, minLength: 16_000, periodicFlush: 200 })
  const logger = pino(
    {
      level: level === 'off' ? 'silent' : level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  )
  const wrapped = wrap(logger)
  return { ...wrapped, flush: () => 'flushSync' in stream && (stream as { flushSync(): void }).flushSync() }
}

function wrap(logger: PinoLogger<never, boolean>): Logger {
  return {
    trace: (fields, message) => logger.trace(fields, message),
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: (fields) => wrap(logger.child(fields)),
  }
}

export const silentLogger: Logger = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
}
