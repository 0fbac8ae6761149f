/** Audit lines: whatever `log_level` says, to where `audit_log` says. */
import { withRemedy } from '../errors.ts'
import type { Logger } from '../types.ts'
import { AUDIT_EVENTS, AUDIT_SCHEMA, type AuditFields } from './audit-events.ts'
import { type AuditOutput, openAuditOutput } from './audit-output.ts'
import type { LogFields } from './log-fields.ts'
import type { LogOutput } from './log-output.ts'
import { bounded, lineStart, visible } from './log-text.ts'

type Level = 'debug' | 'info' | 'warn' | 'error'

export interface Auditing {
  audit: Logger['audit']
  /** Lines that could not be written to a place of their own. */
  dropped(): number
  /** Why the last one could not be; undefined: it was. */
  trouble(): string | undefined
  /** Opens the place. Throws ERR_CONFIG_INVALID when it cannot be had. */
  prepare(target: string): { commit(): void; abandon(): void }
}

/** Until `prepare` says otherwise they go to the log. @param base members of every line of this process, each with a comma behind it. */
export function createAuditing(
  log: LogOutput,
  base: string,
  logger: Readonly<Record<Level, (fields: LogFields, message: string) => void>>,
): Auditing {
  let output: AuditOutput | 'log' | 'nowhere' = 'log'
  let droppedBefore = 0
  let told: string | undefined

  const lost = (lines: number): string =>
    lineOf('warn', { event: 'lines-lost', lines }, 'audit lines could not be written and are lost')

  function lineOf(level: string, fields: AuditFields, message: string): string {
    const members = JSON.stringify({ schema: AUDIT_SCHEMA, ...fields, msg: message }, (_, value: unknown) =>
      typeof value === 'string' ? bounded(value) : value,
    )
    return visible(`${lineStart(level, base)}${members.slice(1)}\n`)
  }

  function trouble(): string | undefined {
    return typeof output === 'string' ? undefined : output.trouble()
  }

  /** Once, and once more when it is over. */
  function tellTrouble(): void {
    const now = trouble()
    if (now === told) return
    if (now !== undefined && told === undefined)
      logger.error(withRemedy({ error: 'ERR_AUDIT_LOG', error_message: now }), 'audit: lines cannot be written')
    if (now === undefined) logger.info({}, 'audit: lines can be written again')
    told = now
  }

  return {
    audit(fields, message, level = 'info') {
      const all = level === 'error' ? withRemedy({ ...fields, error: fields.error ?? 'ERR_INTERNAL' }) : fields
      if (output === 'log') return log.write(lineOf(level, all, message))
      // An operator looks for these in the log.
      if ('logged' in AUDIT_EVENTS[fields.event]) logger[level](all, message)
      if (output === 'nowhere') return
      output.write(lineOf(level, all, message))
      tellTrouble()
    },
    dropped: () => droppedBefore + (typeof output === 'string' ? 0 : output.dropped()),
    trouble,
    prepare(target) {
      const next = openAuditOutput(target, lost)
      return {
        commit() {
          if (typeof output !== 'string') {
            droppedBefore += output.dropped()
            output.close()
          }
          output = next
          tellTrouble()
        },
        abandon() {
          if (typeof next !== 'string') next.close()
        },
      }
    },
  }
}
