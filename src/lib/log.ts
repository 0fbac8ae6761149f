import { type Logger as PinoLogger, pino } from 'pino'
import type { Logger, Span } from '../types.ts'
import type { LogFormat, LogLevel } from '../config/model.ts'
import { systemClock } from './clock.ts'
import { isatty } from 'node:tty'
import { createDescriptorOutput, type LogOutput } from './log-output.ts'
import { prettyLine } from './log-pretty.ts'
import { hasColours } from './terminal.ts'
import { epochMillis } from './time.ts'

/** Lines are written together: after this time, or before they are more characters than this. */
const BATCH_TIME: Span = 200
const BATCH_LENGTH = 16_000
/** What several processes write to one pipe at once stays whole up to PIPE_BUF (pipe(7)). */
const SHARED_BATCH_LENGTH = 4096

/** The one logger of a process. */
export interface ProcessLogger extends Logger {
  configure(how: { readonly logLevel: LogLevel; readonly logFormat: LogFormat }): void
  flush(): void
  /** Lines that standard output did not take. */
  dropped(): number
}

/** Longest text of one field, in characters. */
const MAX_TEXT = 2048

/**
 * JSON lines: `time` (ISO 8601), `level` as a word, `msg`; until `configure` says otherwise. To standard output unless a
 * destination is given. `flush` before the process ends. `worker`: its number, in every line, where several processes share standard output.
 * No redaction list: what is logged is chosen field by field, secrets print as `[secret]`, and a test reads the
 * output of whole sign-ins. (A list costs 10 µs a line.)
 */
export function createLogger(level: LogLevel, destination?: LogOutput, worker?: number): ProcessLogger {
  let render = asItIs
  const standardOutput = destination ? undefined : createDescriptorOutput(1, (line) => render(line))
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
  return {
    ...wrap(logger, out, worker === undefined ? '' : `"worker":${worker},`),
    configure({ logLevel, logFormat }) {
      logger.level = pinoLevel(logLevel)
      render = rendering(logFormat)
    },
    flush: () => batch?.flush(),
    dropped: () => standardOutput?.dropped() ?? 0,
  }
}

/** The text, or its beginning and how much is left out: clients choose what some fields hold. */
export function bounded(text: string, length = MAX_TEXT): string {
  return text.length <= length ? text : `${text.slice(0, length)}… (${text.length - length} more)`
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

const PLAIN_LINE = /^[\x20-\x7e]*\n?$/
/** What a terminal obeys or does not show, beyond what JSON escapes itself: C1 and DEL, line separators, the direction of text. */
const INVISIBLE = /[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/gu

/** The same JSON with nothing in it that a terminal would obey. 3 µs a line: the access log asks only for what is not plain. */
export function visible(line: string): string {
  if (PLAIN_LINE.test(line)) return line
  return line.replace(INVISIBLE, (found) =>
    Array.from({ length: found.length }, (_, i) => `\\u${found.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  )
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

function wrap(logger: PinoLogger, out: LogOutput, base: string): Logger {
  return {
    trace: (fields, message) => logger.trace(fields, message),
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    line(level, members, message) {
      if (!logger.isLevelEnabled(level)) return
      const time = isoTime(epochMillis(systemClock.now()))
      out.write(`{"level":"${level}","time":"${time}",${base}${members},"msg":${JSON.stringify(message)}}\n`)
    },
  }
}

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

let second = Number.NaN
let upToSecond = ''

/** ISO 8601 with milliseconds, like `toISOString`. The part up to the second is cached. */
export function isoTime(time: number): string {
  const now = Math.floor(time / 1000)
  if (now !== second) {
    second = now
    upToSecond = new Date(now * 1000).toISOString().slice(0, -4)
  }
  return `${upToSecond}${String(time - now * 1000).padStart(3, '0')}Z`
}

export const silentLogger: Logger = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  line() {},
}
