import type { Logger } from '../../../src/types.ts'

export interface Line {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error'
  readonly fields: object
  readonly message: string
}

export function recordedLog(): Logger & { readonly lines: Line[] } {
  const lines: Line[] = []
  const at = (level: Line['level']) => (fields: object, message: string) => void lines.push({ level, fields, message })
  const logger = {
    lines,
    audit: at('info'),
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    writes: () => true,
    line: (level: Line['level'], members: string, message: string) =>
      void lines.push({ level, fields: JSON.parse(`{${members}}`) as object, message }),
  }
  return logger
}
