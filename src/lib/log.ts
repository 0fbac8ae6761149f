import { isatty } from 'node:tty'
import { type Logger as PinoLogger, pino } from 'pino'
import { withRemedy } from '../errors.ts'
import type { Logger, Span } from '../types.ts'
import type { Live, LogFormat, LogLevel } from '../config/model.ts'
import { createAuditing } from './auditing.ts'
import { systemClock } from './clock.ts'
import { createDescriptorOutput, type LogOutput } from './log-output.ts'
import { prettyLine } from './log-pretty.ts'
import { bounded, isoTime, lineStart, MAX_TEXT, visible } from './log-text.ts'
import { hasColours } from './terminal.ts'
import { epochMillis } from './time.ts'

/** Lines are written together: after this time, or before they are more characters than this. */
const BATCH_TIME: Span = 200
const BATCH_LENGTH = 16_000
/** What several processes write to one pipe at once stays whole up to PIPE_BUF (pipe(7)). */
const SHARED_BATCH_LENGTH = 4096

/** The one logger of a process. */
export interface ProcessLogger extends Logger {
  /** Opens what the audit log needs. Throws ERR_CONFIG_INVALID when it cannot be had; nothing has changed then. One of the two is called, once. */
  prepare(how: LogSettings): { commit(): void; abandon(): void }
  flush(): void
  /** Lines that standard output did not take. */
  dropped(): number
  readonly auditLog: { dropped(): number; trouble(): string | undefined }
}

/** Keys of the configuration. */
export type LogSettings = Pick<Live, 'logLevel' | 'logFormat' | 'auditLog'>

/**
 * JSON lines: `time` (ISO 8601), `level` as a word, `msg`; until `configure` says otherwise. To standard output unless a
 * destination is given. `flush` before the process ends. `worker`: its number, in every line, where several processes share standard output.
 * No redaction list: what is logged is chosen field by field, secrets print as `[secret]`, and a test reads the
 * output of whole sign-ins. (A list costs 10 µs a line.)
 */
export function createLogger(level: LogLevel, destination?: LogOutput, worker?: number): ProcessLogger {
  let render = asItIs
  const base = worker === undefined ? '' : `"worker":${worker},`
  const standardOutput = destination
    ? undefined
    : createDescriptorOutput(1, (lines) => render(`${lineStart('warn', base)}"lines":${lines},"msg":${LOST}}\n`))
  const batchLength = worker === undefined ? BATCH_LENGTH : SHARED_BATCH_LENGTH
  const batch = standardOutput && createBatch(standardOutput, batchLength)
  const sink = batch ?? (destination as LogOutput)
  const out: LogOutput = { write: (line) => sink.write(render(line)) }
  const logger = pino(
    {
      level: pinoLevel(level),
      base: worker === undefined ? null : { worker },
      timestamp: () => `,"time":"${isoTime(epochMillis(systemClock.now()))}"`,
      formatters: { level: (label) => ({ level: label }), log: boundedFields },
    },
    { write: (line) => out.write(visible(line)) },
  )
  const auditing = createAuditing(out, base, logger)
  return {
    ...wrap(logger, out, base),
    audit: (fields, message, level) => auditing.audit(fields, message, level),
    auditLog: auditing,
    prepare({ logLevel, logFormat, auditLog }) {
      const prepared = auditing.prepare(auditLog)
      return {
        commit() {
          logger.level = pinoLevel(logLevel)
          render = rendering(logFormat)
          prepared.commit()
        },
        abandon: () => prepared.abandon(),
      }
    },
    flush: () => batch?.flush(),
    dropped: () => standardOutput?.dropped() ?? 0,
  }
}

function boundedFields(fields: Record<string, unknown>): Record<string, unknown> {
  for (const value of Object.values(fields)) {
    if (typeof value !== 'string' || value.length <= MAX_TEXT) continue
    return Object.fromEntries(
      Object.entries(fields).map(([name, each]) => [name, typeof each === 'string' ? bounded(each) : each]),
    )
  }
  return fields
}

/** `auto`: for people where somebody looks, for machines elsewhere. */
function rendering(format: LogFormat): (line: string) => string {
  if (format === 'json' || (format === 'auto' && !isatty(1))) return asItIs
  const colour = hasColours(1)
  return (line) => prettyLine(line, colour)
}

function asItIs(line: string): string {
  return line
}

function pinoLevel(level: LogLevel): string {
  return level === 'off' || level === 'disabled' ? 'silent' : level
}

function wrap(logger: PinoLogger, out: LogOutput, base: string): Omit<Logger, 'audit'> {
  return {
    trace: (fields, message) => logger.trace(fields, message),
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(withRemedy(fields), message),
    writes: (level) => logger.isLevelEnabled(level),
    line(level, members, message) {
      if (!logger.isLevelEnabled(level)) return
      out.write(`${lineStart(level, base)}${members}${members && ','}"msg":${JSON.stringify(message)}}\n`)
    },
  }
}

const LOST = JSON.stringify('log lines could not be written and are lost')

/**
 * pino's own batching (`minLength`) measures the whole batch again with every line; this one only adds to it
 * (0.1 µs a line instead of 2).
 */
export function createBatch(destination: LogOutput, length = BATCH_LENGTH): LogOutput & { flush(): void } {
  let lines = ''
  let due = false
  function flush(): void {
    const batch = lines
    lines = ''
    if (batch !== '') destination.write(batch)
  }
  function flushInTime(): void {
    due = false
    flush()
  }
  // Also after an uncaught exception: the last lines are the ones that matter.
  process.on('exit', flush)
  return {
    write(line) {
      if (lines.length + line.length > length) flush()
      lines += line
      if (!due) {
        due = true
        systemClock.after(BATCH_TIME, flushInTime)
      }
    },
    flush,
  }
}

export const silentLogger: Logger = {
  audit() {},
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  writes: () => false,
  line() {},
}
