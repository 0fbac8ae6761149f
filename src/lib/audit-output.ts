/** Where audit lines go when they do not go to the log: standard error, a file, or nowhere. */
import { closeSync, constants, openSync } from 'node:fs'
import { AppError, messageOf } from '../errors.ts'
import { createDescriptorOutput, type DescriptorOutput } from './log-output.ts'

export interface AuditOutput extends DescriptorOutput {
  close(): void
}

/**
 * A file is appended to, and made for its owner alone: a file that is opened again after a rotation has its name again.
 * @param target `log`: there is no other place. Throws ERR_CONFIG_INVALID when the file cannot be opened.
 */
export function openAuditOutput(target: string, lost: (count: number) => string): AuditOutput | 'log' | 'nowhere' {
  switch (target) {
    case 'stdout':
      return 'log'
    case 'off':
      return 'nowhere'
    case 'stderr':
      return { ...createDescriptorOutput(2, lost), close() {} }
    default: {
      const file = openFile(target)
      return { ...createDescriptorOutput(file, lost), close: () => closeSync(file) }
    }
  }
}

/** A named pipe would otherwise stop this process, here until somebody reads it, and with every line while it is full. */
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK

function openFile(path: string): number {
  try {
    return openSync(path, FLAGS, 0o600)
  } catch (error) {
    throw new AppError('ERR_CONFIG_INVALID', `audit_log: cannot open ${path}: ${messageOf(error)}`)
  }
}
