/** Arguments and options that several commands have, and how they are read. */
import { AppError } from '../../src/errors.ts'

export const CONFIG = ['-c, --config <file>', 'YAML or JSON; without it, the environment alone'] as const
export const FILE = ['[file]', 'the same as --config'] as const
export const JSON_OUTPUT = ['--json', 'print JSON'] as const
export const PROVIDER = ['--provider <name>', 'of several identity providers this one; else the default one'] as const
export const USER = 'user id (`sub`) or e-mail address'

/** Nobody remembers which commands take the file as an argument: those that take no other take it both ways. */
export function oneOf(file: string | undefined, config: string | undefined): string | undefined {
  if (file !== undefined && config !== undefined && file !== config) {
    throw new AppError('ERR_USAGE', 'the configuration is given twice: as an argument and with --config')
  }
  return file ?? config
}

/** `a,b`; an option that is given twice adds up. */
export function collected(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

export function commaList(text: string, before: readonly string[] = []): readonly string[] {
  const items = text.split(',').map((item) => item.trim())
  return [...before, ...items.filter(Boolean)]
}
