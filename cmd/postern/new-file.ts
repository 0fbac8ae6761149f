import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { systemReason } from '../../src/config/input.ts'
import { AppError } from '../../src/errors.ts'

/** Writes a file that is not there yet: what is there stays, and is named. `secret`: nobody else can read it, nor its folder when that is new. */
export function writeNewFile(path: string, text: string, { secret = false }: { readonly secret?: boolean } = {}): void {
  try {
    mkdirSync(dirname(path), { recursive: true, ...(secret && { mode: 0o700 }) })
    writeFileSync(path, text, { flag: 'wx', mode: secret ? 0o600 : 0o644 })
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EEXIST'
      ? isThere(path)
      : new AppError('ERR_USAGE', `cannot write ${path}: ${systemReason(error)}`, { cause: error })
  }
}

export function isThere(paths: string): AppError {
  return new AppError('ERR_USAGE', `${paths}: there already, and nothing is written over`)
}
